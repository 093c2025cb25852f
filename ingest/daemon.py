"""The long-lived ingester: claims queued runs one at a time and queues the scheduled ones."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from apscheduler.schedulers.background import BackgroundScheduler

from core.errors import BusyError, StoreError
from core.records import RunOptions
from core.schedule import cron_trigger
from core.store.catalog import Catalog
from core.store.runs import RunInProgressError
from ingest.carry.duty import CarryDuty
from ingest.lock import IngestLock
from ingest.model import RunModel
from ingest.run import IngestRun

if TYPE_CHECKING:
    from core.settings import Settings

logger = logging.getLogger(__name__)

DAEMON_NOTE: Final = "daemon"
_POLL_S: Final = 0.25
_HEARTBEAT_S: Final = 3.0
_RETRY_S: Final = 2.0


class Daemon:
    """Works until `stop` is set; one run at a time, never two."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self._settings = settings
        self._stop = stop
        self._catalog = Catalog(settings.store_dir)
        self._model = RunModel(settings)
        self._duty = CarryDuty(settings, self._catalog)
        self._scheduler = BackgroundScheduler()
        self._heartbeat = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def work(self) -> None:
        """Claim runs until told to stop; a run under way stops at its next commit."""
        self._schedule()
        self._scheduler.start()
        self._heartbeat.start()
        logger.info("Waiting for runs.", extra={"store": self._settings.store_dir})
        try:
            while not self._stop.wait(_POLL_S):
                try:
                    self._work_once()
                except StoreError as error:
                    logger.error("The store fails; trying again.", extra={"why": str(error)})  # noqa: TRY400  # no mistake of ours
                    self._stop.wait(_RETRY_S)
        finally:
            self._scheduler.shutdown(wait=False)
            self._heartbeat.join()
            with suppress(StoreError):
                self._catalog.set_note(DAEMON_NOTE, "")
            self._duty.close()
            self._catalog.close()

    def _work_once(self) -> None:
        if self._catalog.runs.active() is None:
            self._carry_over()
            return
        # A run that counts as going on while nobody holds the lock lost its process. If the lock
        # is taken, another ingester works, and a queued run waits its turn.
        with suppress(BusyError), IngestLock(self._settings.store_dir):
            self._catalog.runs.interrupt_orphans()
            run = self._catalog.runs.claim()
            if run is not None:
                logger.info("Run begins.", extra={"run": run.id, "trigger": run.trigger})
                try:
                    IngestRun(
                        self._settings,
                        self._catalog,
                        run,
                        self._model,
                        self._stop,
                        duty=self._duty,
                    ).execute()
                except Exception:
                    # The run's row says what happened; the daemon lives for the next one.
                    logger.exception("Run broke.", extra={"run": run.id})

    def _carry_over(self) -> None:
        """Make up for what a run could not carry over to Milvus, or another process published."""
        if self._duty.due:
            with suppress(BusyError), IngestLock(self._settings.store_dir):
                self._duty.after_commit()

    def _schedule(self) -> None:
        settings = self._settings
        for cron, options in (
            (settings.schedule, RunOptions()),
            (settings.verify_schedule, RunOptions(verify=True)),
        ):
            if cron:
                self._scheduler.add_job(
                    self._queue,
                    cron_trigger(cron),
                    args=[options],
                    # After a sleep or a stall one run makes up for all that were missed.
                    coalesce=True,
                    misfire_grace_time=None,
                    max_instances=1,
                )

    def _queue(self, options: RunOptions) -> None:
        while True:
            try:
                run = self._catalog.runs.queue(options, "schedule")
            except RunInProgressError as error:
                if not options.verify:
                    why = "Scheduled run left out: one is in progress."
                    logger.info(why, extra={"run": error.run_id})
                    return
                # The rare run waits its turn: the frequent one may always be due at its hour.
                if self._stop.wait(_RETRY_S):
                    return
            else:
                logger.info("Scheduled run queued.", extra={"run": run.id})
                return

    def _beat(self) -> None:
        catalog = Catalog(self._settings.store_dir)
        try:
            while True:
                with suppress(StoreError):  # a full disk costs a beat, not the heart
                    catalog.set_note(DAEMON_NOTE, json.dumps(self._facts()))
                if self._stop.wait(_HEARTBEAT_S):
                    return
        finally:
            catalog.close()

    def _facts(self) -> dict[str, object]:
        times = [job.next_run_time.timestamp() for job in self._scheduler.get_jobs()]
        return {
            "pid": os.getpid(),
            "heartbeat_at": time.time(),
            "schedule": self._settings.schedule,
            "verify_schedule": self._settings.verify_schedule,
            "next_run_at": min(times, default=None),
        }

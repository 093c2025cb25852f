"""One run, from a look at the folder to a published generation.

survey → guard → settle and embed → remove → go live → labels → housekeeping. Each step publishes
by itself, so that a kill between any two costs only what the step had not yet committed.
"""

from __future__ import annotations

import logging
import threading
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from core.errors import LookalikeError, RunCancelledError
from core.records import RunState, SpaceState
from core.source.local import LocalFolder
from core.source.opening import open_source
from core.store.runs import Outcome
from ingest import maintain
from ingest.carry.duty import CarryDuty
from ingest.engine import LocalEngine, check_fingerprint
from ingest.photos import FolderPhotos
from ingest.product_data import ProductData
from ingest.progress import Progress
from ingest.publish import Publisher
from ingest.resolve import Resolver
from ingest.survey import (
    RemovalGuard,
    Survey,
    check_guard,
    check_marker,
    survey_photos,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.folder.metadata import Metadata
    from core.records import Run, RunCounters, Space
    from core.settings import Settings
    from core.source.contract import ImageSource
    from core.source.objects import ObjectStore
    from core.store.catalog import Catalog
    from ingest.embed import Embedded, Task
    from ingest.engine import Engine
    from ingest.model import RunModel
    from ingest.photos import Photos

logger = logging.getLogger(__name__)

_ROOT_NOTE = "image_root"


@dataclass
class IngestRun:
    """Everything one run works with; the caller holds the ingest lock."""

    settings: Settings
    catalog: Catalog
    run: Run
    model: RunModel
    stop: threading.Event = field(default_factory=threading.Event)
    show: Callable[[RunCounters], None] | None = None
    duty: CarryDuty | None = None  # what carries over to Milvus; None: one of its own
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._product_data = ProductData(self.settings, self.catalog, self.warnings)

    def execute(self) -> Run:
        """Do the run and close its row; whatever goes wrong, the row says what."""
        progress = Progress(self.catalog.runs, self.run, self.stop, self.show)
        duty = self.duty or CarryDuty(self.settings, self.catalog)
        try:
            self._work(progress, duty)
            with progress.stage("carry_over"):
                self.warnings += duty.after_run()
            outcome = Outcome(RunState.SUCCEEDED, _summary(progress.counters))
        except RunCancelledError as error:
            state = RunState.INTERRUPTED if self.stop.is_set() else RunState.CANCELLED
            outcome = Outcome(state, str(error), error.code)
        except LookalikeError as error:
            outcome = Outcome(RunState.FAILED, str(error), error.code)
        except OSError as error:
            outcome = Outcome(
                RunState.FAILED,
                f"{error.filename or self.catalog.store_dir}: {error.strerror or error}. What was "
                f"published in LOOKALIKE_STORE_DIR={self.catalog.store_dir} stands; run again once "
                "this is mended.",
                "io_error",
            )
        except Exception as error:
            self._finish(progress, Outcome(RunState.FAILED, repr(error), LookalikeError.code))
            raise
        finally:
            if self.duty is None:
                duty.close()
        return self._finish(progress, outcome)

    def _finish(self, progress: Progress, outcome: Outcome) -> Run:
        outcome = Outcome(outcome.state, outcome.message, outcome.error_code, self.warnings)
        run = self.catalog.runs.finish(self.run.id, outcome, progress.counters)
        logger.info("Run ended.", extra={"run": run.id, "state": run.state, "why": run.message})
        return run

    def _work(self, progress: Progress, duty: CarryDuty) -> None:
        settings, catalog = self.settings, self.catalog
        source = open_source(settings)
        space = catalog.ensure_space(self.model.identity(catalog))
        maintain.collect_orphans(catalog)
        self.warnings += maintain.mark_damaged(catalog)
        if settings.require_root_marker:
            check_marker(source)
        with closing(self._photos(source)) as photos:
            survey, metadata = self._survey(source, photos, space, progress)
            self._settle(survey, photos, space, metadata, progress, duty)
        if space.state is not SpaceState.LIVE:
            space = self._go_live(survey, space)
        if metadata is not None:
            self._product_data.take_over(space, metadata)
        catalog.set_note(_ROOT_NOTE, source.identity())
        with progress.stage("housekeeping"):
            maintain.drop_damaged(catalog)
            maintain.merge_segments(catalog, space)
            maintain.drop_retired(catalog)
            if settings.index == "faiss" or settings.milvus_fallback == "faiss":
                maintain.save_index(catalog, space, settings.exact_index_items)

    def _photos(self, source: LocalFolder | ObjectStore) -> Photos:
        if isinstance(source, LocalFolder):
            return FolderPhotos(source)
        from ingest.object_photos import ObjectPhotos, Trust  # noqa: PLC0415  # only for a bucket

        trust = Trust.ALWAYS if self.settings.ray_address else Trust.KNOWN
        if self.run.options.verify or self.run.options.force_full:
            trust = Trust.NEVER
        return ObjectPhotos(source, self.settings, trust)

    def _survey(
        self, source: ImageSource, photos: Photos, space: Space, progress: Progress
    ) -> tuple[Survey, Metadata | None]:
        """What is to be done, and the product data it is done with; the guard has agreed to it."""
        settings, options = self.settings, self.run.options
        listing = source.walk()
        with progress.stage("walk"):
            survey = survey_photos(
                listing,
                settings.store_dir,
                space.id,
                progress,
                verify=options.verify or options.force_full,
            )
        self._warn_unlisted(survey)
        metadata = self._product_data.read(source, listing, needed=len(survey.suspects) > 0)
        if not options.allow_mass_removal:
            guard = RemovalGuard(
                settings.removal_guard_share,
                settings.removal_guard_items,
                str(self.catalog.get_note(_ROOT_NOTE) or ""),
            )
            check_guard(survey, guard, source, photos)
        return survey, metadata

    def _go_live(self, survey: Survey, space: Space) -> Space:
        """Let the space answer, unless photos that the old one finds could not be looked at."""
        if survey.complete:
            return self.catalog.go_live(space)
        self.warnings.append(
            f"The model before {space.spec} goes on answering until the whole folder can be listed."
        )
        return space

    def _settle(
        self,
        survey: Survey,
        photos: Photos,
        space: Space,
        metadata: Metadata | None,
        progress: Progress,
        duty: CarryDuty,
    ) -> None:
        publisher = Publisher(
            self.catalog,
            space,
            metadata,
            every_images=self.settings.commit_every_images,
            every_s=self.settings.commit_every_s,
            published=duty.after_commit,
        )
        resolver = Resolver(
            self.catalog,
            publisher,
            progress,
            photos=photos,
            space_id=space.id,
            force=self.run.options.force_full,
        )
        try:
            self._embed(resolver.tasks(survey), photos, resolver, publisher, space, progress)
        except (RunCancelledError, KeyboardInterrupt):
            publisher.flush()  # what has been embedded is not lost to a stop
            raise
        removed = resolver.removed(survey)
        publisher.pending.missing.extend(
            known.item_id for known in removed if known.item_id is not None
        )
        publisher.pending.forgotten.extend(survey.forgotten if survey.complete else [])
        progress.count("removed", len(removed))
        with progress.stage("commit"):
            publisher.flush()
        progress.publish()

    def _embed(
        self,
        tasks: Iterator[Task],
        photos: Photos,
        resolver: Resolver,
        publisher: Publisher,
        space: Space,
        progress: Progress,
    ) -> None:
        first = next(tasks, None)
        if first is None:
            return  # nothing needs the model, so it is never loaded
        with self._engine(photos, space, progress) as engine:
            todo = chain([first], tasks)
            while True:
                with closing(engine.embed(todo)) as answers:
                    self._take(answers, resolver, publisher, progress)
                again = list(resolver.leftovers())
                if not again:
                    break
                todo = chain(again)

    def _take(
        self,
        answers: Iterator[Embedded],
        resolver: Resolver,
        publisher: Publisher,
        progress: Progress,
    ) -> None:
        try:
            for embedded in answers:
                resolver.take(embedded)
                with progress.stage("commit"):
                    publisher.settle()
                progress.check()
        except (RunCancelledError, KeyboardInterrupt):
            publisher.flush()  # before passes in hand are waited for, which may take longer
            raise

    def _engine(self, photos: Photos, space: Space, progress: Progress) -> Engine:
        batch_size = self.run.options.batch_size or self.settings.batch_size
        if self.settings.ray_address:
            from ingest.ray_engine import RayEngine  # noqa: PLC0415  # only where there is a cluster

            return RayEngine(self.settings, space.fingerprint, batch_size, progress)
        with progress.stage("load_model"):
            embedder = self.model.embedder(self.catalog)
        check_fingerprint(embedder.spec, embedder.fingerprint, space.fingerprint)
        return LocalEngine(self.settings, photos, embedder, batch_size, progress)

    def _warn_unlisted(self, survey: Survey) -> None:
        if survey.unlisted:
            shown = "; ".join(survey.unlisted[:3])
            self.warnings.append(
                f"{len(survey.unlisted)} folders or files could not be listed, so nothing was "
                f"removed: {shown}."
            )


def _summary(counters: RunCounters) -> str:
    if counters.new_images:
        return f"Successfully processed {counters.new_images} new images"
    if counters.moved or counters.removed or counters.embedded:
        return "Successfully processed 0 new images; the catalogue is in step"
    return "Successfully processed 0 new images; nothing changed"

"""One run, from a look at the folder to a published generation.

survey → guard → settle and embed → remove → go live → labels → housekeeping. Each step publishes
by itself, so that a kill between any two costs only what the step had not yet committed.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from core.errors import LookalikeError, MetadataError, RunCancelledError, StoreModelError
from core.folder.metadata import Metadata, find_metadata, read_metadata
from core.records import RunState, SpaceState
from core.store.commit import Commit
from core.store.runs import Outcome
from core.vision.decode import DecodeLimits
from core.vision.models import ModelSource
from core.vision.video import VideoSampling
from ingest import maintain
from ingest.carry.duty import CarryDuty
from ingest.decoders import DecoderLimits, DecoderPool
from ingest.embed import embed_files
from ingest.progress import Progress
from ingest.publish import Publisher
from ingest.reading import Preparation
from ingest.resolve import Resolver
from ingest.survey import (
    RemovalGuard,
    Survey,
    check_guard,
    check_marker,
    root_identity,
    survey_folder,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.records import Run, RunCounters, Space
    from core.settings import Settings
    from core.store.catalog import Catalog
    from ingest.model import RunModel

logger = logging.getLogger(__name__)

_ROOT_NOTE = "image_root"
_METADATA_NOTE = "metadata_version"
_UNREADABLE = "unreadable"


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
        settings, catalog, options = self.settings, self.catalog, self.run.options
        space = catalog.ensure_space(self.model.identity(catalog))
        maintain.collect_orphans(catalog)
        self.warnings += maintain.mark_damaged(catalog)
        if settings.require_root_marker:
            check_marker(settings.image_dir)
        metadata = self._read_metadata()
        with progress.stage("walk"):
            survey = survey_folder(
                settings.image_dir,
                settings.store_dir,
                space.id,
                progress,
                verify=options.verify or options.force_full,
            )
        self._warn_unlisted(survey)
        if not options.allow_mass_removal:
            guard = RemovalGuard(
                settings.removal_guard_share,
                settings.removal_guard_items,
                str(catalog.get_note(_ROOT_NOTE) or ""),
            )
            check_guard(survey, guard, settings.image_dir)
        self._settle(survey, space, metadata, progress, duty)
        if space.state is not SpaceState.LIVE:
            space = self._go_live(survey, space)
        if metadata is not None:
            self._label(space, metadata)
        catalog.set_note(_ROOT_NOTE, root_identity(settings.image_dir))
        with progress.stage("housekeeping"):
            maintain.drop_damaged(catalog)
            maintain.merge_segments(catalog, space)
            maintain.drop_retired(catalog)
            if settings.index == "faiss" or settings.milvus_fallback == "faiss":
                maintain.save_index(catalog, space, settings.exact_index_items)

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
            root=str(self.settings.image_dir),
            space_id=space.id,
            force=self.run.options.force_full,
        )
        try:
            self._embed(survey, resolver, publisher, space, progress)
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
        survey: Survey,
        resolver: Resolver,
        publisher: Publisher,
        space: Space,
        progress: Progress,
    ) -> None:
        tasks = resolver.tasks(survey)
        first = next(tasks, None)
        if first is None:
            return  # nothing needs the model, so it is never loaded
        with progress.stage("load_model"):
            embedder = self.model.embedder(self.catalog)
        if embedder.fingerprint != space.fingerprint:
            raise StoreModelError(
                f"{embedder.spec} loaded with other weights than its file had a moment ago; run "
                "again once LOOKALIKE_MODEL_WEIGHTS has settled."
            )
        batch_size = self.run.options.batch_size or self.settings.batch_size
        how = Preparation(
            embedder.preprocessing,
            DecodeLimits.for_catalogue(self.settings),
            VideoSampling.from_settings(self.settings),
            ModelSource.from_settings(self.settings) if embedder.light else None,
        )
        bounds = DecoderLimits.from_settings(self.settings)
        with DecoderPool(str(self.settings.image_dir), how, bounds) as pool:
            todo = chain([first], tasks)
            while True:
                for embedded in embed_files(todo, pool, embedder, batch_size, progress):
                    resolver.take(embedded)
                    with progress.stage("commit"):
                        publisher.settle()
                    progress.check()
                again = list(resolver.leftovers())
                if not again:
                    break
                todo = chain(again)

    def _read_metadata(self) -> Metadata | None:
        """The shop's product data; None: unreadable, so that what was known before stays."""
        try:
            path = find_metadata(self.settings.image_dir, self.settings.metadata)
            metadata = read_metadata(path)
        except MetadataError as error:
            self.warnings.append(f"{error} What was known before stays.")
            # Photos that come meanwhile are labelled once the file can be read again.
            self.catalog.set_note(_METADATA_NOTE, _UNREADABLE)
            return None
        self.warnings += metadata.warnings
        return metadata

    def _label(self, space: Space, metadata: Metadata) -> None:
        """Take changed product data over for every item, without embedding anything."""
        if (self.catalog.get_note(_METADATA_NOTE) or "") == metadata.version:
            return
        paths = self.catalog.item_paths()
        known = set(paths)
        self.catalog.publish(space, Commit(labels=[metadata.label(path) for path in paths]))
        unknown = [path for path in metadata.labels if path not in known]
        if unknown:
            shown = ", ".join(unknown[:3])
            self.warnings.append(
                f"The product data describes {len(unknown)} photos that are not there: {shown}."
            )
        self.catalog.set_note(_METADATA_NOTE, metadata.version)

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

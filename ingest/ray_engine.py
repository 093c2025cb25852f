"""Embedding on a Ray cluster: actors read, decode and embed; only the caller commits.

Every chunk of tasks stays here until its answer is here, so a lost actor, machine or answer costs
the repetition of that chunk by another actor and nothing else. Ray starts the lost actor again
where there is room; it gets work once it is ready.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from core import errors
from core.errors import ClusterError, DecoderCrashedError, LookalikeError, SourceError
from ingest.embed import Embedded
from ingest.engine import check_fingerprint
from ingest.ray_cluster import joined
from ingest.ray_worker import EmbedWorker, Useless
from ingest.reading import UNSEEN, Failure, ReadFile

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from core.settings import Settings
    from ingest.embed import Task
    from ingest.progress import Progress

_AHEAD: Final = 2  # chunks in the hands of one actor: one at work, one waiting
_ASK_AGAIN_S: Final = 1.0  # after an actor was lost
_LISTEN_S: Final = 0.25  # between two looks at a request to stop
_MOST_LOSSES: Final = 3  # of actors over one chunk, before its photos are tried one by one
_MANY: Final = 4  # photos that do not all vanish by chance between two looks
_UNSENT: Final = ("api_keys", "client_key", "session_secret")


@dataclass
class _Chunk:
    tasks: list[Task]
    losses: int = 0  # actors lost while they worked on it


@dataclass
class _Actor:
    handle: Any
    ready: bool = False
    held: int = 0  # chunks in its hands
    ask_at: float | None = 0.0  # when to ask whether it is ready, monotonic; None: it was asked


@dataclass
class _Going:
    """What an object reference is going to bring."""

    actor: _Actor
    chunk: _Chunk | None  # None: word that the actor is ready


@dataclass
class RayEngine:
    """See `Engine`; the answers come in any order."""

    settings: Settings
    fingerprint: str  # of the space that is being filled
    batch_size: int
    progress: Progress
    _ray: Any = None
    _actors: list[_Actor] = field(default_factory=list)
    _going: dict[Any, _Going] = field(default_factory=dict)
    _again: deque[_Chunk] = field(default_factory=deque)
    _stack: ExitStack = field(default_factory=ExitStack)
    _last_loss: str = "none was lost"
    _idle_since: float = 0.0  # seconds of the monotonic clock; while no actor is ready

    def __enter__(self) -> Self:
        self._ray = self._stack.enter_context(joined(self.settings))
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for actor in self._actors:
            with suppress(Exception):  # it may be lost already
                self._ray.kill(actor.handle)
        self._stack.close()

    def embed(self, tasks: Iterable[Task]) -> Generator[Embedded, None, None]:
        """See `Engine`."""
        waiting = iter(tasks)
        more = True
        while more or self._again or any(going.chunk for going in self._going.values()):
            more = self._hand_out(waiting) and more
            with self.progress.stage("ray"):
                done = self._listen()
            self.progress.check()
            for reference in done:
                yield from self._receive(reference)
            self._check_patience()

    def _start(self) -> None:
        """Ask for the actors; Ray places them as it finds room."""
        settings = self.settings
        plain = settings.model_copy(
            update={
                **dict.fromkeys(_UNSENT),
                "decode_workers": settings.decode_workers or max(1, round(settings.ray_cpus)),
            }
        )
        made = self._ray.remote(EmbedWorker).options(
            num_cpus=settings.ray_cpus,
            num_gpus=settings.ray_gpus,
            max_restarts=-1,
            max_task_retries=0,  # a lost chunk goes to an actor that is there
        )
        self._actors = [_Actor(made.remote(plain, self.batch_size)) for _ in range(self._number())]
        self._idle_since = time.monotonic()

    def _number(self) -> int:
        """How many actors to ask for."""
        settings = self.settings
        if settings.ray_workers:
            return settings.ray_workers
        room = self._ray.cluster_resources()
        fits = [room.get("CPU", 0.0) / settings.ray_cpus]
        if settings.ray_gpus:
            fits.append(room.get("GPU", 0.0) / settings.ray_gpus)
        return max(1, int(min(fits)))  # one, so that a cluster that grows on demand does

    def _listen(self) -> list[Any]:
        """Ask who is ready, and wait a moment for anything that has come."""
        now = time.monotonic()
        for actor in self._actors:
            if actor.ask_at is not None and now >= actor.ask_at:
                actor.ask_at = None
                self._going[actor.handle.ready.remote()] = _Going(actor, None)
        if not self._going:
            time.sleep(_LISTEN_S)
            return []
        done, _ = self._ray.wait(list(self._going), num_returns=1, timeout=_LISTEN_S)
        return list(done)

    def _hand_out(self, waiting: Iterator[Task]) -> bool:
        """Fill the actors' hands; give whether there may be more tasks."""
        while True:
            free = [each for each in self._actors if each.ready and each.held < _AHEAD]
            if not free:
                return True
            chunk = self._again.popleft() if self._again else None
            if chunk is None:
                tasks = list(islice(waiting, self.batch_size))
                if not tasks:
                    return False
                chunk = _Chunk(tasks)
            actor = min(free, key=lambda each: each.held)
            actor.held += 1
            self._going[actor.handle.embed.remote(chunk.tasks)] = _Going(actor, chunk)

    def _receive(self, reference: Any) -> Iterator[Embedded]:  # noqa: ANN401  # Ray is untyped
        going = self._going.pop(reference)
        if going.chunk is not None:
            going.actor.held -= 1
        try:
            answer = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise ClusterError(f"A Ray worker broke: {error}") from error
        except self._ray.exceptions.RayError as error:
            yield from self._lost(going, error)
            return
        if isinstance(answer, Useless):
            raise _as_error(answer)
        if going.chunk is None:
            place = f" on {answer.node}"
            check_fingerprint(answer.spec, answer.fingerprint, self.fingerprint, place)
            going.actor.ready = True
            return
        self._check_sight(answer)
        self.progress.count("embedded", sum(each.vectors is not None for each in answer))
        yield from answer

    def _lost(self, going: _Going, error: Exception) -> Iterator[Embedded]:
        """Have others do what was in the hands of a lost actor."""
        actor, chunk = going.actor, going.chunk
        if chunk is None or actor.ready:
            actor.ready = False
            actor.ask_at = time.monotonic() + _ASK_AGAIN_S
        self._last_loss = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        if chunk is None:
            return
        chunk.losses += 1
        if chunk.losses < _MOST_LOSSES:
            self._again.append(chunk)
        elif len(chunk.tasks) > 1:
            self._again.extend(_Chunk([task]) for task in chunk.tasks)
        else:
            failure = Failure(
                DecoderCrashedError.code,
                f"{_MOST_LOSSES} Ray workers were lost on this photo: {type(error).__name__}.",
            )
            yield Embedded(chunk.tasks[0], ReadFile(UNSEEN, racy=True, failure=failure), None)

    def _check_sight(self, answer: list[Embedded]) -> None:
        """End a run whose workers see another folder than this process does.

        Raises:
            SourceError: all of many photos are gone there, and the first is here.
        """
        folder, first = self.settings.image_dir, answer[0].task.path
        gone = all(each.read.stat is None for each in answer)
        if gone and len(answer) >= _MANY and isinstance(folder, Path) and (folder / first).exists():
            raise SourceError(
                f"A Ray worker sees none of {len(answer)} photos that are here, {first} for one: "
                f"is LOOKALIKE_IMAGE_DIR={folder} the same on every node?"
            )

    def _check_patience(self) -> None:
        """End a run that nobody works on.

        Raises:
            ClusterError: no actor has been ready for LOOKALIKE_RAY_START_S.
        """
        now = time.monotonic()
        if any(actor.ready for actor in self._actors):
            self._idle_since = now
        elif now - self._idle_since > self.settings.ray_start_s:
            room = self._ray.cluster_resources()
            raise ClusterError(
                f"No Ray worker has been ready for {self.settings.ray_start_s:g} s "
                f"(LOOKALIKE_RAY_START_S). Each wants {self.settings.ray_cpus:g} processors and "
                f"{self.settings.ray_gpus:g} GPUs (LOOKALIKE_RAY_CPUS, LOOKALIKE_RAY_GPUS); the "
                f"cluster has {room.get('CPU', 0):g} and {room.get('GPU', 0):g}. The last loss: "
                f"{self._last_loss} What was published stands."
            )


def _as_error(answer: Useless) -> LookalikeError:
    """The error that an actor met, as its own class where that is known."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    kind = next(
        (each for each in kinds if getattr(each, "code", None) == answer.code), ClusterError
    )
    error: LookalikeError = kind(f"The Ray worker on {answer.node}: {answer.message}")
    return error

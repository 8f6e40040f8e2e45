"""The Ray actor pool: ids of candidates in, predictions out.

Each actor loads the bundle once and reads the features of its batches by itself; ids go to it and numbers come
back. The calling process never imports TensorFlow.
"""

from __future__ import annotations

import logging
import resource
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from esnet.bundle import Bundle, BundleInfo
from esnet.features import Representation
from esnet.ray_workers import worker_options
from esnet.scoring_batch import Prediction, ReadFeatures, ScoringError, predict_batch, read_batch

__all__ = ["Prediction", "ReadFeatures", "ScoringError", "Usage", "score", "score_as_they_come"]

logger = logging.getLogger(__name__)

_POLL_S = 5.0
#: Batches that an actor has at the same time: the features of one are read while the network is at the other.
_IN_FLIGHT = 2


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What the actors have used.

    Attributes
    ----------
    cpu_s
        CPU-seconds of their processes, loading TensorFlow included.
    gpu_s
        GPUs that Ray reserved for them, times the seconds that they were there.
    """

    cpu_s: float
    gpu_s: float


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """Predictions of one batch, and what the actor's process has used since it began."""

    predictions: list[Prediction]
    actor: str
    cpu_s: float
    wall_s: float


class _Scorer:
    """Runs inside a Ray actor, a thread for each batch that it has."""

    def __init__(self, bundle_path: str, checksum: str, read_features: ReadFeatures, batch_size: int) -> None:
        self._name, self._started = uuid.uuid4().hex, time.monotonic()
        self._bundle = Bundle.load(bundle_path)
        if self._bundle.checksum != checksum:
            raise ScoringError(
                f"{bundle_path} has checksum {self._bundle.checksum} here and {checksum} where scoring started"
            )
        self._read_features = read_features
        self._batch_size = batch_size
        self._reading, self._predicting = threading.Lock(), threading.Lock()

    def ready(self) -> _Answer:
        return self._answer([])

    def score(self, ids: list[str]) -> _Answer:
        with self._reading:
            batch = read_batch(ids, read_features=self._read_features)
        with self._predicting:
            return self._answer(predict_batch(batch, bundle=self._bundle, batch_size=self._batch_size))

    def _answer(self, predictions: list[Prediction]) -> _Answer:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return _Answer(
            predictions=predictions,
            actor=self._name,
            cpu_s=used.ru_utime + used.ru_stime,
            wall_s=time.monotonic() - self._started,
        )


@dataclass
class _Batch:
    ids: list[str]
    failures: int = 0


@dataclass
class _Pool:
    """The actors, what each of them is doing, and what is still to be done."""

    new_actor: Callable[[], Any]
    max_failures: int
    waiting: deque[_Batch]
    n_actors: int
    # the calls that are under way -> (actor, batch); no batch while the actor starts
    calls: dict[Any, tuple[Any, _Batch | None]] = field(default_factory=dict)
    failed_starts: int = 0
    # the last word of each actor; what one that died used after it nobody knows
    used: dict[str, _Answer] = field(default_factory=dict)

    def add_actor(self) -> None:
        actor = self.new_actor()
        self.calls[actor.ready.remote()] = (actor, None)

    def give_work(self, actor: Any) -> None:
        """Keep an actor busy, or end it where nothing is left for it."""
        while self.waiting and self._has_room(actor, self.waiting[0]):
            batch = self.waiting.popleft()
            self.calls[actor.score.remote(batch.ids)] = (actor, batch)
        if not self._of(actor):
            _end(actor)

    def _of(self, actor: Any) -> list[_Batch | None]:
        return [batch for busy, batch in self.calls.values() if busy is actor]

    def _has_room(self, actor: Any, batch: _Batch) -> bool:
        under_way = self._of(actor)
        # one that has failed goes alone: should it kill its actor, no other is to blame
        alone = batch.failures or any(other is not None and other.failures for other in under_way)
        return len(under_way) < (1 if alone else _IN_FLIGHT)

    @property
    def unfinished(self) -> bool:
        return bool(self.waiting) or any(batch is not None for _, batch in self.calls.values())

    @property
    def starting(self) -> bool:
        """Whether no actor works yet."""
        return all(batch is None for _, batch in self.calls.values())

    def take(self, call: Any) -> list[Prediction]:
        """Take the answer of a call that has ended, and keep its actor, or a new one, busy."""
        import ray

        actor, batch = self.calls.pop(call)
        try:
            answer: _Answer = ray.get(call)
        except (ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError) as error:
            _end(actor)
            self._actor_died(batch, error)
            return []
        except ray.exceptions.RayTaskError as error:
            self._failed(batch, error)
            self.give_work(actor)
            return []
        self.used[answer.actor] = answer
        self.give_work(actor)
        return answer.predictions

    def _actor_died(self, batch: _Batch | None, error: Exception) -> None:
        # an exception in the constructor would be the same in the next actor; a killed process need not be
        if getattr(error, "actor_init_failed", False):
            raise ScoringError(f"an actor cannot start: {error}") from error
        self._failed(batch, error)
        # its other batch comes back too, and only then is it gone
        if self.waiting and len({id(actor) for actor, _ in self.calls.values()}) < self.n_actors:
            logger.warning("an actor died and is replaced: %s", error)
            self.add_actor()

    def _failed(self, batch: _Batch | None, error: Exception) -> None:
        if batch is None:
            self.failed_starts += 1
            if self.failed_starts > self.max_failures:
                raise ScoringError(f"{self.failed_starts} actors died while they started: {error}") from error
            return
        batch.failures += 1
        if batch.failures > self.max_failures:
            raise ScoringError(
                f"{len(batch.ids)} candidates were tried {batch.failures} times and not scored: "
                f"{', '.join(batch.ids)}. Last cause: {error}"
            ) from error
        logger.warning("a batch of %d candidates is scored again: %s", len(batch.ids), error)
        self.waiting.append(batch)

    def usage(self, *, num_gpus: float) -> Usage:
        return Usage(
            cpu_s=sum(answer.cpu_s for answer in self.used.values()),
            gpu_s=num_gpus * sum(answer.wall_s for answer in self.used.values()),
        )

    def end(self) -> None:
        for actor, _ in self.calls.values():
            _end(actor)
        self.calls.clear()


def score(ids: Iterable[str], **options: Any) -> list[Prediction]:
    """Predict the formation energies of candidates with a pool of Ray actors.

    Parameters
    ----------
    ids
        Candidates; each is asked for once.
    **options
        As for `score_as_they_come`.

    Returns
    -------
    list of Prediction
        One for each id, in the order given. A candidate without usable features has no energy and the reason.
    """
    wanted = list(dict.fromkeys(str(name) for name in ids))
    predictions = {found.id: found for batch in score_as_they_come(wanted, **options) for found in batch}
    return [predictions[name] for name in wanted]


def score_as_they_come(
    ids: Iterable[str],
    *,
    bundle_path: Path | str,
    read_features: ReadFeatures,
    n_actors: int = 1,
    batch_size: int = 256,
    num_gpus_per_actor: float = 0.0,
    cpu_threads: int = 1,
    on_usage: Callable[[Usage], None] | None = None,
    representation: Representation | None = None,
    max_batch_failures: int = 2,
    start_timeout_s: float = 600.0,
) -> Iterator[list[Prediction]]:
    """Predict the formation energies of candidates with a pool of Ray actors, and hand out each batch as it comes.

    The actors go on with the next batches while the caller is busy with one.

    Ray must be connected (see `esnet.ray_session.ray_session`).

    Parameters
    ----------
    ids
        Candidates; each is asked for once.
    bundle_path
        The trained model, at a path that all of Ray's nodes see.
    read_features
        Called in the actors with the ids of a batch (see `ReadFeatures`).
    n_actors
        At most so many actors (not more than batches). One takes 10 to 30 s to start and 0.8 GB.
    batch_size
        Ids a batch, and candidates that the network takes at once.
    num_gpus_per_actor, cpu_threads
        What Ray reserves for an actor.
    on_usage
        Called once at the end, also where that is an error, with what the actors have used. Of an actor that died only
        what it had used when it last answered is counted, and of all nothing after their last batch.
    representation
        The one that the features were made with: the model's must be the same. None: not checked.
    max_batch_failures
        So many times a batch is given out again after its actor died or reading failed.
    start_timeout_s
        How long to wait while no actor has started, in s.

    Yields
    ------
    list of Prediction
        Those of one batch, in no particular order of batches; in all one for each id. A candidate without usable
        features has no energy and the reason.

    Raises
    ------
    BundleError, RepresentationError
        If the bundle cannot be used; no actor is started then.
    RaySessionError
        If no node has the cores or GPUs that one actor needs.
    ScoringError
        If a batch failed more often than allowed (its ids are named), or no actor starts.
    """
    import ray

    wanted = list(dict.fromkeys(str(name) for name in ids))
    if n_actors < 1 or batch_size < 1:
        raise ValueError(f"n_actors={n_actors!r} and batch_size={batch_size!r} must be 1 or more")
    path = Path(bundle_path).resolve()
    checksum = BundleInfo.read(path, representation=representation).checksum
    if not wanted:
        return
    options = worker_options(cpu_threads=cpu_threads, num_gpus=num_gpus_per_actor)
    actor_class = ray.remote(**options, max_restarts=0, max_concurrency=_IN_FLIGHT)(_Scorer)
    batches = [_Batch(wanted[start : start + batch_size]) for start in range(0, len(wanted), batch_size)]
    pool = _Pool(
        new_actor=lambda: actor_class.remote(str(path), checksum, read_features, batch_size),
        max_failures=max_batch_failures,
        waiting=deque(batches),
        n_actors=min(n_actors, len(batches)),
    )
    last_start = time.monotonic()
    try:
        for _ in range(pool.n_actors):
            pool.add_actor()
        while pool.unfinished:
            ended, _ = ray.wait(list(pool.calls), num_returns=1, timeout=_POLL_S)
            if ended or not pool.starting:
                last_start = time.monotonic()
            elif time.monotonic() - last_start > start_timeout_s:
                raise ScoringError(
                    f"no actor started within {start_timeout_s:g} s; free in Ray: {ray.available_resources()}"
                )
            for call in ended:
                if scored := pool.take(call):
                    yield scored
    finally:
        pool.end()
        if on_usage is not None:
            on_usage(pool.usage(num_gpus=num_gpus_per_actor))


def _end(actor: Any) -> None:
    import ray

    ray.kill(actor, no_restart=True)

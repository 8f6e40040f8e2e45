"""The actors that score, what each of them is doing, and what happens when one is lost."""

import gc
import logging
import resource
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from esnet.bundle.bundle import Bundle
from esnet.files.garbage_collection import no_garbage_collection
from esnet.scoring.batch import ReadFeatures, ScoringError, predict_batch, read_batch
from esnet.scoring.prediction import Prediction

logger = logging.getLogger(__name__)

#: Batches that an actor has at the same time: the features of one are read while the network is at the other.
IN_FLIGHT = 2


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


class ScoringActor:
    """Runs inside a Ray actor, a thread for each batch that it has; the bundle must have the ``checksum``."""

    def __init__(
        self, name: str, bundle_path: str, checksum: str, read_features: ReadFeatures, batch_size: int
    ) -> None:
        # this process is Ray's and has no handler; the dashboard shows an actor's log
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
        self._title = name
        self._name, self._started = uuid.uuid4().hex, time.monotonic()
        # TensorFlow comes with it, in two thirds of the time without
        with no_garbage_collection():
            self._bundle = Bundle.load(bundle_path)
        gc.freeze()  # it stays: no later collection has to go through it
        if self._bundle.checksum != checksum:
            raise ScoringError(
                f"{bundle_path} has checksum {self._bundle.checksum} here and {checksum} where scoring started"
            )
        self._read_features = read_features
        self._batch_size = batch_size
        self._scored = 0
        self._reading, self._predicting = threading.Lock(), threading.Lock()

    def __repr__(self) -> str:
        return self._title

    def ready(self) -> _Answer:
        """Say that the model is loaded."""
        return self._answer([])

    def score(self, ids: list[str]) -> _Answer:
        """Read the features of a batch and predict."""
        with self._reading:
            batch = read_batch(ids, bundle=self._bundle, read_features=self._read_features)
        with self._predicting:
            answer = self._answer(predict_batch(batch, bundle=self._bundle, batch_size=self._batch_size))
            self._scored += len(ids)
            logger.info("%s: %d candidates scored, %.0f s since the start", self._title, self._scored, answer.wall_s)
        return answer

    def _answer(self, predictions: list[Prediction]) -> _Answer:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return _Answer(
            predictions=predictions,
            actor=self._name,
            cpu_s=used.ru_utime + used.ru_stime,
            wall_s=time.monotonic() - self._started,
        )


@dataclass
class Batch:
    """Candidates that are scored together."""

    ids: list[str]
    failures: int = 0


@dataclass
class ActorPool:
    """The actors, what each of them is doing, and what is still to be done.

    Attributes
    ----------
    new_actor
        Starts a `ScoringActor` in Ray.
    max_failures
        So many times a batch is given out again.
    task_name
        Of the calls that score, in Ray's dashboard.
    """

    new_actor: Callable[[], Any]
    max_failures: int
    waiting: deque[Batch]
    n_actors: int
    task_name: str
    # the calls that are under way -> (actor, batch); no batch while the actor starts
    calls: dict[Any, tuple[Any, Batch | None]] = field(default_factory=dict)
    failed_starts: int = 0
    # the last word of each actor; what one that died used after it nobody knows
    used: dict[str, _Answer] = field(default_factory=dict)

    def start(self) -> None:
        """Start all actors."""
        for _ in range(self.n_actors):
            self._add_actor()

    def _add_actor(self) -> None:
        actor = self.new_actor()
        self.calls[actor.ready.remote()] = (actor, None)

    def _give_work(self, actor: Any) -> None:
        """Keep an actor busy, or end it where nothing is left for it."""
        while self.waiting and self._has_room(actor, self.waiting[0]):
            batch = self.waiting.popleft()
            self.calls[actor.score.options(name=self.task_name).remote(batch.ids)] = (actor, batch)
        if not self._of(actor):
            _end(actor)

    def _of(self, actor: Any) -> list[Batch | None]:
        return [batch for busy, batch in self.calls.values() if busy is actor]

    def _has_room(self, actor: Any, batch: Batch) -> bool:
        under_way = self._of(actor)
        # one that has failed goes alone: should it kill its actor, no other is to blame
        alone = batch.failures or any(other is not None and other.failures for other in under_way)
        return len(under_way) < (1 if alone else IN_FLIGHT)

    @property
    def unfinished(self) -> bool:
        """Whether a batch waits or is with an actor."""
        return bool(self.waiting) or any(batch is not None for _, batch in self.calls.values())

    @property
    def starting(self) -> bool:
        """Whether no actor works yet."""
        return all(batch is None for _, batch in self.calls.values())

    def take(self, call: Any) -> list[Prediction]:
        """Take the answer of a call that has ended, and keep its actor, or a new one, busy.

        Raises
        ------
        ScoringError
            If its batch has failed too often, or actors cannot start.
        """
        import ray

        actor, batch = self.calls.pop(call)
        try:
            answer: _Answer = ray.get(call)
        except (
            ray.exceptions.RayActorError,  # killed, out of reach, or lost with its node
            ray.exceptions.OutOfMemoryError,
            ray.exceptions.NodeDiedError,
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.RuntimeEnvSetupError,
            ray.exceptions.ObjectLostError,  # answered, and then its node was lost with the answer
        ) as error:
            _end(actor)
            self._actor_died(batch, error)
            return []
        except ray.exceptions.RayTaskError as error:
            self._failed(batch, error)
            self._give_work(actor)
            return []
        self.used[answer.actor] = answer
        self._give_work(actor)
        return answer.predictions

    def _actor_died(self, batch: Batch | None, error: Exception) -> None:
        # an exception in the constructor would be the same in the next actor; a killed process need not be
        if getattr(error, "actor_init_failed", False):
            raise ScoringError(f"an actor cannot start: {error}") from error
        if batch is None:
            self.failed_starts += 1
            # a node that is lost while its actors start takes all of them with it, which must not end a Screen
            if self.failed_starts > self.max_failures * self.n_actors:
                if self.starting:
                    raise ScoringError(f"{self.failed_starts} actors died while they started: {error}") from error
                logger.warning("an actor died while it started and is not replaced: the others go on (%s)", error)
                return
        else:
            self._failed(batch, error)
        # its other batch comes back too, and only then is it gone
        if self.waiting and len({id(actor) for actor, _ in self.calls.values()}) < self.n_actors:
            logger.warning("an actor died and is replaced: %s", error)
            self._add_actor()

    def _failed(self, batch: Batch | None, error: Exception) -> None:
        if batch is None:
            raise ScoringError(f"an actor cannot start: {error}") from error
        batch.failures += 1
        if batch.failures > self.max_failures:
            raise ScoringError(
                f"{len(batch.ids)} candidates were tried {batch.failures} times and not scored: "
                f"{', '.join(batch.ids)}. Last cause: {error}"
            ) from error
        logger.warning("a batch of %d candidates is scored again: %s", len(batch.ids), error)
        self.waiting.append(batch)

    def usage(self, *, num_gpus: float) -> Usage:
        """Return what all actors have used, ``num_gpus`` GPUs each."""
        return Usage(
            cpu_s=sum(answer.cpu_s for answer in self.used.values()),
            gpu_s=num_gpus * sum(answer.wall_s for answer in self.used.values()),
        )

    def end(self) -> None:
        """End all actors."""
        for actor, _ in self.calls.values():
            _end(actor)
        self.calls.clear()


def _end(actor: Any) -> None:
    import ray

    ray.kill(actor, no_restart=True)

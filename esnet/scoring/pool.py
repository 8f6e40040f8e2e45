"""A pool of scoring Ray actors that tracks their work and replaces lost ones."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from esnet.scoring.batch import ScoringError

logger = logging.getLogger(__name__)

#: Batches per actor: the features of one are read while the network processes another.
IN_FLIGHT = 2
_POLL_S = 5.0
_START_TIMEOUT_S = 600.0  # from the placement of an actor by Ray until one has started
_SAY_S = 300.0  # between messages that Ray has no free resources


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Resources used by the actors.

    Attributes
    ----------
    cpu_s
        CPU time of their processes, s, including loading TensorFlow.
    gpu_s
        Number of GPUs reserved for them times their lifetime, s.
    """

    cpu_s: float
    gpu_s: float


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Results of one batch, and the usage of the actor's process since its start.

    Attributes
    ----------
    predictions
        One result for each id in the batch.
    actor
        Identifier of the process.
    cpu_s, wall_s
        CPU and wall time of the process since its start, s.
    """

    predictions: list[Any]
    actor: str
    cpu_s: float
    wall_s: float


@dataclass
class Batch:
    """Candidates scored together.

    Attributes
    ----------
    content
        Argument for the actor. If None, the ids.
    """

    ids: list[str]
    failures: int = 0
    content: Any = None


@dataclass
class ActorPool:
    """The actors, their current work, and the work that remains.

    Attributes
    ----------
    new_actor
        Function that starts a Ray actor with methods ``ready()`` and ``score(asked)`` that return an `Answer`. The
        actor loads its model in ``ready()``, so that its constructor returns as soon as Ray has placed it.
    max_failures
        Largest number of retries of a batch.
    task_name
        Name of scoring calls in Ray's dashboard.
    in_flight
        Batches per actor at the same time.
    more_to_come
        Whether batches may still be added; if so, idle actors are kept.
    give_up
        Function that returns the results of a batch that failed more than `max_failures` times. If None, such a batch
        raises an error that names it.
    resources
        Resources of an actor; while they are not free, the pool waits for actors indefinitely.
    """

    new_actor: Callable[[], Any]
    max_failures: int
    waiting: deque[Batch]
    n_actors: int
    task_name: str
    in_flight: int = IN_FLIGHT
    more_to_come: bool = False
    give_up: Callable[[Batch, Exception], list[Any]] | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    # calls in progress -> (actor, batch); no batch while the actor starts
    calls: dict[Any, tuple[Any, Batch | None]] = field(default_factory=dict)
    failed_starts: int = 0
    # last report of each actor; the usage of a dead actor after that is unknown
    used: dict[str, Answer] = field(default_factory=dict)
    _idle: list[Any] = field(default_factory=list)
    # calls of ready() in progress -> a call that returns once the actor is placed
    _placing: dict[Any, Any] = field(default_factory=dict)

    def start(self) -> None:
        """Start all missing actors."""
        for _ in range(self.n_actors - self._n_alive()):
            self._add_actor()

    def _n_alive(self) -> int:
        return len({id(actor) for actor, _ in self.calls.values()}) + len(self._idle)

    def _add_actor(self) -> None:
        actor = self.new_actor()
        placed = actor.__ray_ready__.remote()  # first, since a single-threaded actor runs calls in order
        call = actor.ready.remote()
        self.calls[call], self._placing[call] = (actor, None), placed

    def _give_work(self, actor: Any) -> None:
        """Keep an actor busy, or end it if nothing is left for it."""
        while self.waiting and self._has_room(actor, self.waiting[0]):
            batch = self.waiting.popleft()
            asked = batch.ids if batch.content is None else batch.content
            self.calls[actor.score.options(name=self.task_name).remote(asked)] = (actor, batch)
        if not self._of(actor):
            if self.more_to_come:
                self._idle.append(actor)
            else:
                _end(actor)

    def add(self, batch: Batch) -> None:
        """Add a batch to be scored."""
        self.waiting.append(batch)
        if self._idle:
            self._give_work(self._idle.pop())
        else:
            self._replace_lost()

    def no_more(self) -> None:
        """Declare that no more batches will be added, so that idle actors end."""
        self.more_to_come = False
        while self._idle:
            _end(self._idle.pop())

    def _replace_lost(self) -> bool:
        """Start an actor if work is waiting and actors are missing."""
        if not self.waiting or self._n_alive() >= self.n_actors:
            return False
        self._add_actor()
        return True

    def _of(self, actor: Any) -> list[Batch | None]:
        return [batch for busy, batch in self.calls.values() if busy is actor]

    def _has_room(self, actor: Any, batch: Batch) -> bool:
        under_way = self._of(actor)
        # a batch that failed before runs alone, so that no other batch is blamed if it kills its actor
        alone = batch.failures or any(other is not None and other.failures for other in under_way)
        return len(under_way) < (1 if alone else self.in_flight)

    @property
    def unfinished(self) -> bool:
        """Whether a batch is waiting or being scored."""
        return bool(self.waiting) or any(batch is not None for _, batch in self.calls.values())

    @property
    def starting(self) -> bool:
        """Whether no actor has started working yet."""
        return all(batch is None for _, batch in self.calls.values())

    def answers(self) -> Iterator[list[Any]]:
        """Start the actors and yield the results of each batch as they arrive, until none is left.

        Yields
        ------
        list
            Results of a batch; empty if an actor has started or was lost.

        Raises
        ------
        ScoringError
            If a batch failed more often than allowed (the message names its ids), or no actor starts although one is
            placed or resources are free.
        """
        import ray

        self.start()
        last_start = last_said = time.monotonic()
        while self.unfinished or self.more_to_come:
            ended, _ = ray.wait(list(self.calls), num_returns=1, timeout=_POLL_S)
            now = time.monotonic()
            if ended or not self.starting:
                last_start = last_said = now
            elif not self._is_one_placed() and not _is_free(self.resources):
                last_start = now
                if now - last_said > _SAY_S:
                    last_said = now
                    logger.warning(
                        "waiting for Ray, which has no free resources for an actor (%s); free: %s",
                        dict(self.resources),
                        ray.available_resources(),
                    )
            elif now - last_start > _START_TIMEOUT_S:
                raise ScoringError(
                    f"no actor started within {_START_TIMEOUT_S:g} s; free in Ray: {ray.available_resources()}"
                )
            for call in ended:
                yield self.take(call)

    def _is_one_placed(self) -> bool:
        """Whether Ray has placed a starting actor, i.e. given it a process and resources."""
        import ray

        placing = list(self._placing.values())
        return bool(placing and ray.wait(placing, num_returns=1, timeout=0)[0])

    def take(self, call: Any) -> list[Any]:
        """Return the result of a finished call, and give its actor, or a new one, more work.

        Raises
        ------
        ScoringError
            If its batch has failed too often, or actors cannot start.
        """
        import ray

        actor, batch = self.calls.pop(call)
        self._placing.pop(call, None)
        try:
            answer: Answer = ray.get(call)
        except (
            ray.exceptions.RayActorError,  # killed, unreachable, or lost with its node
            ray.exceptions.OutOfMemoryError,
            ray.exceptions.NodeDiedError,
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.RuntimeEnvSetupError,
            ray.exceptions.ObjectLostError,  # finished, but the result was lost with its node
        ) as error:
            _end(actor)
            return self._actor_died(batch, error)
        except ray.exceptions.RayTaskError as error:
            given_up = self._failed(batch, error)
            self._give_work(actor)
            return given_up
        self.used[answer.actor] = answer
        self._give_work(actor)
        return answer.predictions

    def _actor_died(self, batch: Batch | None, error: Exception) -> list[Any]:
        given_up: list[Any] = []
        # an exception in the constructor would recur in the next actor, whereas a killed process may not
        if getattr(error, "actor_init_failed", False):
            raise ScoringError(f"an actor cannot start: {error}") from error
        if batch is None:
            self.failed_starts += 1
            # the loss of a node while its actors start takes all of them with it, but must not stop a Screen
            if self.failed_starts > self.max_failures * self.n_actors:
                if self.starting:
                    raise ScoringError(f"{self.failed_starts} actors died while they started: {error}") from error
                logger.warning("an actor died while starting and is not replaced; the others continue (%s)", error)
                return []
        else:
            given_up = self._failed(batch, error)
        # its other batches fail too, before it counts as dead
        if self._replace_lost():
            logger.warning("an actor died and is replaced: %s", error)
        return given_up

    def _failed(self, batch: Batch | None, error: Exception) -> list[Any]:
        """Queue a batch again or, if it failed too often, return the substitute for its results."""
        if batch is None:
            raise ScoringError(f"an actor cannot start: {error}") from error
        batch.failures += 1
        if batch.failures > self.max_failures:
            if self.give_up is not None:
                return self.give_up(batch, error)
            raise ScoringError(
                f"{len(batch.ids)} candidates were tried {batch.failures} times and not scored: "
                f"{', '.join(batch.ids)}. Last cause: {error}"
            ) from error
        logger.warning("a batch of %d candidates is scored again: %s", len(batch.ids), error)
        self.waiting.append(batch)
        return []

    def usage(self, *, num_gpus: float) -> Usage:
        """Return the usage of all actors with ``num_gpus`` GPUs each."""
        return Usage(
            cpu_s=sum(answer.cpu_s for answer in self.used.values()),
            gpu_s=num_gpus * sum(answer.wall_s for answer in self.used.values()),
        )

    def end(self) -> None:
        """End all actors."""
        for actor, _ in self.calls.values():
            _end(actor)
        self.calls.clear()
        self._placing.clear()
        self.no_more()


def _is_free(resources: Mapping[str, float]) -> bool:
    """Return whether Ray has these resources free; other Screens may use all of them."""
    import ray

    free = ray.available_resources()
    return all(free.get(name, 0.0) >= needed for name, needed in resources.items())


def _end(actor: Any) -> None:
    import ray

    ray.kill(actor, no_restart=True)

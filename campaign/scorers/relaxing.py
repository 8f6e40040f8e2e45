"""Relax the candidates of a Screen with interatomic potentials, in its own process or in Ray actors."""

import importlib.util
import logging
import sys
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from campaign.scorers.base import ActorSettings, ScoringContext
from campaign.scorers.chosen_potential import ChosenPotential
from campaign.scorers.element_energies import ElementEnergies
from campaign.scorers.relaxation import Guards
from campaign.scorers.relaxation_order import Formed, RelaxationOrder
from campaign.scorers.relaxing_actor import RelaxingActor, relax
from esnet.potentials.potentials import EMT
from esnet.ray.metrics import RayMetrics
from esnet.ray.session import is_ray_at_hand, ray_session
from esnet.ray.workers import gpus_of_a_worker, room_for, room_on_cores, worker_options
from esnet.scoring.pool import ActorPool, Batch, Usage
from esnet.scoring.progress import Progress

logger = logging.getLogger(__name__)

#: Memory of an actor with one potential (docs/reference/potentials.md), and for each further potential.
_BYTES, _BYTES_MORE = 1.0 * 2**30, 0.25 * 2**30
#: Crystals waiting in memory per actor.
_AHEAD = 8
#: Number of times a crystal is resubmitted after its actor died.
_MAX_FAILURES = 2


@dataclass(frozen=True, kw_only=True)
class Relaxations:
    """How candidates are relaxed.

    Attributes
    ----------
    potentials
        Potentials, all applied to each crystal.
    steps, force_tolerance, guards
        As in the section ``scorer`` of a campaign file.
    """

    potentials: Sequence[ChosenPotential]
    steps: int
    force_tolerance: float
    guards: Guards

    def uses_ray(self, actors: ActorSettings) -> bool:
        """Whether the relaxations run in Ray actors.

        They do if ``screening.actors`` is set, or if a running Ray can be joined and a potential is an ML one. Without
        Ray they
        run in the Screen's own process: on one machine the Screens of `campaign run` already share its cores.
        """
        if importlib.util.find_spec("ray") is None:
            if actors.actors is not None:
                logger.warning("Ray is not installed: screening.actors has no effect, crystals are relaxed here")
            return False
        return actors.actors is not None or (
            is_ray_at_hand() and any(potential.calculator != EMT for potential in self.potentials)
        )

    @contextmanager
    def connected(self, context: ScoringContext) -> Iterator[None]:
        """Stay connected to Ray, as a job named after the Screen, if the relaxations use it."""
        if not self.uses_ray(context.actors):
            yield
            return
        with ray_session(name=context.step_id):
            yield

    def run(self, ids: Sequence[str], context: ScoringContext) -> Iterator[Formed]:
        """Relax the elements' crystals, each once in a campaign, and the candidates; yield each that is done."""
        settings = {"steps": self.steps, "force_tolerance": self.force_tolerance, "guards": self.guards.model_dump()}
        known = ElementEnergies(self.potentials, settings, context)
        order = RelaxationOrder(len(self.potentials), context.element_structures, self.guards, known)
        yield from self._run(ids, context, order)

    def changes(self, ids: Sequence[str], context: ScoringContext) -> Iterator[Formed]:
        """Relax the candidates alone; yield the change of the energy of each that is done."""
        yield from self._run(ids, context, RelaxationOrder(len(self.potentials), None, self.guards))

    def _run(self, ids: Sequence[str], context: ScoringContext, order: RelaxationOrder) -> Iterator[Formed]:
        with self.connected(context):
            yield from (self._in_ray if self.uses_ray(context.actors) else self._here)(ids, context, order)

    def _here(self, ids: Sequence[str], context: ScoringContext, order: RelaxationOrder) -> Iterator[Formed]:
        relaxers = [
            potential.load(steps=self.steps, force_tolerance=self.force_tolerance, guards=self.guards)
            for potential in self.potentials
        ]
        with _telling_gpu(context):
            for name, structure in context.structures(ids):
                order.add(name, structure)
                while (task := order.next()) is not None:
                    order.done(task, relax(task, relaxers))
                yield from order.formed()

    def _in_ray(self, ids: Sequence[str], context: ScoringContext, order: RelaxationOrder) -> Iterator[Formed]:
        import ray

        name = context.step_id or context.campaign.name
        gpus = gpus_of_a_worker() if context.actors.gpus_per_actor is None else context.actors.gpus_per_actor
        options = worker_options(cpu_threads=1, num_gpus=gpus)
        if not gpus:
            options["runtime_env"]["env_vars"]["CUDA_VISIBLE_DEVICES"] = ""  # a potential uses any GPU it finds
        resources = {"CPU": 1.0, "GPU": gpus} if gpus else {"CPU": 1.0}
        n_actors = context.actors.actors
        if n_actors is None and gpus:
            n_actors = room_for(num_gpus=gpus)
        elif n_actors is None:
            bytes_each = _BYTES + _BYTES_MORE * (len(self.potentials) - 1)
            n_actors, options["memory"] = room_on_cores(bytes_each=int(bytes_each))
            resources["memory"] = options["memory"]
        actor_class = ray.remote(**options, max_restarts=0)(RelaxingActor)
        # actor names must be unique, and the same Screen may run twice
        titles, run = (f"{name} relaxer {number}" for number in count(1)), uuid.uuid4().hex[:6]

        def new_actor() -> Any:
            title = next(titles)
            named = actor_class.options(name=f"{title} ({run})")
            return named.remote(title, list(self.potentials), self.steps, self.force_tolerance, self.guards)

        pool = ActorPool(
            new_actor=new_actor,
            max_failures=_MAX_FAILURES,
            waiting=deque(),
            n_actors=min(n_actors, len(ids)),
            task_name=f"{name}: relax",
            in_flight=1,
            more_to_come=True,
            give_up=self._give_up,
            resources=resources,
        )
        progress = Progress(RayMetrics(name.split("/")[0]), len(ids))
        told = Usage(cpu_s=0.0, gpu_s=0.0)

        def tell_usage() -> None:
            nonlocal told
            used = pool.usage(num_gpus=gpus)
            context.on_usage(Usage(cpu_s=used.cpu_s - told.cpu_s, gpu_s=used.gpu_s - told.gpu_s))
            told = used

        try:
            for formed in _feed(pool, order, context.structures(ids), progress):
                tell_usage()  # repeatedly, so that hours used by a Screen killed later are counted
                yield formed
        finally:
            progress.end()
            pool.end()
            tell_usage()

    def _give_up(self, batch: Batch, error: Exception) -> list[Any]:
        """Return the reason for a crystal whose relaxation repeatedly kills its process, so that the others can
        proceed.
        """
        reason = f"its relaxation killed its process {batch.failures} times ({type(error).__name__})"
        logger.warning("%s: %s: %s", batch.ids[0], reason, error)
        return [(batch.content, [reason] * len(self.potentials))]


def _feed(
    pool: ActorPool, order: RelaxationOrder, structures: Iterator[tuple[str, Any]], progress: Progress
) -> Iterator[Formed]:
    """Keep the actors busy: read crystals as needed, and yield candidates as they finish."""
    coming, all_read, given_out = iter(structures), False, 0

    def give_out() -> None:
        nonlocal all_read, given_out
        ahead = pool.n_actors + _AHEAD
        while len(pool.waiting) < ahead:
            # held candidates wait for elements that are ready or being relaxed, so no further candidate is needed for
            # them
            while not all_read and order.n_ready + order.n_held + len(pool.waiting) < ahead:
                found = next(coming, None)
                if found is None:
                    all_read = True
                else:
                    order.add(*found)
            if (task := order.next()) is None:
                break
            given_out += 1
            pool.add(Batch([task.name], content=task))
        if all_read and not given_out:
            pool.no_more()

    give_out()
    yield from _told(order, progress)
    if not pool.more_to_come:
        return  # there is nothing to relax
    for results in pool.answers():
        for task, energies in results:
            given_out -= 1
            order.done(task, energies)
        give_out()
        yield from _told(order, progress)


def _told(order: RelaxationOrder, progress: Progress) -> list[Formed]:
    formed = order.formed()
    progress.tell(len(formed))
    return formed


@contextmanager
def _telling_gpu(context: ScoringContext) -> Iterator[None]:
    """Count the GPU used by an ML potential; the CPU-seconds are those of this process."""
    started = time.monotonic()
    try:
        yield
    finally:
        torch: Any = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_initialized():
            context.on_usage(Usage(cpu_s=0.0, gpu_s=time.monotonic() - started))

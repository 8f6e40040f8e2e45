"""Ray actor that relaxes crystals one after the other with its own copy of each potential."""

import logging
import os
from collections.abc import Sequence
from typing import Any

from campaign.scorers.chosen_potential import ChosenPotential
from campaign.scorers.relaxation import Guards, Relaxer
from campaign.scorers.relaxation_order import EnergyOrReason, Task
from esnet.potentials.relaxation import NoEnergyError
from esnet.scoring.pool import Answer
from esnet.scoring.pool_actor import PoolActor

logger = logging.getLogger(__name__)


class RelaxingActor(PoolActor):
    """The class of the Ray actor; it receives a `Task` and returns the crystal's energies.

    Parameters
    ----------
    title
        Name of the actor, in its log.
    potentials, steps, force_tolerance, guards
        As in the section ``scorer`` of a campaign file.
    """

    _title = "relaxer"

    def __init__(
        self, title: str, potentials: Sequence[ChosenPotential], steps: int, force_tolerance: float, guards: Guards
    ) -> None:
        super().__init__(title)
        self._potentials = potentials
        self._settings: dict[str, Any] = {"steps": steps, "force_tolerance": force_tolerance, "guards": guards}
        self._relaxed = 0

    def ready(self) -> Answer:
        """Load the potentials before anything is relaxed."""
        self._relaxers = [potential.load(**self._settings) for potential in self._potentials]
        return self._answer([])

    def score(self, task: Task) -> Answer:
        """Relax one crystal with each potential; the process exits if its machine has failed, so that a new one takes
        over.
        """
        try:
            energies = relax(task, self._relaxers)
        except RuntimeError:
            logger.exception("%s: %s was not relaxed, and this process ends", self._title, task.name)
            logging.shutdown()
            os._exit(1)
        self._relaxed += 1
        answer = self._answer([(task, energies)])
        logger.info("%s: %d crystals relaxed, %.0f s since the start", self._title, self._relaxed, answer.wall_s)
        return answer


def relax(task: Task, relaxers: Sequence[Relaxer]) -> list[EnergyOrReason]:
    """Relax a crystal with each potential that knows its elements."""
    zeros: Sequence[EnergyOrReason | None] = task.zeros or [None] * len(relaxers)
    return [_relax(task, relaxer, zero) for relaxer, zero in zip(relaxers, zeros, strict=True)]


def _relax(task: Task, relaxer: Relaxer, zero: EnergyOrReason | None) -> EnergyOrReason:
    if isinstance(zero, str):
        return zero
    try:
        if task.asks_change:
            return relaxer.relaxation_energy(task.structure)
        return relaxer.energy(task.structure) if zero is None else relaxer.formation_energy(task.structure, zero)
    except NoEnergyError as error:
        return str(error)

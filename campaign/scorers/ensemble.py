"""Two or more interatomic potentials as one scorer: the mean of their energies, with their spread as uncertainty.

Potentials that fail usually fail badly but differently, so that their disagreement reveals it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from campaign.scorers.base import Score, ScoredCampaign, ScorerProblem
from campaign.scorers.chosen_potential import ChosenPotential
from campaign.scorers.relaxation import Guards
from campaign.scorers.relaxation_order import Formed
from campaign.scorers.relaxing import Relaxations
from campaign.scorers.relaxing_scorer import ForceTolerance, RelaxingScorer, Steps
from esnet.dataset.mp2020 import convert_formation_energy
from esnet.potentials.potentials import model_of


def _check_members(potentials: list[ChosenPotential]) -> list[ChosenPotential]:
    if len(potentials) < 2:
        raise ValueError("an ensemble needs at least two potentials; right: two or more, or scorer.kind: force_field")
    names = [(each.calculator, model_of(each.calculator, each.model)) for each in potentials]
    if twice := next((name for name in names if names.count(name) > 1), None):
        right = "right: each once, e.g. [{calculator: CHGNet}, {calculator: SevenNet, model: l3i5}]"
        raise ValueError(
            f"{' '.join(part for part in twice if part)} is given twice: the spread would be zero; {right}"
        )
    return potentials


class Ensemble(RelaxingScorer):
    """Mean formation energy of several potentials; each candidate is relaxed with all of them.

    sigma = sqrt((calibration * s)^2 + floor^2), s: standard deviation of the potentials' energies (n - 1). If one of
    them gives no energy, the prediction contains its reason; with two potentials, the other's energy is then the
    prediction, with the uncertainty ``alone``.
    """

    kind: Literal["ensemble"] = Field(default="ensemble", description="ensemble")
    potentials: Annotated[list[ChosenPotential], AfterValidator(_check_members)] = Field(
        description="two or more potentials, each with calculator, model and corrections as in force_field"
    )
    calibration: float = Field(
        default=1.0,
        gt=0.0,
        le=100.0,
        description="factor on the spread of the potentials, no unit; 1.0 is an assumption "
        "(docs/reference/potentials.md)",
    )
    floor: float = Field(
        default=0.05,
        gt=0.0,
        le=20.0,
        description="smallest standard deviation in eV/atom, for potentials that happen to agree",
    )
    alone: float | None = Field(
        default=0.5,
        gt=0.0,
        le=20.0,
        description="standard deviation in eV/atom if only one potential gives an energy; null: no prediction in this "
        "case",
    )
    steps: Steps = 500
    force_tolerance: ForceTolerance = 0.03
    guards: Guards = Field(default=Guards(), description="conditions that end a relaxation without an energy")

    def relaxations(self) -> Relaxations:
        """Return how its candidates are relaxed."""
        return Relaxations(
            potentials=self.potentials, steps=self.steps, force_tolerance=self.force_tolerance, guards=self.guards
        )

    def predict(self, formed: Formed) -> Score:
        """Average the potentials' energies once all have the same corrections."""
        energies, reasons = [], []
        for potential, energy in zip(self.potentials, formed.energies, strict=True):
            found = self._converted(energy, potential, formed)
            if isinstance(found, str):
                reasons.append(f"{potential.describe()}: {found}")
            else:
                energies.append(found)
        told = "; ".join(reasons) or None
        if not energies or (len(energies) == 1 and self.alone is None):
            return Score(id=formed.name, e_form=None, reason=told)
        score = Score(id=formed.name, e_form=fmean(energies), reason=told)
        if len(energies) == 1:
            return replace(score, uncertainty=self.alone)
        spread = math.hypot(self.calibration * stdev(energies), self.floor)
        # with three or more, one failure makes the others less certain, too
        return replace(score, uncertainty=max(spread, self.alone or 0.0) if reasons else spread)

    def _converted(self, energy: float | str, potential: ChosenPotential, formed: Formed) -> float | str:
        given, wanted = potential.energy_corrections(), self.energy_corrections(None)
        if isinstance(energy, str) or given is None or wanted is None:
            return energy
        found = convert_formation_energy(energy, formed.structure, given=given, wanted=wanted)
        return str(found.reason) if found.energy is None else found.energy

    def gives_uncertainty(self) -> bool:
        """Return True: the settings define one."""
        return True

    def identity(self, campaign: ScoredCampaign) -> dict[str, Any]:
        """Return the potentials, their weights, the settings, and the versions that affect the energies."""
        potentials = [{**each.model_dump(mode="json"), **each.identity()} for each in self.potentials]
        versions = {name: version for each in self.potentials for name, version in each.versions().items()}
        return {**self.to_dict(), "potentials": potentials, "versions": versions}

    def energy_corrections(self, campaign: ScoredCampaign | None) -> str | None:
        """Return the corrections that all potentials are converted to: their own if they agree, otherwise ``none``."""
        given = {potential.energy_corrections() for potential in self.potentials}
        if None in given:
            return None
        return given.pop() if len(given) == 1 else "none"

    def problems(self, elements: Sequence[str]) -> Iterator[ScorerProblem]:
        """Yield the problems of each potential."""
        for place, potential in enumerate(self.potentials):
            yield from potential.problems(elements, ("scorer", "potentials", place))

    def problems_here(self, elements: Sequence[str]) -> Iterator[ScorerProblem]:
        """Check that the potentials are on this machine, and query them for the elements."""
        for place, potential in enumerate(self.potentials):
            yield from potential.problems_here(elements, ("scorer", "potentials", place))

    def describe(self) -> str:
        """Return a short description."""
        return f"relaxations with the potentials {', '.join(each.describe() for each in self.potentials)}"

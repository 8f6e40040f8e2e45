"""An interatomic potential as a scorer: relaxes candidates and their elements; needs no DOS and no training."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from campaign.scorers.base import Score, ScoredCampaign, ScorerProblem
from campaign.scorers.chosen_potential import Calculator, ChosenPotential, Corrections, WeightsName
from campaign.scorers.relaxation import Guards
from campaign.scorers.relaxation_order import Formed
from campaign.scorers.relaxing import Relaxations
from campaign.scorers.relaxing_scorer import ForceTolerance, RelaxingScorer, Steps


class ForceField(RelaxingScorer):
    """Formation energy from one potential, E_f = (E - sum of the elements' energies) / n, all relaxed."""

    kind: Literal["force_field"] = Field(default="force_field", description="force_field")
    calculator: Calculator
    model: WeightsName = None
    steps: Steps = 500
    force_tolerance: ForceTolerance = 0.03
    uncertainty: float | None = Field(
        default=None, gt=0.0, le=20.0, description="standard deviation of every prediction in eV/atom; null: unknown"
    )
    corrections: Corrections = None
    guards: Guards = Field(default=Guards(), description="conditions that end a relaxation without a prediction")

    def potential(self) -> ChosenPotential:
        """Return the potential."""
        return ChosenPotential(calculator=self.calculator, model=self.model, corrections=self.corrections)

    def relaxations(self) -> Relaxations:
        """Return how its candidates are relaxed."""
        return Relaxations(
            potentials=[self.potential()], steps=self.steps, force_tolerance=self.force_tolerance, guards=self.guards
        )

    def predict(self, formed: Formed) -> Score:
        """Return the formation energy as the prediction."""
        (energy,) = formed.energies
        if isinstance(energy, str):
            return Score(id=formed.name, e_form=None, reason=energy)
        return Score(id=formed.name, e_form=energy, uncertainty=self.uncertainty)

    def source(self) -> Mapping[str, Any]:
        """Return the settings, with the potential's weights."""
        return {**super().source(), **self.potential().identity()}

    def gives_uncertainty(self) -> bool:
        """Whether the settings define one."""
        return self.uncertainty is not None

    def identity(self, campaign: ScoredCampaign) -> dict[str, Any]:
        """Return the potential, its weights, its settings, and the versions that affect its energies."""
        return {**self.to_dict(), **self.potential().identity(), "versions": self.potential().versions()}

    def energy_corrections(self, campaign: ScoredCampaign | None) -> str | None:
        """Return the corrections contained in the potential's energies."""
        return self.potential().energy_corrections()

    def problems(self, elements: Sequence[str]) -> Iterator[ScorerProblem]:
        """Yield problems: energies of another kind, or elements that EMT does not describe.

        The elements of an ML potential are checked in `problems_here`.
        """
        yield from self.potential().problems(elements, ("scorer",))

    def problems_here(self, elements: Sequence[str]) -> Iterator[ScorerProblem]:
        """Check that the potential is on this machine, and query it for the elements."""
        yield from self.potential().problems_here(elements, ("scorer",))

    def describe(self) -> str:
        """Return a short description."""
        return f"relaxations with the potential {self.potential().describe()}"

    def short_name(self) -> str:
        """Return its name next to other scorers."""
        return self.potential().describe()

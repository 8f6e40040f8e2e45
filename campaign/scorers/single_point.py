"""The IS-DOS calculation's own total energy as a prediction; needs neither training nor an energy scheme of its own.

Every IS-DOS is a single point of the unrelaxed crystal, whose energy has been paid for with the DOS. It lies above that
of the relaxed crystal by what the relaxation will gain, which an interatomic potential can estimate.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Literal

from pydantic import Field

from campaign.scorers.base import (
    REFERENCES,
    ActorSettings,
    Score,
    ScoredCampaign,
    Scorer,
    ScorerProblem,
    ScoringContext,
)
from campaign.scorers.chosen_potential import Calculator, ChosenPotential, WeightsName
from campaign.scorers.relaxation import Guards
from campaign.scorers.relaxing import Relaxations
from campaign.scorers.relaxing_scorer import ForceTolerance, Steps


class SinglePoint(Scorer):
    """Formation energy of the unrelaxed crystal, plus the change of a potential's energy in its relaxation.

    E_f = E_f(IS) + E_potential(relaxed) - E_potential(unrelaxed). Without a potential, E_f = E_f(IS): an upper bound,
    except for differences between the settings of the two calculations.
    """

    kind: Literal["single_point"] = Field(default="single_point", description="single_point")
    calculator: Calculator | None = Field(
        default=None,
        description="potential that relaxes the crystal, as in force_field; only the change of its energy is used. "
        "null: E_f of the unrelaxed crystal is the prediction",
    )
    model: WeightsName = None
    steps: Steps = 500
    force_tolerance: ForceTolerance = 0.03
    uncertainty: float | None = Field(
        default=None, gt=0.0, le=20.0, description="standard deviation of every prediction in eV/atom; null: unknown"
    )
    guards: Guards = Field(default=Guards(), description="conditions that end a relaxation without a prediction")
    needs_dos: ClassVar[bool] = True

    def score(self, ids: Sequence[str], context: ScoringContext) -> Iterator[Score]:
        """Read the energies of the IS-DOS calculations, and relax with the potential if there is one."""
        unrelaxed = {found.id: found for found in context.single_points(ids)}
        usable = [name for name in ids if unrelaxed[name].e_form is not None]
        yield from (found for found in unrelaxed.values() if found.e_form is None)
        relaxations = self.relaxations()
        if relaxations is None:
            yield from (self._score(unrelaxed[name], 0.0) for name in usable)
        else:
            for found in relaxations.changes(usable, context):
                yield self._score(unrelaxed[found.name], found.energies[0])

    def _score(self, unrelaxed: Score, change: float | str) -> Score:
        if unrelaxed.e_form is None or isinstance(change, str):
            return Score(id=unrelaxed.id, e_form=None, reason=unrelaxed.reason or str(change))
        return Score(id=unrelaxed.id, e_form=unrelaxed.e_form + change, uncertainty=self.uncertainty)

    def potential(self) -> ChosenPotential | None:
        """Return the potential, if there is one."""
        return None if self.calculator is None else ChosenPotential(calculator=self.calculator, model=self.model)

    def relaxations(self) -> Relaxations | None:
        """Return how candidates are relaxed, if they are."""
        potential = self.potential()
        if potential is None:
            return None
        return Relaxations(
            potentials=[potential], steps=self.steps, force_tolerance=self.force_tolerance, guards=self.guards
        )

    def relaxes(self) -> bool:
        """Whether there is a potential."""
        return self.calculator is not None

    def source(self) -> Mapping[str, Any]:
        """Return the settings, with the weights of the potential, if there is one."""
        potential = self.potential()
        return {**super().source(), **({} if potential is None else potential.identity())}

    def connected(self, context: ScoringContext) -> AbstractContextManager[None]:
        """Stay connected to Ray if the relaxations use it."""
        relaxations = self.relaxations()
        return nullcontext() if relaxations is None else relaxations.connected(context)

    def uses_ray(self, actors: ActorSettings) -> bool:
        """Whether ``screening.actors`` is set, there is a potential, and Ray is installed."""
        relaxations = self.relaxations()
        return relaxations is not None and actors.actors is not None and relaxations.uses_ray(actors)

    def identity(self, campaign: ScoredCampaign) -> dict[str, Any]:
        """Return the settings, and the potential with the versions that affect its energies."""
        potential = self.potential()
        if potential is None:
            return {"kind": self.kind, "uncertainty": self.uncertainty}
        return {**self.to_dict(), **potential.identity(), "versions": potential.versions()}

    def energy_corrections(self, campaign: ScoredCampaign | None) -> str:
        """Return `REFERENCES`: its energies are calculated, and corrected as the campaign's results are."""
        return REFERENCES

    def problems(self, elements: Sequence[str]) -> Iterator[ScorerProblem]:
        """Yield weights without a potential, and the potential's problems."""
        potential = self.potential()
        if potential is not None:
            yield from potential.problems(elements, ("scorer",))
        elif self.model is not None:
            found = f"found {self.model!r}, the weights of a potential, but calculator is null"
            yield ScorerProblem(("scorer", "model"), f"{found}; right: name the calculator, or leave model out")

    def problems_here(self, elements: Sequence[str]) -> Iterator[ScorerProblem]:
        """Check that the potential is on this machine, and query it for the elements."""
        potential = self.potential()
        if potential is not None:
            yield from potential.problems_here(elements, ("scorer",))

    def gives_uncertainty(self) -> bool:
        """Whether the settings define one."""
        return self.uncertainty is not None

    def gives_novelty(self) -> bool:
        """Return False: it has no training data."""
        return False

    def describe(self) -> str:
        """Return a short description."""
        potential = self.potential()
        change = "" if potential is None else f", changed by a relaxation with the potential {potential.describe()}"
        return f"the energy of the IS-DOS calculation{change}"

    def short_name(self) -> str:
        """Return its name next to other scorers."""
        potential = self.potential()
        return "single point" if potential is None else f"single point, {potential.describe()}"

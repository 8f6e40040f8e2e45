"""Section ``prefilter``: a scorer without DOS that judges every candidate before its IS-DOS."""

from pydantic import Field, field_validator

from campaign.config.strict_model import EnergyPerAtom, StrictModel
from campaign.config.yaml_file import FieldPath
from campaign.policies.base import Verdict
from campaign.policies.prefilter import prefilter_verdict
from campaign.scorers.base import Scorer, ScorerProblem
from campaign.scorers.placed import placed
from campaign.spec.sections.chosen import ChosenScorer


class PrefilterSection(StrictModel):
    """Scorer that rejects candidates before their IS-DOS if its prediction puts them too far above the hull."""

    scorer: ChosenScorer = Field(
        description="the scorer, e.g. {kind: force_field, calculator: CHGNet}; must need neither an IS-DOS nor ESNet"
    )
    max_hull_energy: EnergyPerAtom = Field(
        default=0.1, description="rejected if E_hull(prefilter) - z x uncertainty is above this, eV/atom"
    )
    z: float = Field(default=2.0, ge=0.0, le=10.0, description="margin z, in standard deviations of the scorer's error")
    uncertainty: float | None = Field(
        default=None,
        gt=0.0,
        le=20.0,
        description="standard deviation in eV/atom for predictions without one; null: unknown, and candidates without "
        "one get their IS-DOS",
    )

    @field_validator("scorer")
    @classmethod
    def _needs_no_dos(cls, scorer: Scorer) -> Scorer:
        if len(scorer.members()) > 1:
            raise ValueError(
                f"found {scorer.describe()}; a prefilter is one scorer; right: one of them, or several potentials as "
                "{kind: ensemble}"
            )
        if scorer.needs_dos or scorer.needs_model:
            needed = "an IS-DOS of every candidate" if scorer.needs_dos else "the campaign's ESNet"
            raise ValueError(
                f"found kind {scorer.kind!r}, which needs {needed}; a prefilter runs before any IS-DOS; right: a "
                "scorer that needs neither, e.g. {kind: force_field, calculator: CHGNet}"
            )
        return scorer

    def deviation(self, predicted: float | None) -> float | None:
        """Return the standard deviation of a prediction, eV/atom: the scorer's own, otherwise that of this section."""
        return self.uncertainty if predicted is None else predicted

    def verdict(self, e_hull: float | None, uncertainty: float | None, *, why_none: str | None = None) -> Verdict:
        """Judge a prediction, see `prefilter_verdict`."""
        return prefilter_verdict(e_hull, uncertainty, z=self.z, max_hull_energy=self.max_hull_energy, why_none=why_none)

    def gives_uncertainty(self) -> bool | None:
        """Whether its predictions have a standard deviation; None if known only after scoring."""
        return True if self.uncertainty is not None else self.scorer.gives_uncertainty()

    def describe(self) -> str:
        """Return a one-line description of the rejected candidates."""
        return (
            f"prefilter by {self.scorer.describe()}: no IS-DOS where E_hull - {self.z:g} x uncertainty is above "
            f"{self.max_hull_energy:g} eV/atom"
        )


def prefilter_problem(path: FieldPath, message: str) -> ScorerProblem:
    """Return a problem of the prefilter's scorer, which a scorer reports for the section ``scorer``."""
    return placed(ScorerProblem(path, message), ("prefilter", "scorer"))

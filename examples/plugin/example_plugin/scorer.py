"""A scorer: formation energies from differences of electronegativity. A rule of thumb, to show how a scorer is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from campaign.scorers.base import Score, Scorer, ScorerProblem, ScoringContext

if TYPE_CHECKING:
    from campaign.store.campaigns import Campaign


class Electronegativity(Scorer):
    """E_f = -strength x sum over pairs of elements of x_i x_j (chi_i - chi_j)^2.

    x: atomic fractions, chi: Pauling's electronegativities (L. Pauling, J. Am. Chem. Soc. 54, 3570 (1932)).
    """

    kind: Literal["electronegativity"] = "electronegativity"
    strength: float = Field(default=4.0, gt=0.0, le=100.0, description="factor of the rule in eV/atom")
    uncertainty: float | None = Field(
        default=None, gt=0.0, le=20.0, description="standard deviation of every prediction in eV/atom; null: not known"
    )
    needs_dos: ClassVar[bool] = False
    needs_model: ClassVar[bool] = False

    def score(self, ids: Sequence[str], context: ScoringContext) -> Iterator[Score]:
        """One answer for each id, in any order; none without a reason."""
        for name, structure in context.structures(ids):
            fractions = structure.composition.fractional_composition
            energy = -self.strength * sum(
                fractions[one] * fractions[other] * (one.X - other.X) ** 2
                for one, other in combinations(fractions.elements, 2)
            )
            yield Score(id=name, e_form=float(energy), uncertainty=self.uncertainty)

    def identity(self, campaign: Campaign) -> dict[str, Any]:
        """What anybody needs to have the same numbers again; stored with every prediction."""
        import pymatgen.core

        return {**self.to_dict(), "versions": {"pymatgen": pymatgen.core.__version__}}

    def problems(self, elements: Sequence[str]) -> Iterator[ScorerProblem]:
        """Refuse, by name and before anything is submitted, what the rule knows nothing of."""
        import math

        from pymatgen.core import Element

        for symbol in elements:
            if math.isnan(Element(symbol).X):
                message = f"{symbol} has no electronegativity in Pauling's table; leave it out"
                yield ScorerProblem(("candidates", "elements", symbol), message)

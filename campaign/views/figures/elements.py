"""Fraction of stable candidates among the relaxed ones per element, for a periodic table."""

from collections import Counter
from dataclasses import dataclass

from pymatgen.core import Element

from campaign.views.figures.documents import CandidateColumns

FEWEST_RELAXED = 5
"""Number of relaxed candidates of an element below which a fraction is not meaningful."""
_F_BLOCK = {range(57, 72): 8, range(89, 104): 9}
"""Atomic numbers of the elements in the rows below the table, and those rows."""


@dataclass(frozen=True, kw_only=True)
class ElementSuccess:
    """Counts of one element.

    Attributes
    ----------
    symbol, row, column
        Position in the periodic table, counted from 1; rows 8 and 9 are the f block.
    n_candidates, n_relaxed, n_stable
        Candidates that contain it; those of them with a result; those that are stable.
    """

    symbol: str
    row: int
    column: int
    n_candidates: int
    n_relaxed: int
    n_stable: int

    @property
    def share(self) -> float | None:
        """Fraction of the relaxed candidates that are stable; None if too few are relaxed."""
        return self.n_stable / self.n_relaxed if self.n_relaxed >= FEWEST_RELAXED else None


def element_success(columns: CandidateColumns) -> list[ElementSuccess] | None:
    """Return the counts per element, or None if there are no candidates.

    Returns
    -------
    list of ElementSuccess or None
        All elements by atomic number, also without candidates; the f block only if a candidate contains one of its
        elements.
    """
    every: Counter[str] = Counter()
    relaxed: Counter[str] = Counter()
    stable: Counter[str] = Counter()
    for document, known, good in zip(columns.documents, columns.has_result, columns.stable, strict=True):
        symbols = set(document["chemsys"].split("-"))
        every.update(symbols)
        if known:
            relaxed.update(symbols)
            if good:
                stable.update(symbols)
    if not every:
        return None
    found = []
    for element in sorted(Element, key=lambda one: one.Z):
        symbol = element.symbol
        numbers, row = next((item for item in _F_BLOCK.items() if element.Z in item[0]), (None, element.row))
        column = element.group if numbers is None else element.Z - numbers.start + 3
        counts = {"n_candidates": every[symbol], "n_relaxed": relaxed[symbol], "n_stable": stable[symbol]}
        found.append(ElementSuccess(symbol=symbol, row=row, column=column, **counts))
    below = set(_F_BLOCK.values())
    if not any(one.n_candidates for one in found if one.row in below):
        found = [one for one in found if one.row not in below]
    return found

"""Complete rows of a campaign's results for other programs; heavy fields are read in batches."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from pymatgen.core import Composition

from campaign.candidates.space_groups import space_group_of
from campaign.hull.facets import HullGapError
from campaign.hull.hull import HullSet
from campaign.references.reference_sets import load_hull
from campaign.store.campaigns import Campaign
from campaign.store.candidates import candidates_by_id
from campaign.store.collections import in_chunks
from campaign.views.results import Row, result_rows

AT_ONCE = 500
"""Number of candidates whose structures are in memory together: some MB."""
_FIELDS = ("chemsys", "n_sites", "composition", "decision.reason", "structure", "relaxation.structure")
STRUCTURES = ("structure", "relaxed_structure")


@dataclass(frozen=True, kw_only=True, slots=True)
class FullRow(Row):
    """A row of `campaign.views.results.Row` with everything else.

    Attributes
    ----------
    chemsys
        Elements, e.g. ``Al-Pd``.
    n_sites
        Atoms in the cell.
    reason
        Of the decision.
    space_group, space_group_number
        Of the unrelaxed crystal (`campaign.candidates.space_groups.space_group_of`): Hermann-Mauguin symbol, and number
        in International Tables A.
    relaxed_space_group, relaxed_space_group_number
        Of the relaxed crystal.
    decomposition
        Phases on the hull of the reference set that the composition decomposes into, with the share of the atoms in
        each: ``0.5 Al + 0.5 AlPd2``. None where the reference set is not frozen yet, or lacks an element.
    structure, relaxed_structure
        pymatgen's dictionaries, lengths in A.
    """

    chemsys: str
    n_sites: int
    reason: str | None
    space_group: str | None
    space_group_number: int | None
    relaxed_space_group: str | None
    relaxed_space_group_number: int | None
    decomposition: str | None
    structure: dict[str, Any] | None
    relaxed_structure: dict[str, Any] | None


def column_names(*, structures: bool) -> list[str]:
    """Return the names of the columns of `full_rows` in order."""
    return [field.name for field in fields(FullRow) if structures or field.name not in STRUCTURES]


def full_rows(campaign: Campaign, rows: Sequence[Row] | None = None) -> Iterator[FullRow]:
    """Yield the rows of ``campaign results`` with all stored data of each candidate.

    All plain rows are in memory, but the other data of only `AT_ONCE` candidates at a time.

    Parameters
    ----------
    rows
        The rows to complete; None: all.
    """
    checksum = campaign.document.get("reference_set")
    hull = None if checksum is None else load_hull(campaign.store, checksum)
    for part in in_chunks(result_rows(campaign) if rows is None else rows, AT_ONCE):
        documents = candidates_by_id(campaign.store, [row.id for row in part], _FIELDS)
        known = [row for row in part if row.id in documents]
        found = [documents[row.id] for row in known]
        for row, document, decomposition in zip(known, found, decompositions(found, hull), strict=True):
            yield FullRow(**asdict(row), **_details(document), decomposition=decomposition)


def _details(document: Mapping[str, Any]) -> dict[str, Any]:
    unrelaxed = document.get("structure")
    relaxed = (document.get("relaxation") or {}).get("structure")
    symbol, number = space_group_of(unrelaxed) or (None, None)
    relaxed_symbol, relaxed_number = space_group_of(relaxed) or (None, None)
    return {
        "chemsys": document.get("chemsys") or "",
        "n_sites": int(document.get("n_sites") or 0),
        "reason": (document.get("decision") or {}).get("reason"),
        "space_group": symbol,
        "space_group_number": number,
        "relaxed_space_group": relaxed_symbol,
        "relaxed_space_group_number": relaxed_number,
        "structure": unrelaxed,
        "relaxed_structure": relaxed,
    }


def decompositions(documents: Sequence[Mapping[str, Any]], hull: HullSet | None) -> list[str | None]:
    """Return the decomposition of each candidate; None if there is no hull or it lacks an element."""
    if hull is None:
        return [None] * len(documents)
    found: list[str | None] = [None] * len(documents)
    known = hull.elemental_energies.keys()
    covered = [place for place, document in enumerate(documents) if document["composition"].keys() <= known]
    compositions = [Composition(documents[place]["composition"]) for place in covered]
    try:
        shares = hull.decompositions(compositions)
    except HullGapError:  # only one of them has no hull; the others are decomposed
        shares = [_decomposition(composition, hull) for composition in compositions]
    for place, phases in zip(covered, shares, strict=True):
        found[place] = format_decomposition(phases) or None
    return found


def _decomposition(composition: Composition, hull: HullSet) -> dict[str, float]:
    try:
        return hull.decompositions([composition])[0]
    except HullGapError:
        return {}


def format_decomposition(phases: Mapping[str, float]) -> str:
    """Format phases with their fractions of the atoms, e.g. ``0.5 Al + 0.5 AlPd2``."""
    return " + ".join(f"{share:.4g} {formula}" for formula, share in phases.items())

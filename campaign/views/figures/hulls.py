"""Convex hulls of a campaign's chemical systems with known phases and candidates."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from campaign.hull.chemical_systems import symbols_of
from campaign.hull.facets import HullGapError
from campaign.hull.hull import HullSet, MissingElementError
from campaign.references.reference_sets import load_hull
from campaign.store.campaigns import Campaign
from campaign.store.candidates import candidates_by_id
from campaign.store.documents import CandidateDocument
from campaign.views.export.full_rows import decompositions
from campaign.views.figures.documents import CandidateColumns
from campaign.views.results import Row

MOST_SYSTEMS = 60
"""Maximum number of chemical systems in a page, those with the most stable candidates first."""
MOST_CANDIDATES = 80
"""Maximum number of candidates per system, the most stable first."""
MOST_PHASES = 150
"""Maximum number of known phases per system: all on the hull, then the nearest above it."""
_ON_HULL = 1e-6
_DIGITS = 6  # of an energy in eV/atom, as in `campaign results`

Kind = Literal["known", "predicted", "relaxed", "stable"]


@dataclass(frozen=True, kw_only=True)
class HullPoint:
    """A known phase or a candidate.

    Attributes
    ----------
    id, name, formula
        Identity; a candidate's name is its formula with its prototype.
    kind
        ``known``: a phase of the reference set. A candidate is ``predicted`` (energies by the model), ``relaxed``
        (energies by DFT, not stable) or ``stable``.
    fractions
        Atomic fractions of the system's elements, in their order.
    e_form, e_above_hull
        Formation energy and distance to the hull of the known phases, eV/atom. A candidate's are those of
        ``campaign results``; below zero it is more stable than everything known.
    decomposition
        Known phases that this composition decomposes into, with the fraction of the atoms in each; None if unknown.
    """

    id: str
    name: str
    formula: str
    kind: Kind
    fractions: tuple[float, ...]
    e_form: float
    e_above_hull: float
    decomposition: str | None

    @property
    def is_on_hull(self) -> bool:
        """Whether the phase lies on the hull; a candidate never does."""
        return self.kind == "known" and self.e_above_hull <= _ON_HULL


@dataclass(frozen=True, kw_only=True)
class SystemHull:
    """One chemical system.

    Attributes
    ----------
    system
        Its elements, two or more, in alphabetical order.
    phases
        Known phases by their distance to the hull.
    tie_lines
        Edges of the hull: indices of two phases each.
    candidates
        The most stable first.
    n_phases, n_candidates
        Total numbers, shown or not.
    """

    system: tuple[str, ...]
    phases: list[HullPoint]
    tie_lines: list[tuple[int, int]]
    candidates: list[HullPoint]
    n_phases: int
    n_candidates: int


@dataclass(frozen=True, kw_only=True)
class CampaignHulls:
    """Chemical systems of a campaign, the best first, and their total number."""

    systems: list[SystemHull]
    n_systems: int


def campaign_hulls(campaign: Campaign, rows: Sequence[Row], columns: CandidateColumns) -> CampaignHulls | None:
    """Return the hulls of the chemical systems with the most stable candidates.

    Parameters
    ----------
    rows
        All rows of ``campaign results``, in their order: the most stable first.

    Returns
    -------
    CampaignHulls or None
        None while the reference set is not frozen, or if no candidate of two or more elements has an energy.
    """
    checksum = campaign.document.get("reference_set")
    if checksum is None:
        return None
    elements = {document["_id"]: tuple(document["chemsys"].split("-")) for document in columns.documents}
    # rows are ranked, so systems come in the order of their best candidates
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if _energies(row) is not None and len(system := elements.get(row.id, ())) > 1:
            groups[system].append(row)
    if not groups:
        return None
    chosen = {system: groups[system] for system in list(groups)[:MOST_SYSTEMS]}
    ids = [row.id for found in chosen.values() for row in found[:MOST_CANDIDATES]]
    documents = candidates_by_id(campaign.store, ids, ["composition"])
    # a large set takes seconds to verify and read: once for all systems
    entries = load_hull(campaign.store, checksum, elements={one for key in chosen for one in key}).entries
    systems = []
    for system, found in chosen.items():
        hull = HullSet(entry for entry in entries if symbols_of(entry.composition) <= set(system))
        try:
            systems.append(_system_hull(system, hull, found, documents))
        except (MissingElementError, HullGapError):
            continue
    return CampaignHulls(systems=systems, n_systems=len(groups)) if systems else None


def _energies(row: Row) -> tuple[float, float] | None:
    """Return E_f and E_hull by DFT, otherwise by the model, in eV/atom; None if there are none."""
    for pair in ((row.e_form_dft, row.e_hull_dft), (row.e_form_ml, row.e_hull_ml)):
        if pair[0] is not None and pair[1] is not None:
            return pair[0], pair[1]
    return None


def _system_hull(
    system: tuple[str, ...], hull: HullSet, rows: Sequence[Row], documents: Mapping[str, CandidateDocument]
) -> SystemHull:
    phases = _phases(system, hull)
    # of several phases of one formula the most stable one is the corner
    corners = {phase.formula: place for place, phase in reversed(list(enumerate(phases))) if phase.is_on_hull}
    ties = [(corners[one], corners[other]) for one, other in hull.tie_lines(system)]
    return SystemHull(
        system=system,
        phases=phases[: max(MOST_PHASES, *(place + 1 for place in corners.values()))],
        tie_lines=ties,
        candidates=_candidates(system, hull, rows[:MOST_CANDIDATES], documents),
        n_phases=len(phases),
        n_candidates=len(rows),
    )


def _phases(system: tuple[str, ...], hull: HullSet) -> list[HullPoint]:
    """Return all known phases, the nearest to the hull first."""
    compositions = [entry.composition for entry in hull.entries]
    energies = hull.formation_energies(compositions, [float(entry.energy) for entry in hull.entries])
    distances = hull.distances(compositions, energies)
    parts = decompositions([{"composition": found.get_el_amt_dict()} for found in compositions], hull)
    found = [
        HullPoint(
            id=str(entry.entry_id),
            name=str(entry.composition.reduced_formula),
            formula=str(entry.composition.reduced_formula),
            kind="known",
            fractions=_fractions(system, entry.composition.get_el_amt_dict()),
            e_form=round(float(energy), _DIGITS) + 0.0,
            e_above_hull=round(float(distance), _DIGITS) + 0.0,
            decomposition=part,
        )
        for entry, energy, distance, part in zip(hull.entries, energies, distances, parts, strict=True)
    ]
    return sorted(found, key=lambda phase: (phase.e_above_hull, phase.fractions, phase.id))


def _candidates(
    system: tuple[str, ...], hull: HullSet, rows: Sequence[Row], documents: Mapping[str, CandidateDocument]
) -> list[HullPoint]:
    known = [row for row in rows if row.id in documents]
    points = []
    parts = decompositions([documents[row.id] for row in known], hull)
    for row, part in zip(known, parts, strict=True):
        energies = _energies(row)
        if energies is None:
            continue
        relaxed = row.e_form_dft is not None and row.e_hull_dft is not None
        points.append(
            HullPoint(
                id=row.id,
                name=f"{row.formula} {row.prototype}",
                formula=row.formula,
                kind="stable" if row.stable else "relaxed" if relaxed else "predicted",
                fractions=_fractions(system, documents[row.id]["composition"]),
                e_form=energies[0],
                e_above_hull=energies[1],
                decomposition=part,
            )
        )
    return points


def _fractions(system: tuple[str, ...], amounts: Mapping[str, float]) -> tuple[float, ...]:
    total = sum(amounts.values())
    return tuple(amounts.get(symbol, 0.0) / total for symbol in system)

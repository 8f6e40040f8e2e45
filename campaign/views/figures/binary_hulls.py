"""Convex hulls of binary systems with the candidates on them."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from campaign.hull.chemical_systems import symbols_of
from campaign.hull.hull import HullSet, MissingElementError
from campaign.references.reference_sets import load_hull
from campaign.store.campaigns import Campaign
from campaign.store.candidates import candidates_by_id
from campaign.store.collections import Document
from campaign.views.figures.documents import CandidateColumns, Floats

MOST_SYSTEMS = 60
"""Systems that a page offers, those with the most stable candidates first."""
MOST_CANDIDATES = 80
"""Candidates of one system, the most stable first."""
_ON_HULL = 1e-6


@dataclass(frozen=True, kw_only=True)
class BinaryHull:
    """One binary system; x is the atomic fraction of the second element.

    Attributes
    ----------
    system
        Both elements, in alphabetical order.
    hull_x, hull_e
        Vertices of the hull of the known phases, from left to right; eV/atom.
    phase_x, phase_e, phase_labels
        All known phases.
    x, e_form
        Candidates; E_f(DFT) where there is one, else E_f(ML), eV/atom.
    relaxed, stable
        Whether it is E_f(DFT), and whether the candidate is stable.
    labels
        Names of the candidates.
    n_candidates
        Candidates that the system has, shown or not.
    """

    system: tuple[str, str]
    hull_x: Floats
    hull_e: Floats
    phase_x: Floats
    phase_e: Floats
    phase_labels: list[str]
    x: Floats
    e_form: Floats
    relaxed: list[bool]
    stable: list[bool]
    labels: list[str]
    n_candidates: int


@dataclass(frozen=True, kw_only=True)
class BinaryHulls:
    """Binary systems of a campaign, the best first, and how many there are, shown or not."""

    systems: list[BinaryHull]
    n_systems: int


def binary_hulls(campaign: Campaign, columns: CandidateColumns) -> BinaryHulls | None:
    """Hulls of the binary systems with the most stable candidates.

    Returns
    -------
    BinaryHulls or None
        None while the reference set is not frozen, or where no binary candidate has an energy.
    """
    checksum = campaign.document.get("reference_set")
    if checksum is None:
        return None
    # by E_hull(DFT) where it is known, else by E_hull(ML), as in `campaign results`
    distance = np.where(np.isfinite(columns.e_hull_dft), columns.e_hull_dft, columns.e_hull_ml)
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place in np.flatnonzero(np.isfinite(distance)).tolist():
        elements = tuple(columns.documents[place]["chemsys"].split("-"))
        if len(elements) == 2:
            groups[elements].append(place)
    if not groups:
        return None
    relaxed = np.isfinite(columns.e_hull_dft)
    for indices in groups.values():
        indices.sort(key=lambda place: (not relaxed[place], distance[place], columns.ids[place]))
    ranked = sorted(groups, key=lambda key: (not relaxed[groups[key][0]], distance[groups[key][0]], key))
    chosen = ranked[:MOST_SYSTEMS]
    shown = {key: groups[key][:MOST_CANDIDATES] for key in chosen}
    ids = [columns.ids[place] for indices in shown.values() for place in indices]
    amounts = {name: one["composition"] for name, one in candidates_by_id(campaign.store, ids, ["composition"]).items()}
    # a large set takes seconds to verify and read: once for all systems
    entries = load_hull(campaign.store, checksum, elements={symbol for key in chosen for symbol in key}).entries
    systems = []
    for key in chosen:
        known = HullSet(entry for entry in entries if symbols_of(entry.composition) <= set(key))
        found = _hull(known, (key[0], key[1]), columns, shown[key], amounts, len(groups[key]))
        if found is not None:
            systems.append(found)
    return BinaryHulls(systems=systems, n_systems=len(groups)) if systems else None


def _hull(
    hull: HullSet,
    system: tuple[str, str],
    columns: CandidateColumns,
    indices: list[int],
    amounts: dict[str, Document],
    n_candidates: int,
) -> BinaryHull | None:
    compositions = [entry.composition for entry in hull.entries]
    try:
        energies = hull.formation_energies(compositions, [float(entry.energy) for entry in hull.entries])
        distances = hull.distances(compositions, energies)
    except MissingElementError:
        return None
    fraction = np.array([composition.get_atomic_fraction(system[1]) for composition in compositions])
    on_hull = np.flatnonzero(distances <= _ON_HULL)
    # of several phases of one composition on the hull one is enough for the line
    order = on_hull[np.unique(np.round(fraction[on_hull], 9), return_index=True)[1]]
    known = [amounts[columns.ids[place]] for place in indices]
    relaxed = np.isfinite(columns.e_form_dft[indices])
    return BinaryHull(
        system=system,
        hull_x=fraction[order],
        hull_e=energies[order],
        phase_x=fraction,
        phase_e=energies,
        phase_labels=[f"{entry.composition.reduced_formula}" for entry in hull.entries],
        x=np.array([amount.get(system[1], 0.0) / sum(amount.values()) for amount in known]),
        e_form=np.where(relaxed, columns.e_form_dft[indices], columns.e_form_ml[indices]),
        relaxed=relaxed.tolist(),
        stable=columns.stable[indices].tolist(),
        labels=[columns.labels[place] for place in indices],
        n_candidates=n_candidates,
    )

"""Results of relaxations: formation energy, energy above the hull, and stability."""

from typing import Any

from pymatgen.core import Composition

from campaign.hull.corrections import corrected_energies, relaxed_fields
from campaign.references.reference_sets import correction_scheme, load_hull
from campaign.spec.sections.stable import StableSection
from campaign.store.campaigns import Campaign
from campaign.store.changes.settings import restate_stability
from campaign.store.collections import now
from campaign.store.reference_sets import (
    is_any_without_result,
    relaxed_without_result,
    write_results,
    write_uncorrectable,
)


def evaluate_relaxed(campaign: Campaign, reference_set: str) -> int:
    """Compute the result of every relaxed candidate without one; return their number.

    Candidates never enter the hull (docs/explanation/science.md). Their energies get the corrections of the reference
    set; a candidate that these cannot treat gets a reason (``correction_error``) instead of a result. Stable means
    E_f(DFT) and E_hull(DFT) of at most the campaign's ``stable`` limits.
    """
    if not is_any_without_result(campaign):
        return 0
    scheme = correction_scheme(campaign.store, reference_set)
    waiting = relaxed_without_result(campaign, relaxed_fields(scheme))
    corrected = list(zip(waiting, corrected_energies(waiting, scheme), strict=True))
    refused = [
        (document["_id"], {"scheme": scheme, "reason": found.reason, "time": now()})
        for document, found in corrected
        if found.energy is None
    ]
    write_uncorrectable(campaign, refused)
    treated = [(document, found.energy) for document, found in corrected if found.energy is not None]
    if not treated:
        return 0
    elements = {symbol for document, _ in treated for symbol in document["composition"]}
    hull = load_hull(campaign.store, reference_set, elements=elements)
    compositions = [Composition(document["composition"]) for document, _ in treated]
    e_form = hull.formation_energies(compositions, [energy for _, energy in treated])
    e_hull = hull.distances(compositions, e_form)
    common = {"reference_set": reference_set, "corrections": scheme, "time": now()}
    results = [
        (
            document["_id"],
            _result(float(formation), float(distance), campaign.spec.stable)
            | {"hubbards": document["relaxation"].get("hubbards") or {}}
            | common,
        )
        for (document, _), formation, distance in zip(treated, e_form, e_hull, strict=True)
    ]
    written = write_results(campaign, results)
    if (limits := campaign.refresh().spec.stable) != campaign.spec.stable:
        restate_stability(campaign, limits)  # the limits have just been changed
    return written


def _result(e_form: float, e_hull: float, limits: StableSection) -> dict[str, Any]:
    return {
        "e_form_per_atom": e_form,  # eV/atom
        "e_above_hull": e_hull,  # eV/atom
        "stable": e_form <= limits.max_formation_energy and e_hull <= limits.max_hull_energy,
    }

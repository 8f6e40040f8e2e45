"""The results of relaxations: formation energy, distance to the hull, stable or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pymatgen.core import Composition
from pymongo import UpdateOne

from campaign.hull.corrections import corrected_energies, relaxed_fields
from campaign.references.reference_sets import correction_scheme, load_hull
from campaign.store.campaigns import Campaign
from campaign.store.collections import now

if TYPE_CHECKING:
    from campaign.hull.corrections import Corrected
    from campaign.spec.sections import StableSection
    from campaign.store.campaigns import Campaign


def evaluate_relaxed(campaign: Campaign, reference_set: str) -> int:
    """Give every relaxed candidate without a result its result; return how many got one.

    The candidates' own energies never enter the hull (SCIENCE.md). They get the corrections that the reference set
    carries; a candidate that these cannot treat gets no result but the reason (``uncorrectable``). Stable is E_f(DFT)
    and E_hull(DFT) at most the campaign's ``stable`` limits.
    """
    query = {"campaign": campaign.name, "state": "relaxed", "result.e_hull": None, "uncorrectable": None}
    if campaign.store.candidates.find_one(query, ["_id"]) is None:
        return 0
    scheme = correction_scheme(campaign.store, reference_set)
    waiting = list(campaign.store.candidates.find(query, relaxed_fields(scheme)))
    corrected = list(zip(waiting, corrected_energies(waiting, scheme), strict=True))
    campaign.store.bulk_update(
        [_refusal(document, found, scheme) for document, found in corrected if found.energy is None]
    )
    treated = [(document, found.energy) for document, found in corrected if found.energy is not None]
    if not treated:
        return 0
    elements = {symbol for document, _ in treated for symbol in document["composition"]}
    hull = load_hull(campaign.store, reference_set, elements=elements)
    compositions = [Composition(document["composition"]) for document, _ in treated]
    e_form = hull.formation_energies(compositions, [energy for _, energy in treated])
    e_hull = hull.distances(compositions, e_form)
    return campaign.store.bulk_update(
        [
            _result(document, float(formation), float(distance), campaign.spec.stable, reference_set)
            for (document, _), formation, distance in zip(treated, e_form, e_hull, strict=True)
        ]
    )


def _refusal(document: Mapping[str, Any], found: Corrected, scheme: str) -> UpdateOne:
    said = {"scheme": scheme, "reason": found.reason, "time": now()}
    return UpdateOne({"_id": document["_id"], "uncorrectable": None}, {"$set": {"uncorrectable": said}})


def _result(
    document: Mapping[str, Any], e_form: float, e_hull: float, limits: StableSection, reference_set: str
) -> UpdateOne:
    result = {
        "e_form": e_form,  # eV/atom
        "e_hull": e_hull,  # eV/atom
        "stable": e_form <= limits.max_formation_energy and e_hull <= limits.max_hull_energy,
        "reference_set": reference_set,
        "time": now(),
    }
    return UpdateOne({"_id": document["_id"], "result": None}, {"$set": {"result": result}})

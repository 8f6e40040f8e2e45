"""The results of relaxations: formation energy, distance to the hull, stable or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymongo import UpdateOne

from campaign.decisions.references import load_hull
from campaign.store import CampaignStore, now

if TYPE_CHECKING:
    from campaign.loading import Campaign


def evaluate_relaxed(store: CampaignStore, campaign: Campaign, reference_set: str) -> int:
    """Give every relaxed candidate without a result its result; return how many got one.

    The candidates' own energies never enter the hull (SCIENCE.md). Stable is E_f(DFT) and E_hull(DFT) at most the
    campaign's ``stable`` limits.
    """
    from pymatgen.core import Composition

    query = {"campaign": campaign.spec.name, "state": "relaxed", "result.e_hull": None}
    waiting = list(store.candidates.find(query, ["composition", "relaxation.energy"]))
    if not waiting:
        return 0
    hull = load_hull(store, reference_set)
    compositions = [Composition(document["composition"]) for document in waiting]
    e_form = hull.formation_energies(compositions, [document["relaxation"]["energy"] for document in waiting])
    e_hull = hull.distances(compositions, e_form)
    limits = campaign.spec.stable
    return store.bulk_update(
        [
            UpdateOne(
                {"_id": document["_id"], "result": None},
                {
                    "$set": {
                        "result": {
                            "e_form": float(formation),  # eV/atom
                            "e_hull": float(distance),  # eV/atom
                            "stable": bool(
                                formation <= limits.max_formation_energy and distance <= limits.max_hull_energy
                            ),
                            "reference_set": reference_set,
                            "time": now(),
                        }
                    }
                },
            )
            for document, formation, distance in zip(waiting, e_form, e_hull, strict=True)
        ]
    )

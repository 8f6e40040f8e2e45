"""Predictions into the candidates, each with its distance from the hull."""

import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from pymatgen.core import Composition

from campaign.budget.costs import Costs
from campaign.budget.limits import expected_costs
from campaign.hull.hull import HullSet
from campaign.references.reference_sets import load_hull
from campaign.scorers.base import Score
from campaign.store.campaigns import Campaign
from campaign.store.candidates import candidates_by_id
from campaign.store.collections import in_chunks, now
from campaign.store.documents import PredictionDocument
from campaign.store.predictions import add_predictions

#: Candidates written at once; as many as an actor scores in one batch.
_AT_ONCE = 256


def write_predictions(campaign: Campaign, step_id: str, scores: Iterable[Score]) -> None:
    """Write predictions as they come.

    Parameters
    ----------
    campaign
        The campaign, with a reference set, and a model where its scorer needs one.
    scores
        What the scorer says, one for each candidate.
    """
    costs = expected_costs(campaign)
    with ThreadPoolExecutor(1) as loader:
        # the hull takes seconds to load, and an actor takes longer to start
        hull = loader.submit(load_hull, campaign.store, campaign.reference_set)
        for part in in_chunks(scores, _AT_ONCE):
            _write(campaign, step_id, part, hull=hull.result(), costs=costs)


def _write(campaign: Campaign, step_id: str, scores: Sequence[Score], *, hull: HullSet, costs: Costs) -> None:
    found = candidates_by_id(campaign.store, [score.id for score in scores], ["composition", "n_sites"])
    energies = [math.nan if score.e_form is None else float(score.e_form) for score in scores]
    distances = hull.distances([Composition(found[score.id]["composition"]) for score in scores], energies)
    common: PredictionDocument = {
        "scorer": campaign.spec.scorer.identity(campaign),
        "model": campaign.model_checksum,
        "reference_set": campaign.reference_set,
        "step": step_id,
        "time": now(),
    }
    predictions: list[tuple[str, PredictionDocument]] = [
        (
            score.id,
            {
                "e_form_per_atom": energy,
                "e_above_hull": float(distance),
                "uncertainty": score.uncertainty,
                "novel": score.novel,
                "relax_cpu_s": costs.screened(found[score.id]),
                "reason": score.reason,
                **common,
            },
        )
        for score, energy, distance in zip(scores, energies, distances, strict=True)
    ]
    add_predictions(campaign, predictions)

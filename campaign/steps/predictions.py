"""Predictions into the candidates, each with its distance from the hull."""

import logging
import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from pymatgen.core import Composition

from campaign.budget.costs import Costs
from campaign.budget.limits import expected_costs
from campaign.hull.corrections import convert_formation_energy, is_corrected
from campaign.hull.hull import HullSet
from campaign.references.reference_sets import correction_scheme, load_hull
from campaign.scorers.base import Score
from campaign.store.campaigns import Campaign
from campaign.store.candidates import candidates_by_id
from campaign.store.collections import in_chunks, now
from campaign.store.documents import PredictionDocument
from campaign.store.predictions import add_predictions

logger = logging.getLogger(__name__)

#: Candidates written at once; as many as an actor scores in one batch.
_AT_ONCE = 256


def write_predictions(campaign: Campaign, step_id: str, scores: Iterable[Score]) -> None:
    """Write predictions as they come, with the corrections that the reference set carries.

    Parameters
    ----------
    campaign
        The campaign, with a reference set, and a model where its scorer needs one.
    scores
        What the scorer says, one for each candidate.
    """
    costs = expected_costs(campaign)
    wanted = correction_scheme(campaign.store, campaign.reference_set)
    given = campaign.spec.scorer.energy_corrections(campaign)
    if given is None:
        logger.warning("it is not known which corrections the predictions contain; compared with %s", wanted)
    with ThreadPoolExecutor(1) as loader:
        # the hull takes seconds to load, and an actor takes longer to start
        hull = loader.submit(load_hull, campaign.store, campaign.reference_set)
        for part in in_chunks(scores, _AT_ONCE):
            converted = in_scheme(campaign, part, given=given, wanted=wanted)
            _write(campaign, step_id, converted, hull=hull.result(), costs=costs, corrections=given and wanted)


def in_scheme(campaign: Campaign, scores: Sequence[Score], *, given: str | None, wanted: str) -> Sequence[Score]:
    """Scores in the scheme of the references; without an energy, and with the reason, where there is no way there.

    Parameters
    ----------
    given, wanted
        Corrections in the energies, and those of the references; where it is not known what they contain they stay.
    """
    if given in (None, wanted):
        return scores
    known = candidates_by_id(campaign.store, [score.id for score in scores if score.e_form is not None], ["elements"])
    corrected = [name for name, document in known.items() if is_corrected(document["elements"])]
    crystals = candidates_by_id(campaign.store, corrected, ["structure"])
    converted = []
    for score in scores:
        if score.e_form is not None and score.id in crystals:
            crystal = crystals[score.id]["structure"]
            found = convert_formation_energy(score.e_form, crystal, given=str(given), wanted=wanted)
            score = replace(score, e_form=found.energy, reason=found.reason)
        converted.append(score)
    return converted


def _write(
    campaign: Campaign, step_id: str, scores: Sequence[Score], *, hull: HullSet, costs: Costs, corrections: str | None
) -> None:
    found = candidates_by_id(campaign.store, [score.id for score in scores], ["composition", "n_sites"])
    energies = [math.nan if score.e_form is None else float(score.e_form) for score in scores]
    distances = hull.distances([Composition(found[score.id]["composition"]) for score in scores], energies)
    common: PredictionDocument = {
        "scorer": campaign.spec.scorer.identity(campaign),
        "model": campaign.model_checksum,
        "reference_set": campaign.reference_set,
        "corrections": corrections,
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

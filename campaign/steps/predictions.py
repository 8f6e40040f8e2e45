"""Predictions into the candidates, each with its distance from the hull."""

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from queue import SimpleQueue

from pymatgen.core import Composition

from campaign.budget.costs import Costs
from campaign.budget.limits import expected_costs
from campaign.hull.corrections import convert_formation_energy, is_corrected
from campaign.hull.hull import HullSet
from campaign.references.reference_sets import correction_scheme, load_hull
from campaign.scorers.base import Score
from campaign.store.campaigns import Campaign
from campaign.store.candidates import candidates_by_id
from campaign.store.collections import now
from campaign.store.documents import PredictionDocument
from campaign.store.predictions import add_predictions

logger = logging.getLogger(__name__)

#: Candidates written together at most; as many as an actor scores in one batch.
_AT_ONCE = 256


def write_predictions(campaign: Campaign, step_id: str, scores: Iterable[Score]) -> None:
    """Write predictions as they come, with the corrections that the reference set carries.

    Those that are there are written while the scorer is busy with the next, in a thread of their own: a Screen that is
    killed has to repeat what was being scored, and nothing else.

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
    come: SimpleQueue[Score | None] = SimpleQueue()

    def write() -> None:
        # takes seconds, and so does what a scorer loads
        hull = load_hull(campaign.store, campaign.reference_set)
        for part in _parts(come):
            converted = part if given in (None, wanted) else _converted(campaign, part, str(given), wanted)
            _write(campaign, step_id, converted, hull=hull, costs=costs, corrections=given and wanted)

    with ThreadPoolExecutor(1, "predictions") as pool:
        writing = pool.submit(write)
        try:
            for score in scores:
                if writing.done():
                    break  # it has failed, and says why below
                come.put(score)
        finally:
            come.put(None)
            writing.result()


def _parts(come: SimpleQueue[Score | None]) -> Iterator[list[Score]]:
    """Hand out what has come, as soon as there is something and at most `_AT_ONCE` together, until None comes."""
    last = False
    while not last:
        part = [come.get()]
        while len(part) < _AT_ONCE and part[-1] is not None and not come.empty():
            part.append(come.get())
        last = part[-1] is None
        if found := [score for score in part if score is not None]:
            yield found


def _converted(campaign: Campaign, scores: Sequence[Score], given: str, wanted: str) -> list[Score]:
    """Scores in the scheme of the references; without an energy, and with the reason, where there is no way there."""
    known = candidates_by_id(campaign.store, [score.id for score in scores if score.e_form is not None], ["elements"])
    corrected = [name for name, document in known.items() if is_corrected(document["elements"])]
    crystals = candidates_by_id(campaign.store, corrected, ["structure"])
    converted = []
    for score in scores:
        if score.e_form is not None and score.id in crystals:
            crystal = crystals[score.id]["structure"]
            found = convert_formation_energy(score.e_form, crystal, given=given, wanted=wanted)
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

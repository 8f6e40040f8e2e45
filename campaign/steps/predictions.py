"""Predictions into the candidates, each with its distance from the hull."""

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

from pymatgen.core import Composition

from campaign.budget.costs import Costs
from campaign.budget.limits import expected_costs
from campaign.combination.correlation import Correlation
from campaign.hull.hull import HullSet
from campaign.recalibration.fit import Corrected
from campaign.references.reference_sets import correction_scheme, load_hull
from campaign.scorers.base import Score
from campaign.scorers.combined import CombinedScore
from campaign.steps.correction import Correction, fitted_to, is_of_same
from campaign.steps.energies import combined, in_scheme, part_documents, stored_parts
from campaign.store.campaigns import Campaign
from campaign.store.candidates import candidates_by_id
from campaign.store.collections import in_chunks, now
from campaign.store.documents import PredictionDocument, RawPrediction, RecalibrationUsed
from campaign.store.predictions import add_predictions, discarded_predictions
from campaign.store.recalibration.fits import fits_newest_first

logger = logging.getLogger(__name__)

#: Candidates written together at most; as many as an actor scores in one batch.
_AT_ONCE = 256


def write_predictions(
    campaign: Campaign,
    step_id: str,
    scores: Iterable[Score],
    *,
    correction: Correction | None = None,
    correlation: Correlation | None = None,
) -> None:
    """Write predictions as they come, with the corrections that the reference set carries.

    Predictions are written in a separate thread while the scorer works on the next ones: a Screen that is killed only
    has to repeat those being scored.

    Parameters
    ----------
    campaign
        The campaign, with a reference set, and a model where its scorer needs one.
    scores
        What the scorer says, one for each candidate.
    correction
        What corrects it; None: nothing.
    correlation
        Of the errors of the scorers that are combined; None: there is one scorer.
    """
    costs = expected_costs(campaign)
    wanted = correction_scheme(campaign.store, campaign.reference_set)
    given = campaign.spec.scorer.energy_corrections(campaign)
    if given is None:
        logger.warning("it is unknown which corrections the predictions contain; compared with %s", wanted)
    come: SimpleQueue[Score | None] = SimpleQueue()

    def write() -> None:
        # takes seconds, and so does what a scorer loads
        hull = load_hull(campaign.store, campaign.reference_set)
        for part in _parts(come):
            converted: Sequence[Score]
            if correlation is None:
                converted = in_scheme(campaign, part, given=given, wanted=wanted)
            else:
                converted = combined(campaign, part, wanted=wanted, correlation=correlation)
            _write(campaign, step_id, converted, _Found(hull, costs, given and wanted, correction, correlation))

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
    """Yield the received items as soon as there are any, at most `_AT_ONCE` together, until None is received."""
    last = False
    while not last:
        part = [come.get()]
        while len(part) < _AT_ONCE and part[-1] is not None and not come.empty():
            part.append(come.get())
        last = part[-1] is None
        if found := [score for score in part if score is not None]:
            yield found


def write_known_again(
    campaign: Campaign,
    step_id: str,
    ids: Sequence[str],
    *,
    correction: Correction | None,
    correlation: Correlation | None = None,
) -> list[str]:
    """Write predictions of candidates whose scorer's own prediction is known already; return the others' ids.

    It is known where a prediction was discarded because another fit corrects it now: the scorer, its model and the
    corrections of the references are the same, so asking again would cost as much and say the same. What several
    scorers said is combined anew, with the correlation of this Screen.
    """
    if not fits_newest_first(campaign):
        return list(ids)
    wanted = correction_scheme(campaign.store, campaign.reference_set)
    present, corrections = fitted_to(campaign), campaign.spec.scorer.energy_corrections(campaign) and wanted
    costs, hull, known = expected_costs(campaign), None, set[str]()
    for part in in_chunks(ids, _AT_ONCE):
        scores: Sequence[Score] = [
            _raw_score(name, said)
            for name, said in discarded_predictions(campaign, part).items()
            if is_of_same(said, present) and said.get("corrections") == corrections
        ]
        if scores := [score for score in scores if score.e_form is not None]:
            hull = hull or load_hull(campaign.store, campaign.reference_set)
            if correlation is not None:
                scores = combined(campaign, scores, wanted=wanted, correlation=correlation)
            _write(campaign, step_id, scores, _Found(hull, costs, corrections, correction, correlation))
            known |= {score.id for score in scores}
    return [name for name in ids if name not in known]


def _raw_score(name: str, said: PredictionDocument) -> Score:
    if parts := stored_parts(name, said):
        return CombinedScore.of(name, parts)
    raw = said.get("raw") or said
    energy = raw["e_form_per_atom"]
    uncertainty, novel = raw.get("uncertainty"), said.get("novel")
    return Score(id=name, e_form=energy if math.isfinite(energy) else None, uncertainty=uncertainty, novel=novel)


@dataclass(frozen=True)
class _Found:
    """What a prediction is made of beside the scorer's answer, which has the `corrections` of the references."""

    hull: HullSet
    costs: Costs
    corrections: str | None
    correction: Correction | None
    correlation: Correlation | None

    def corrected(self, score: Score, composition: Mapping[str, float]) -> Corrected:
        """Energy and standard deviation used for the decision."""
        energy = math.nan if score.e_form is None else float(score.e_form)
        if self.correction is None or score.e_form is None:
            return Corrected(energy, score.uncertainty)
        atoms = sum(composition.values())
        fractions = {symbol: number / atoms for symbol, number in composition.items()}
        return self.correction.fit.correct(fractions, energy, score.uncertainty)


def _write(campaign: Campaign, step_id: str, scores: Sequence[Score], found: _Found) -> None:
    known = candidates_by_id(campaign.store, [score.id for score in scores], ["composition", "n_sites"])
    corrected = [found.corrected(score, known[score.id]["composition"]) for score in scores]
    compositions = [Composition(known[score.id]["composition"]) for score in scores]
    distances = found.hull.distances(compositions, [each.energy for each in corrected])
    common: PredictionDocument = {
        "scorer": campaign.spec.scorer.identity(campaign),
        "model": campaign.model_checksum,
        "reference_set": campaign.reference_set,
        "corrections": found.corrections,
        "step": step_id,
        "time": now(),
    }
    if found.correlation is not None:
        common["combination"] = found.correlation.to_dict()
    predictions: list[tuple[str, PredictionDocument]] = [
        (
            score.id,
            {
                "e_form_per_atom": each.energy,
                "e_above_hull": float(distance),
                "uncertainty": each.uncertainty,
                "novel": score.novel,
                "relax_cpu_s": found.costs.screened(known[score.id]),
                "reason": score.reason,
                **common,
                **({"parts": parts} if (parts := part_documents(score)) else {}),
                **_said(campaign, score, each, float(distance), found.correction),
            },
        )
        for score, each, distance in zip(scores, corrected, distances, strict=True)
    ]
    add_predictions(campaign, predictions)


def _said(
    campaign: Campaign, score: Score, corrected: Corrected, distance: float, correction: Correction | None
) -> PredictionDocument:
    """The scorer's own prediction, and its correction; empty in a campaign without corrections."""
    if correction is None and campaign.spec.screening.recalibrate_every is None:
        return {}
    energy = math.nan if score.e_form is None else float(score.e_form)
    # the hull is known: both are as far above it as their energies differ
    raw: RawPrediction = {
        "e_form_per_atom": energy,
        "e_above_hull": distance + energy - corrected.energy,
        "uncertainty": score.uncertainty,
    }
    used: RecalibrationUsed | None = None if correction is None else {"step": correction.step, "n": correction.fit.n}
    return {"raw": raw, "recalibration": used}

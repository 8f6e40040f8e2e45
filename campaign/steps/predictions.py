"""Write predictions into the candidates, each with its energy above the hull."""

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

#: Most candidates written together, as many as an actor scores in one batch.
_AT_ONCE = 256


def write_predictions(
    campaign: Campaign,
    step_id: str,
    scores: Iterable[Score],
    *,
    correction: Correction | None = None,
    correlation: Correlation | None = None,
) -> None:
    """Write predictions as they arrive, in the energy scheme of the reference set.

    Predictions are written in a separate thread while the scorer works on the next ones: a killed Screen only has to
    repeat those being scored.

    Parameters
    ----------
    campaign
        Has a reference set, and a model if its scorer needs one.
    scores
        The scorer's results, one per candidate.
    correction
        Correction of the predictions, if any.
    correlation
        Correlation of the errors of the combined scorers; None for a single scorer.
    """
    costs = expected_costs(campaign)
    wanted = correction_scheme(campaign.store, campaign.reference_set)
    given = campaign.spec.scorer.energy_corrections(campaign)
    if given is None:
        logger.warning("it is unknown which corrections the predictions contain; compared with %s", wanted)
    come: SimpleQueue[Score | None] = SimpleQueue()

    def write() -> None:
        # takes seconds, and so does loading a scorer: done in parallel
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
                    break  # the writer has failed; its error is raised below
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
    """Write predictions of candidates whose scorer's own prediction is known; return the ids of the others.

    It is known if a prediction was discarded only because another fit corrects it now: scorer, model and corrections of
    the references are the same, so scoring again would cost time and give the same result. The scores of a combination
    are
    combined again, with the correlation of this Screen.
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
    """Data besides the score, in the `corrections` scheme of the references, from which a prediction is made."""

    hull: HullSet
    costs: Costs
    corrections: str | None
    correction: Correction | None
    correlation: Correlation | None

    def corrected(self, score: Score, composition: Mapping[str, float]) -> Corrected:
        """Return the energy and standard deviation used for the decision."""
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
    """Return the scorer's own prediction and its correction; empty in a campaign without corrections."""
    if correction is None and campaign.spec.screening.recalibrate_every is None:
        return {}
    energy = math.nan if score.e_form is None else float(score.e_form)
    # both lie as far apart above the hull as their energies do, so the hull is not evaluated again
    raw: RawPrediction = {
        "e_form_per_atom": energy,
        "e_above_hull": distance + energy - corrected.energy,
        "uncertainty": score.uncertainty,
    }
    used: RecalibrationUsed | None = None if correction is None else {"step": correction.step, "n": correction.fit.n}
    return {"raw": raw, "recalibration": used}

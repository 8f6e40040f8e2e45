"""Make scores comparable with the references: convert them to their energy scheme, and combine several scorers."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pymatgen.core import Composition

from campaign.combination.correlation import Correlation, estimate_correlation
from campaign.combination.weights import combine
from campaign.hull.corrections import corrected_energies
from campaign.references.reference_sets import correction_scheme, load_hull
from campaign.scorers.base import REFERENCES, Score
from campaign.scorers.combined import COMBINE, Combined, CombinedScore, Part, reasons
from campaign.store.campaigns import Campaign
from campaign.store.candidates import candidates_by_id
from campaign.store.collections import in_chunks
from campaign.store.documents import PartDocument, PredictionDocument
from campaign.store.predictions import combination_of_predictions, discarded_predictions
from campaign.store.recalibration.fits import predicted_results
from esnet.dataset.mp2020 import convert_formation_energy, is_corrected

_AT_ONCE = 256


def in_scheme(campaign: Campaign, scores: Sequence[Score], *, given: str | None, wanted: str) -> Sequence[Score]:
    """Convert scores to the energy scheme of the references.

    Parameters
    ----------
    given, wanted
        Corrections contained in the energies, and in those of the references. If either is unknown, or the scorer has
        used those of the references, the scores are returned unchanged.

    Returns
    -------
    sequence of Score
        Scores that cannot be converted have no energy but a reason.
    """
    if given in (None, wanted, REFERENCES):
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


def single_point_energies(campaign: Campaign, ids: Sequence[str]) -> Iterator[Score]:
    """Yield the formation energy of each unrelaxed crystal by its IS-DOS calculation, with the references' corrections.

    Calculated as the results of relaxations are (`campaign.scheduling.evaluate`). A candidate whose IS-DOS has no
    energy, or that the corrections cannot treat, gets a reason.
    """
    scheme = correction_scheme(campaign.store, campaign.reference_set)
    fields = ["composition", "is_dos.energy", "is_dos.hubbards", *(["structure"] if scheme != "none" else [])]
    hull = load_hull(campaign.store, campaign.reference_set)
    for part in in_chunks(ids, _AT_ONCE):
        found = candidates_by_id(campaign.store, part, fields)
        calculated = {name: document for name, document in found.items() if _energy(document) is not None}
        yield from (
            Score(id=name, e_form=None, reason="its IS-DOS has no total energy")
            for name in part
            if name not in calculated
        )
        unrelaxed = [
            {"composition": each["composition"], "relaxation": {**each["is_dos"], "structure": each.get("structure")}}
            for each in calculated.values()
        ]
        corrected = corrected_energies(unrelaxed, scheme)
        energies = [math.nan if each.energy is None else each.energy for each in corrected]
        e_form = hull.formation_energies([Composition(each["composition"]) for each in unrelaxed], energies)
        for name, each, energy in zip(calculated, corrected, e_form.tolist(), strict=True):
            yield Score(id=name, e_form=None if each.energy is None else energy, reason=each.reason)


def _energy(document: Mapping[str, Any]) -> float | None:
    energy = (document.get("is_dos") or {}).get("energy")
    return float(energy) if isinstance(energy, int | float) and math.isfinite(energy) else None


def combined(
    campaign: Campaign, scores: Sequence[Score], *, wanted: str, correlation: Correlation
) -> Sequence[CombinedScore]:
    """Combine the scores of the members of a `Combined` scorer after converting each to the references' scheme.

    A scorer without an energy is left out, with its reason in ``reason``; so is one without a standard deviation if
    another
    has one. If none has, their energies get equal weights, and the mean has no standard deviation.
    """
    parts = [list(score.parts) if isinstance(score, CombinedScore) else [] for score in scores]
    for place in range(len(correlation.scorers)):
        for given in {found[place].corrections for found in parts}:
            chosen = [row for row, found in enumerate(parts) if found[place].corrections == given]
            converted = in_scheme(campaign, [parts[row][place].score for row in chosen], given=given, wanted=wanted)
            for row, score in zip(chosen, converted, strict=True):
                parts[row][place] = replace(parts[row][place], score=score, corrections=given and wanted)
    return [_combined(score.id, found, correlation) for score, found in zip(scores, parts, strict=True)]


def _combined(name: str, parts: Sequence[Part], correlation: Correlation) -> CombinedScore:
    energies = {place: part.score.e_form for place, part in enumerate(parts) if part.score.e_form is not None}
    deviations = {place: parts[place].score.uncertainty for place in energies}
    certain = {place: value for place, value in deviations.items() if value is not None}
    if not energies:
        return CombinedScore.of(name, parts)
    chosen = list(certain or energies)
    if certain:
        found = combine([energies[place] for place in chosen], list(certain.values()), correlation.of(chosen))
    else:
        found = combine([energies[place] for place in chosen], [1.0] * len(chosen), 0.0)
    weights: dict[int, float | None] = dict(zip(chosen, found.weights, strict=True))
    weighed = [replace(part, weight=weights.get(place)) for place, part in enumerate(parts)]
    deviation = found.deviation if certain else None
    return replace(CombinedScore.of(name, weighed), e_form=found.mean, uncertainty=deviation, reason=reasons(parts))


def part_documents(score: Score) -> list[PartDocument]:
    """Return the stored form of the scores that a prediction combines; empty if it is not combined."""
    return [
        {
            "scorer": part.scorer,
            "e_form_per_atom": part.score.e_form,
            "uncertainty": part.score.uncertainty,
            "novel": part.score.novel,
            "weight": part.weight,
            "reason": part.score.reason,
        }
        for part in (score.parts if isinstance(score, CombinedScore) else ())
    ]


def stored_parts(name: str, prediction: PredictionDocument) -> list[Part]:
    """Return the parts of a stored prediction, without their weights."""
    return [
        Part(
            scorer=part["scorer"],
            score=Score(
                id=name,
                e_form=part["e_form_per_atom"],
                uncertainty=part["uncertainty"],
                novel=part["novel"],
                reason=part["reason"],
            ),
            corrections=prediction.get("corrections"),
        )
        for part in prediction.get("parts") or []
    ]


def known_parts(campaign: Campaign, ids: Sequence[str]) -> dict[str, dict[int, Part]]:
    """Return scores of a combination's members for candidates whose prediction was discarded, by id and position.

    Only ESNet changes with a retraining; the other scorers would return the same scores again.
    """
    scorer = campaign.spec.scorer
    known: dict[str, dict[int, Part]] = {}
    if not isinstance(scorer, Combined):
        return known
    present = scorer.identity(campaign)[COMBINE]
    corrections = scorer.energy_corrections(campaign) and correction_scheme(campaign.store, campaign.reference_set)
    for name, said in discarded_predictions(campaign, ids).items():
        before = (said.get("scorer") or {}).get(COMBINE) or []
        if said.get("corrections") == corrections and len(before) == len(present):
            known[name] = {
                place: part
                for place, part in enumerate(stored_parts(name, said))
                if before[place] == present[place] and part.score.e_form is not None
            }
    return known


def correlation_of_step(campaign: Campaign, step_id: str) -> Correlation | None:
    """Return the correlation that a Screen combines with: the one it started with, otherwise the current estimate.

    None if the campaign's scorer is not a combination.
    """
    scorer = campaign.spec.scorer
    if not isinstance(scorer, Combined):
        return None
    if (begun_with := combination_of_predictions(campaign, step_id)) is not None:
        return Correlation.from_dict(begun_with)
    return estimate_correlation(scorer.member_names(), _errors(campaign, scorer.member_names()))


def _errors(campaign: Campaign, names: Sequence[str]) -> list[list[float]]:
    """Return the errors of all scorers for the relaxed candidates, in units of their standard deviations.

    Errors of an ESNet from before a retraining are included: they correlate with the other scorers' as the next one's
    do.
    """
    errors = []
    for document in predicted_results(campaign):
        parts = (document.get("prediction") or {}).get("parts") or []
        if [part["scorer"] for part in parts] != list(names):
            continue
        calculated = document["result"]["e_form_per_atom"]
        found = [_error(part, calculated) for part in parts]
        if None not in found:
            errors.append([error for error in found if error is not None])
    return errors


def _error(part: Mapping[str, Any], calculated: float) -> float | None:
    if part["e_form_per_atom"] is None or not part["uncertainty"]:
        return None
    return float((part["e_form_per_atom"] - calculated) / part["uncertainty"])

"""The recalibration step: fits a correction of the scorer's predictions to the campaign's relaxations."""

import logging
import math

from campaign.attempts.ledger import attempt
from campaign.recalibration.fit import Fit, Sample
from campaign.recalibration.trial import fit_correction
from campaign.scheduling.advance import advance
from campaign.steps.correction import fitted_to, is_of_same
from campaign.steps.rescore import screen_again
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.documents import CandidateDocument
from campaign.store.recalibration.fits import count_relaxed, find_fit, predicted_results, write_fit
from campaign.store.states import StepState
from campaign.store.steps import read_step

logger = logging.getLogger(__name__)

#: Largest number of candidates that one of the audit sample represents: with an audit of one per cent, a few would
#: otherwise dominate the fit.
_MOST_WEIGHT = 10.0


def recalibrate_step(campaign: OpenCampaign, step_id: str, *, fw_id: int) -> None:
    """Fit, write the fit into the step, and have the waiting candidates decided on again.

    The fit is written once, so a step that is killed at any point and run again applies the same correction.
    """
    if read_step(campaign, step_id).state == StepState.DONE:  # killed between its last write and FireWorks'
        advance(campaign)
        return
    with attempt(campaign.store, campaign=campaign.name, stage="screen", fw_id=fw_id):
        if find_fit(campaign, step_id) is None:
            _fit(campaign, step_id)
        step = find_fit(campaign, step_id)
        if step is None:
            raise LookupError(f"the fit of {step_id} was removed while the step ran")
        fit = Fit.from_dict(step["fit"])
        logger.info("campaign %s: correction %d: %s", campaign.name, step["number"], fit.reason)
        screen_again(campaign, after=step_id)
        campaign.store.close_step(step_id, {"outcome": "on" if fit.is_on else "off", "reason": fit.reason})
        advance(campaign)


def _fit(campaign: Campaign, step_id: str) -> None:
    """Fit to the candidates that the present scorer and model predicted before they were relaxed.

    Candidates predicted by an earlier model are left out: the present one was trained on them, so its errors there
    would
    say nothing about unseen candidates.
    """
    campaign = campaign.refresh()
    present = fitted_to(campaign)
    n_relaxed = count_relaxed(campaign)  # counted first: candidates relaxed during the reading count for the next fit
    results = predicted_results(campaign)
    samples = [sample_of(found) for found in results if _is_usable(found, present)]
    fit = fit_correction(samples, seed=campaign.spec.seed)
    write_fit(campaign, step_id, fit.to_dict(), fitted_to=present, n_relaxed=n_relaxed)


def _is_usable(document: CandidateDocument, present: dict[str, object]) -> bool:
    prediction = document.get("prediction")
    if prediction is None or not is_of_same(prediction, present):
        return False
    return math.isfinite(prediction["e_form_per_atom"])


def sample_of(document: CandidateDocument) -> Sample:
    """Make a sample of a relaxed candidate: the scorer's own prediction and the DFT result."""
    prediction = document["prediction"]
    assert prediction is not None  # checked in `_is_usable`
    said = prediction.get("raw") or prediction
    atoms = sum(document["composition"].values())
    return Sample(
        id=document["_id"],
        fractions={symbol: number / atoms for symbol, number in document["composition"].items()},
        predicted=said["e_form_per_atom"],
        calculated=document["result"]["e_form_per_atom"],
        uncertainty=said.get("uncertainty"),
        weight=_weight(document),
    )


def _weight(document: CandidateDocument) -> float:
    """Return how many candidates this one represents: an audited candidate represents several rejected ones."""
    decision = document.get("decision") or {}
    share = (decision.get("policy") or {}).get("audit")
    if decision.get("promoted") or not decision.get("audit") or not share:
        return 1.0
    return min(1.0 / float(share), _MOST_WEIGHT)

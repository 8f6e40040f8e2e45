"""Fits that correct predictions, each written once into the document of the step that made it."""

from collections.abc import Mapping
from typing import Any, cast

from pymongo import DESCENDING
from pymongo.collection import Collection

from campaign.store.campaigns import Campaign
from campaign.store.candidates import collection_of_candidates
from campaign.store.collections import now
from campaign.store.documents import CandidateDocument, StepDocument
from campaign.store.states import SCREENED, CandidateState
from campaign.store.steps import StepKind

_FIT = ["fit", "fitted_to", "fitted", "outcome", "reason", "n_relaxed", "number"]


def count_relaxed(campaign: Campaign) -> int:
    """Count the relaxed screened candidates, from an index alone since this is queried after every calculation."""
    relaxed = {"campaign": campaign.name, "state": CandidateState.RELAXED, "role": SCREENED}
    return campaign.store.candidates.count_documents(relaxed)


def predicted_results(campaign: Campaign) -> list[CandidateDocument]:
    """Return predictions, decisions and results of the relaxed screened candidates, sorted by id."""
    query = {
        "campaign": campaign.name,
        "role": SCREENED,
        "state": CandidateState.RELAXED,
        "result.stable": {"$in": [True, False]},
    }
    fields = ["composition", "prediction", "result.e_form_per_atom"]
    fields += ["decision.promoted", "decision.audit", "decision.policy.audit"]
    return list(collection_of_candidates(campaign.store).find(query, fields).sort("_id"))


def write_fit(
    campaign: Campaign, step_id: str, fit: Mapping[str, Any], *, fitted_to: Mapping[str, Any], n_relaxed: int
) -> None:
    """Write the fit of a step, unless it has one.

    Parameters
    ----------
    fitted_to
        ``scorer`` and ``model`` whose predictions it corrects.
    n_relaxed
        Number of relaxed screened candidates.
    """
    facts = {"fit": dict(fit), "fitted_to": dict(fitted_to), "fitted": now(), "n_relaxed": n_relaxed}
    campaign.store.steps.update_one({"_id": step_id, "fit": None}, {"$set": facts})


def find_fit(campaign: Campaign, step_id: str) -> StepDocument | None:
    """Return the step that made a fit; None if there is no such step or fit."""
    return _steps(campaign).find_one({"_id": step_id, "fit": {"$ne": None}}, _FIT)


def fits_newest_first(campaign: Campaign) -> list[StepDocument]:
    """Return all steps with a fit, newest first."""
    query = {"campaign": campaign.name, "kind": StepKind.RECALIBRATE, "fit": {"$ne": None}}
    return list(_steps(campaign).find(query, _FIT).sort("number", DESCENDING))


def recalibration_of_predictions(campaign: Campaign, step_id: str) -> tuple[bool, str | None]:
    """Return whether a Screen has started to predict, and the step whose fit it corrects with, or None."""
    query = {"campaign": campaign.name, "prediction.step": step_id}
    found = collection_of_candidates(campaign.store).find_one(query, ["prediction.recalibration"])
    if found is None:
        return False, None
    used = (found.get("prediction") or {}).get("recalibration")
    return True, used and used["step"]


def _steps(campaign: Campaign) -> Collection[StepDocument]:
    return cast("Collection[StepDocument]", campaign.store.steps)

"""Predictions and decisions of candidates, and candidates waiting for them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo import UpdateOne

from campaign.store.campaigns import Campaign
from campaign.store.candidates import collection_of_candidates
from campaign.store.collections import exists, history_entry
from campaign.store.documents import CandidateDocument, PredictionDocument
from campaign.store.states import PERSON, STAGES, CandidateState


def unscored_ids(campaign: Campaign, *, batch: int | None = None) -> list[str]:
    """Return the sorted ids of candidates (optionally of one batch) that wait for a prediction."""
    waiting: dict[str, Any] = {"campaign": campaign.name, "state": CandidateState.DOS_DONE, "prediction": None}
    if batch is not None:
        waiting["batch"] = batch
    return [found["_id"] for found in collection_of_candidates(campaign.store).find(waiting, ["_id"]).sort("_id")]


def add_predictions(campaign: Campaign, predictions: Iterable[tuple[str, PredictionDocument]]) -> int:
    """Add predictions, by id, to candidates that wait for one; return how many were written."""
    return campaign.store.bulk_update(
        UpdateOne(
            {"_id": candidate, "state": CandidateState.DOS_DONE, "prediction": None},
            {"$set": {"prediction": prediction}},
        )
        for candidate, prediction in predictions
    )


def discarded_ids(campaign: Campaign) -> list[str]:
    """Return the sorted ids of candidates that wait for a new prediction after an earlier one was discarded."""
    found = collection_of_candidates(campaign.store).find(_discarded(campaign), ["_id"]).sort("_id")
    return [each["_id"] for each in found]


def discarded_predictions(campaign: Campaign, ids: Sequence[str]) -> dict[str, PredictionDocument]:
    """Return the latest discarded prediction of each of these candidates that has one, by id."""
    query = {"_id": {"$in": list(ids)}, "previous_predictions.0": {"$exists": True}}
    found = collection_of_candidates(campaign.store).find(query, {"_id": 1, "previous_predictions": {"$slice": -1}})
    return {each["_id"]: each["previous_predictions"][0] for each in found}


def predicted_by_step(campaign: Campaign, step_id: str) -> list[CandidateDocument]:
    """Return the predictions of a Screen, sorted by candidate id."""
    query = {"campaign": campaign.name, "prediction.step": step_id}
    fields = ["prediction", "prefilter.outcome", "prefilter.reason"]
    return list(collection_of_candidates(campaign.store).find(query, fields).sort("_id"))


def count_undecided_predictions(campaign: Campaign, step_ids: Sequence[str]) -> int:
    """Count the predictions of these Screens without a decision."""
    query: dict[str, Any] = {"campaign": campaign.name, "prediction.step": {"$in": list(step_ids)}}
    query |= {"state": CandidateState.DOS_DONE, "decision": None}
    return collection_of_candidates(campaign.store).count_documents(query)


def predictions_since(campaign: Campaign, step_ids: Sequence[str], since: datetime) -> tuple[int, datetime | None]:
    """Return the number of predictions of these Screens since a time (UTC), and the time of the first one."""
    lately = {"campaign": campaign.name, "prediction.step": {"$in": list(step_ids)}, "prediction.time": {"$gte": since}}
    group = {"_id": None, "number": {"$sum": 1}, "first": {"$min": "$prediction.time"}}
    found: Any = next(collection_of_candidates(campaign.store).aggregate([{"$match": lately}, {"$group": group}]), None)
    return (0, None) if found is None else (found["number"], found["first"])


def model_of_predictions(campaign: Campaign, step_id: str) -> str | None:
    """Return the checksum of the model that a Screen predicts with; None if it has not started or needs no model."""
    query = {"campaign": campaign.name, "prediction.step": step_id}
    found = collection_of_candidates(campaign.store).find_one(query, ["prediction.model"])
    prediction = None if found is None else found.get("prediction")
    return None if prediction is None else prediction.get("model")


def combination_of_predictions(campaign: Campaign, step_id: str) -> dict[str, Any] | None:
    """Return the correlation that a Screen combines with (``prediction.combination``); None if it has not started."""
    query = {"campaign": campaign.name, "prediction.step": step_id, "prediction.combination": {"$exists": True}}
    found = collection_of_candidates(campaign.store).find_one(query, ["prediction.combination"])
    prediction = None if found is None else found.get("prediction")
    return None if prediction is None else prediction.get("combination")


def write_decisions(
    campaign: Campaign, step_id: str, decisions: Iterable[tuple[str, CandidateState, Mapping[str, Any]]]
) -> int:
    """Write decisions on candidates predicted by this step that have none yet; return how many were written.

    Parameters
    ----------
    decisions
        Candidate id, new state and decision of each.
    """
    return campaign.store.bulk_update(
        UpdateOne(
            {"_id": candidate, "state": CandidateState.DOS_DONE, "decision": None, "prediction.step": step_id},
            {"$set": {"state": state, "decision": decision}, "$push": {"history": history_entry(STAGES["dos"], state)}},
        )
        for candidate, state, decision in decisions
    )


def discard_predictions(
    campaign: Campaign, *, current_model: str | None, current_fit: str | None, busy_steps: Sequence[str]
) -> int:
    """Put candidates that wait with a prediction of another model or fit before the next Screen; return their number.

    These are held candidates, and those with a prediction but no decision. Earlier predictions and decisions are kept
    in
    ``previous_predictions`` and ``previous_decisions``.

    Parameters
    ----------
    current_model
        Checksum of the model whose predictions are kept; None if the scorer needs none.
    current_fit
        Id of the step whose fit corrected the predictions that are kept; None if they are not corrected.
    busy_steps
        Screens that are still deciding, whose predictions are kept.
    """
    candidates = campaign.store.candidates
    query = {
        "campaign": campaign.name,
        "prediction": {"$ne": None},
        "$or": [
            {"prediction.model": {"$nin": [None, current_model]}},
            {"prediction.recalibration.step": {"$ne": current_fit}},
        ],
        "prediction.step": {"$nin": list(busy_steps)},
    }
    undecided = candidates.update_many(
        {**query, "state": CandidateState.DOS_DONE, "decision": None},
        [{"$set": _kept("prediction") | {"prediction": None}}],
    )
    moved = {"stage": STAGES["dos"].name, "state": CandidateState.DOS_DONE, "time": "$$NOW"}
    held = candidates.update_many(
        # candidates promoted by a person wait only for the budget
        {**query, "state": CandidateState.HELD, "decision.kind": {"$ne": PERSON}},
        [
            {
                "$set": _kept("prediction")
                | _kept("decision")
                | {
                    "prediction": None,
                    "state": CandidateState.DOS_DONE,
                    "history": {"$concatArrays": [{"$ifNull": ["$history", []]}, [moved]]},
                }
            },
            {"$unset": "decision"},
        ],
    )
    return int(undecided.modified_count + held.modified_count)


def _kept(field: str) -> dict[str, Any]:
    """Return the stage of an update pipeline that appends a field to the list of previous ones."""
    previous = f"previous_{field}s"
    return {previous: {"$concatArrays": [{"$ifNull": [f"${previous}", []]}, [f"${field}"]]}}


def is_any_discarded(campaign: Campaign) -> bool:
    """Whether any candidate waits for a new prediction after an earlier one was discarded."""
    return exists(campaign.store.candidates, _discarded(campaign))


def _discarded(campaign: Campaign) -> dict[str, Any]:
    waiting = {"campaign": campaign.name, "state": CandidateState.DOS_DONE, "prediction": None}
    return {**waiting, "previous_predictions.0": {"$exists": True}}

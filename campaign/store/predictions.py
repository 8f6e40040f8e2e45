"""Predictions and decisions of candidates, and the candidates that wait for either."""

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
    """Ids of the candidates (of one batch, if one is given) that wait for a prediction, sorted."""
    waiting: dict[str, Any] = {"campaign": campaign.name, "state": CandidateState.DOS_DONE, "prediction": None}
    if batch is not None:
        waiting["batch"] = batch
    return [found["_id"] for found in collection_of_candidates(campaign.store).find(waiting, ["_id"]).sort("_id")]


def add_predictions(campaign: Campaign, predictions: Iterable[tuple[str, PredictionDocument]]) -> int:
    """Add predictions to the candidates that wait for one, by their ids; return how many were written."""
    return campaign.store.bulk_update(
        UpdateOne(
            {"_id": candidate, "state": CandidateState.DOS_DONE, "prediction": None},
            {"$set": {"prediction": prediction}},
        )
        for candidate, prediction in predictions
    )


def discarded_ids(campaign: Campaign) -> list[str]:
    """Ids of the candidates that wait for a prediction after an earlier one was discarded, sorted."""
    found = collection_of_candidates(campaign.store).find(_discarded(campaign), ["_id"]).sort("_id")
    return [each["_id"] for each in found]


def discarded_predictions(campaign: Campaign, ids: Sequence[str]) -> dict[str, PredictionDocument]:
    """Return the latest discarded prediction of these candidates, by id, where there is one."""
    query = {"_id": {"$in": list(ids)}, "previous_predictions.0": {"$exists": True}}
    found = collection_of_candidates(campaign.store).find(query, {"_id": 1, "previous_predictions": {"$slice": -1}})
    return {each["_id"]: each["previous_predictions"][0] for each in found}


def predicted_by_step(campaign: Campaign, step_id: str) -> list[CandidateDocument]:
    """Predictions of a Screen, in the order of the candidates' ids."""
    query = {"campaign": campaign.name, "prediction.step": step_id}
    fields = ["prediction", "prefilter.outcome", "prefilter.reason"]
    return list(collection_of_candidates(campaign.store).find(query, fields).sort("_id"))


def count_undecided_predictions(campaign: Campaign, step_ids: Sequence[str]) -> int:
    """Count the predictions of these Screens that are not decided on yet."""
    query: dict[str, Any] = {"campaign": campaign.name, "prediction.step": {"$in": list(step_ids)}}
    query |= {"state": CandidateState.DOS_DONE, "decision": None}
    return collection_of_candidates(campaign.store).count_documents(query)


def predictions_since(campaign: Campaign, step_ids: Sequence[str], since: datetime) -> tuple[int, datetime | None]:
    """Number of predictions of these Screens since a time (UTC), and the time of the first of them."""
    lately = {"campaign": campaign.name, "prediction.step": {"$in": list(step_ids)}, "prediction.time": {"$gte": since}}
    group = {"_id": None, "number": {"$sum": 1}, "first": {"$min": "$prediction.time"}}
    found: Any = next(collection_of_candidates(campaign.store).aggregate([{"$match": lately}, {"$group": group}]), None)
    return (0, None) if found is None else (found["number"], found["first"])


def model_of_predictions(campaign: Campaign, step_id: str) -> str | None:
    """Checksum of the model with which a Screen has started to predict; None if it has not, or needs no model."""
    query = {"campaign": campaign.name, "prediction.step": step_id}
    found = collection_of_candidates(campaign.store).find_one(query, ["prediction.model"])
    prediction = None if found is None else found.get("prediction")
    return None if prediction is None else prediction.get("model")


def combination_of_predictions(campaign: Campaign, step_id: str) -> dict[str, Any] | None:
    """Correlation with which a Screen has begun to combine (``prediction.combination``); None if it has not."""
    query = {"campaign": campaign.name, "prediction.step": step_id, "prediction.combination": {"$exists": True}}
    found = collection_of_candidates(campaign.store).find_one(query, ["prediction.combination"])
    prediction = None if found is None else found.get("prediction")
    return None if prediction is None else prediction.get("combination")


def write_decisions(
    campaign: Campaign, step_id: str, decisions: Iterable[tuple[str, CandidateState, Mapping[str, Any]]]
) -> int:
    """Write decisions on candidates that this step has predicted and that none was made on yet; return how many.

    Parameters
    ----------
    decisions
        The candidates' ids, the states that they move to, and the decisions.
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
    """Put candidates that wait with a prediction of another model or another fit before the next Screen.

    Return how many.

    These are the held ones, and those with a prediction and no decision. What was predicted and decided is kept in
    ``previous_predictions`` and ``previous_decisions``.

    Parameters
    ----------
    current_model
        Checksum of the model whose predictions stay; None where the scorer needs none.
    current_fit
        Id of the step whose fit corrects the predictions that stay; None: they are not corrected.
    busy_steps
        Screens whose predictions stay, because they still decide.
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
    """Append a field to the list of previous ones, in an update pipeline."""
    previous = f"previous_{field}s"
    return {previous: {"$concatArrays": [{"$ifNull": [f"${previous}", []]}, [f"${field}"]]}}


def is_any_discarded(campaign: Campaign) -> bool:
    """Whether any candidate waits for a new prediction after an earlier one was discarded."""
    return exists(campaign.store.candidates, _discarded(campaign))


def _discarded(campaign: Campaign) -> dict[str, Any]:
    waiting = {"campaign": campaign.name, "state": CandidateState.DOS_DONE, "prediction": None}
    return {**waiting, "previous_predictions.0": {"$exists": True}}

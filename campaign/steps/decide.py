"""The decisions of one Screen: made from what it has predicted, within what the budget allows, written once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pymongo import UpdateOne

from campaign.budget.decision_document import decision_document, prediction_of
from campaign.budget.hold_queue import note_best_held
from campaign.budget.limits import allowance_now, expected_costs, is_limited
from campaign.policies.allowance import RemainingBudget
from campaign.policies.base import Prediction
from campaign.policies.decide import Decision, decide
from campaign.store.campaigns import Campaign
from campaign.store.collections import history_entry
from campaign.store.held import lock_budget
from campaign.store.states import STAGES

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession


def make_decisions(campaign: Campaign, step_id: str) -> list[Decision]:
    """Decide on everything that this step has predicted; decisions that stand already are left alone.

    What may be spent is written into the step before the first decision. A Screen that is killed between any two of
    its writes and run again therefore makes the same decisions, and another Screen at the same time counts what this
    one has set aside.
    """
    found = campaign.store.candidates.find({"campaign": campaign.name, "prediction.step": step_id}, ["prediction"])
    documents = {document["_id"]: document for document in found.sort("_id")}
    predictions = [prediction_of(document) for document in documents.values()]
    allowance = _allowance_of_step(campaign, step_id, predictions)
    decisions = decide(campaign.spec.policy, predictions, allowance=allowance, seed=campaign.spec.seed)
    by_id = {prediction.id: prediction for prediction in predictions}
    campaign.store.bulk_update(
        _decision_update(decision, by_id[decision.candidate], campaign, documents[decision.candidate], step_id)
        for decision in decisions
    )
    note_best_held(campaign, decisions)
    return decisions


def _allowance_of_step(campaign: Campaign, step_id: str, predictions: Sequence[Prediction]) -> RemainingBudget:
    """What this step may promise; the same each time it is asked."""
    if not is_limited(campaign):
        return RemainingBudget()
    costs = expected_costs(campaign)

    def fix(session: ClientSession) -> RemainingBudget:
        lock_budget(campaign, session)
        step = campaign.store.steps.find_one({"_id": step_id}, ["allowance"], session=session) or {}
        if step.get("allowance") is not None:
            return RemainingBudget.from_dict(step["allowance"])
        allowance = allowance_now(campaign, costs, session=session, step_id=step_id)
        decisions = decide(campaign.spec.policy, predictions, allowance=allowance, seed=campaign.spec.seed)
        taken = [decision.relax_cpu_s for decision in decisions if decision.relaxed]
        reserved = {"cpu_s": sum(taken), "relaxations": len(taken)}
        fixed = {"allowance": allowance.to_dict(), "reserved": reserved}
        campaign.store.steps.update_one({"_id": step_id}, {"$set": fixed}, session=session)
        return allowance

    return campaign.store.in_transaction(fix)


def _decision_update(
    decision: Decision, prediction: Prediction, campaign: Campaign, document: Mapping[str, Any], step_id: str
) -> UpdateOne:
    state = "promoted" if decision.relaxed else decision.outcome
    made = decision_document(decision, prediction, campaign, document, step_id=step_id)
    return UpdateOne(
        {"_id": decision.candidate, "state": "dos_done", "prediction.step": step_id},
        {"$set": {"state": state, "decision": made}, "$push": {"history": history_entry(STAGES["dos"], state)}},
    )

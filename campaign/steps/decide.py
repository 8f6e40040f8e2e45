"""Make the decisions of one Screen from its predictions, within the budget; each is written once."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pymongo.client_session import ClientSession

from campaign.budget.decision_document import decision_document, prediction_of
from campaign.budget.hold_queue import note_best_held
from campaign.budget.limits import allowance_now, expected_costs, is_limited
from campaign.policies.allowance import RemainingBudget
from campaign.policies.base import Prediction
from campaign.policies.decide import Decision, decide
from campaign.policies.registry import make_policy
from campaign.store.campaigns import Campaign
from campaign.store.held import lock_budget
from campaign.store.predictions import predicted_by_step, write_decisions
from campaign.store.states import CandidateState
from campaign.store.steps import fix_policy, read_allowance, write_allowance


def make_decisions(campaign: Campaign, step_id: str) -> list[Decision]:
    """Decide on all predictions of this step; existing decisions are not changed.

    The budget that the step may spend is written into it before the first decision, and so is the policy in force,
    which
    may change between two writes. A Screen that is killed between any two of its writes and run again therefore makes
    the
    same decisions, and another Screen running at the same time counts its reservations.
    """
    policy = make_policy(fix_policy(campaign, step_id, campaign.refresh().spec.policy.to_dict()))
    campaign = replace(campaign, spec=campaign.spec.model_copy(update={"policy": policy}))
    documents = {document["_id"]: document for document in predicted_by_step(campaign, step_id)}
    predictions = [prediction_of(document) for document in documents.values()]
    allowance = _allowance_of_step(campaign, step_id, predictions)
    decisions = decide(campaign.spec.policy, predictions, allowance=allowance, seed=campaign.spec.seed)
    by_id = {prediction.id: prediction for prediction in predictions}

    def made(decision: Decision) -> tuple[str, CandidateState, dict[str, Any]]:
        name = decision.candidate
        document = decision_document(decision, by_id[name], campaign, documents[name], step_id=step_id)
        # the audit sample is relaxed whatever the outcome
        state = CandidateState.PROMOTED if decision.relaxed else CandidateState(decision.outcome)
        return name, state, document

    write_decisions(campaign, step_id, map(made, decisions))
    note_best_held(campaign, decisions)
    return decisions


def _allowance_of_step(campaign: Campaign, step_id: str, predictions: Sequence[Prediction]) -> RemainingBudget:
    """Return the budget that this step may reserve; the same on each call."""
    if not is_limited(campaign):
        return RemainingBudget()
    costs = expected_costs(campaign)

    def fix(session: ClientSession) -> RemainingBudget:
        lock_budget(campaign, session)
        stored = read_allowance(campaign, step_id, session=session)
        if stored is not None:
            return RemainingBudget.from_dict(stored)
        allowance = allowance_now(campaign, costs, session=session, step_id=step_id)
        decisions = decide(campaign.spec.policy, predictions, allowance=allowance, seed=campaign.spec.seed)
        taken = [decision.relax_cpu_s for decision in decisions if decision.relaxed]
        reserved = {"cpu_s": sum(taken), "relaxations": len(taken)}
        write_allowance(campaign, step_id, allowance.to_dict(), reserved=reserved, session=session)
        return allowance

    return campaign.store.in_transaction(fix)

"""Repeat decisions on rejected and held candidates under another policy; promoted ones are never changed."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pymongo.client_session import ClientSession

from campaign.budget.costs import Costs
from campaign.budget.decision_document import decision_document, prediction_of
from campaign.budget.hold_queue import note_best_held, release_held
from campaign.budget.limits import allowance_now, expected_costs
from campaign.policies.base import Policy, Prediction
from campaign.policies.decide import Decision, as_audited, audit_draw, decide
from campaign.store.campaigns import Campaign
from campaign.store.changes.decided_again import not_promoted, update_decided_again, write_decided_again
from campaign.store.changes.persons import is_any_held_by_person
from campaign.store.collections import Document, in_chunks
from campaign.store.held import lock_budget, reopen
from campaign.store.states import CandidateState

#: Promoted or written per transaction.
_AT_ONCE = 500


@dataclass(frozen=True)
class _Again:
    """A candidate, its prediction at the present expected cost, and the new decision."""

    document: Document
    prediction: Prediction
    decision: Decision

    @property
    def state(self) -> str:
        """State that it moves to; an audited one has been or will be relaxed."""
        if not _waits(self.document):
            return str(self.document["state"])
        return CandidateState.PROMOTED if self.decision.relaxed else CandidateState(self.decision.outcome)

    @property
    def change(self) -> str | None:
        """Return e.g. ``rejected -> promoted``; None if the outcome is unchanged."""
        before, after = self.document["decision"], self.decision
        words = ("audited" if before.get("audit") else before["outcome"], "audited" if after.audit else after.outcome)
        return None if words[0] == words[1] else " -> ".join(words)


def redecide(campaign: Campaign, *, dry_run: bool = False) -> Counter[str]:
    """Decide again, by the policy in force, on candidates that earlier policies rejected or held.

    Earlier decisions move to ``previous_decisions``, with the policy they were made by. Promoted candidates and
    decisions of persons are kept. A candidate of the audit stays in it unless the policy now promotes it, and is
    relaxed once.

    Parameters
    ----------
    dry_run
        If True, write nothing.

    Returns
    -------
    Counter
        Number of candidates by change of outcome, e.g. ``rejected -> promoted``.
    """
    costs = expected_costs(campaign)
    if dry_run:
        return Counter(each.change for each in _made(campaign, costs) if each.change)
    release_held(campaign)  # candidates that persons want relaxed come first

    def promote(session: ClientSession) -> list[_Again]:
        lock_budget(campaign, session)
        relaxed = [each for each in _made(campaign, costs, session) if each.decision.relaxed][:_AT_ONCE]
        if relaxed:
            reopen(campaign, session=session)
        return _write(campaign, relaxed, session)

    changed: list[_Again] = []
    # promotions first, each transaction with the budget left by the previous one
    while promoted := campaign.store.in_transaction(promote):
        changed += promoted
    rest = [each for each in _made(campaign, costs) if not each.decision.relaxed]
    for chunk in in_chunks(rest, _AT_ONCE):
        changed += campaign.store.in_transaction(partial(_write, campaign, chunk))
    note_best_held(campaign, [each.decision for each in rest])
    return Counter(each.change for each in changed if each.change)


def _write(campaign: Campaign, made: Sequence[_Again], session: ClientSession) -> list[_Again]:
    """Write decisions; return those still to be written, none if another process has decided on all meanwhile."""
    step_id = f"{campaign.name}/redecide"
    updates = [
        update_decided_again(
            each.document,
            decision_document(each.decision, each.prediction, campaign, each.document, step_id=step_id),
            each.state,
        )
        for each in made
    ]
    return list(made) if write_decided_again(campaign, updates, session=session) else []


def _made(campaign: Campaign, costs: Costs, session: ClientSession | None = None) -> Iterator[_Again]:
    """Yield decisions of the policy in force on undecided candidates; unchanged members of the audit are left out."""
    policy, seed = campaign.spec.policy, campaign.spec.seed
    current = policy.to_dict()
    documents = [each for each in not_promoted(campaign, session=session) if each["decision"].get("policy") != current]
    waiting = {each["_id"]: each for each in documents if _waits(each)}
    predictions = {
        name: replace(prediction_of(each), relax_cpu_s=costs.screened(each)) for name, each in waiting.items()
    }
    allowance = allowance_now(campaign, costs, session=session)
    if is_any_held_by_person(campaign, session=session):
        allowance.closed = allowance.closed or "candidates promoted by a person are held, and come first"
    decisions = decide(policy, list(predictions.values()), allowance=allowance, seed=seed)
    for decision in decisions:
        yield _Again(waiting[decision.candidate], predictions[decision.candidate], decision)
    held = [predictions[decision.candidate] for decision in decisions if decision.outcome == "held"]
    first_held = min((_place(policy, each) for each in held), default=None)
    for document in documents:
        if document["_id"] not in waiting:
            prediction = replace(prediction_of(document), relax_cpu_s=costs.screened(document), is_paid=True)
            if (again := _audited_again(policy, prediction, seed, first_held)) is not None:
                yield _Again(document, prediction, again)


def _waits(document: Mapping[str, Any]) -> bool:
    return document["state"] in (CandidateState.REJECTED, CandidateState.HELD)


def _place(policy: Policy, prediction: Prediction) -> tuple[Any, ...]:
    return (*policy.priority(prediction), prediction.id)


def _audited_again(
    policy: Policy, prediction: Prediction, seed: int, first_held: tuple[Any, ...] | None
) -> Decision | None:
    """Decide on a candidate already relaxed for the audit: it is promoted in turn and costs nothing more.

    If it remained not promoted among promoted candidates, the audit sample would no longer be random.
    """
    if not prediction.is_known:
        return None
    promising, reason = policy.judge(prediction)
    made = Decision(candidate=prediction.id, outcome="promoted", rank=None, reason=reason)
    if promising and (first_held is None or _place(policy, prediction) < first_held):
        return made
    if policy.audit and audit_draw(prediction.id, seed) < policy.audit:
        return replace(as_audited(made), outcome="held" if promising else "rejected")
    return None

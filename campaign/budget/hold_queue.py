"""Candidates held by the budget: held when it is spent, and released when it allows them."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pymongo.client_session import ClientSession

from campaign.budget.costs import Costs
from campaign.budget.decision_document import decision_document, prediction_of
from campaign.budget.limits import allowance_now, closed_reason, current_budget, expected_costs, is_limited
from campaign.budget.persons import held_by_persons, release_persons
from campaign.budget.spent import usage
from campaign.policies.base import Prediction
from campaign.policies.decide import Decision, decide
from campaign.store.campaigns import Campaign
from campaign.store.candidates import is_any_in_state
from campaign.store.held import (
    decided_as_held,
    hold_waiting_for_dos,
    is_any_decision_held,
    lock_budget,
    next_held_cells,
    note_held_id,
    reopen,
    replace_noted,
    write_releases,
)
from campaign.store.states import MOVING_STATES, SCREENED, CandidateState
from campaign.store.steps import StepKind, is_step_open

logger = logging.getLogger(__name__)

#: Released per transaction; the next call releases more.
_AT_ONCE = 500


def release_held(campaign: Campaign) -> int:
    """Promote held candidates as far as the budget now allows, best first; return their number.

    Candidates that persons want relaxed come first. Earlier decisions are kept (``previous_decisions``). Candidates
    relaxed for the audit meanwhile are promoted in turn without another relaxation.
    """
    if not is_any_decision_held(campaign):
        return 0
    costs = expected_costs(campaign)
    # not even the next one may fit, as far as known without reading all of them
    expected = [costs.screened(cell) for cell in next_held_cells(campaign)]
    if allowance_now(campaign, costs).refusal(min(expected, default=0.0)) is not None:
        return 0

    def release(session: ClientSession) -> int:
        lock_budget(campaign, session)
        by_id = decided_as_held(campaign, session=session)
        allowance = allowance_now(campaign, costs, session=session)
        persons = held_by_persons(by_id)
        releases, waiting = release_persons(persons, costs, allowance)
        for document in persons:
            del by_id[document["_id"]]
        predictions = {name: _still_to_pay(document, costs) for name, document in by_id.items()}
        decisions = decide(
            campaign.spec.policy, list(predictions.values()), allowance=allowance, seed=campaign.spec.seed
        )
        changed = [
            decision
            for decision in decisions
            if decision.promoted or (decision.audit and _is_held(by_id[decision.candidate]))
        ]
        changed.sort(key=lambda decision: decision.rank or 0)
        for decision in changed[:_AT_ONCE]:
            document, prediction = by_id[decision.candidate], predictions[decision.candidate]
            made = decision_document(decision, prediction, campaign, document, step_id=f"{campaign.name}/release")
            releases.append((document, made))
        if releases:
            reopen(campaign, session=session)
        write_releases(campaign, releases, session=session)
        # the others come next
        _note_next(campaign, decisions if len(changed) <= _AT_ONCE else [], by_id, waiting, session)
        return len(releases)

    released = campaign.store.in_transaction(release)
    if released:
        logger.info("campaign %s: held candidates released: %d", campaign.name, released)
    return released


def _still_to_pay(document: Mapping[str, Any], costs: Costs) -> Prediction:
    # at its present expected cost; one relaxed for the audit costs nothing more, but must keep its place in the order,
    # since otherwise the audit sample would no longer be random
    return replace(prediction_of(document), relax_cpu_s=costs.screened(document), is_paid=not _is_held(document))


def _is_held(document: Mapping[str, Any]) -> bool:
    return bool(document["state"] == CandidateState.HELD)


def note_best_held(campaign: Campaign, decisions: Sequence[Decision]) -> None:
    """Note the best of the candidates that a Screen holds, so that `release_held` need not read all each time.

    The best of all is among the best of each Screen.
    """
    best = _best_held(decisions)
    if best is not None:
        note_held_id(campaign, best.candidate)


def _note_next(
    campaign: Campaign,
    decisions: Sequence[Decision],
    by_id: Mapping[str, Mapping[str, Any]],
    waiting: Mapping[str, Any] | None,
    session: ClientSession,
) -> None:
    """Note the next candidate: the first that a person wants, otherwise the policy's best."""
    best = _best_held(decisions)
    document = waiting or (None if best is None else by_id[best.candidate])
    # one relaxed for the audit is released at no cost, so it is checked each time
    noted = document if document is not None and _is_held(document) else None
    replace_noted(campaign, noted, session=session)


def _best_held(decisions: Sequence[Decision]) -> Decision | None:
    held = [decision for decision in decisions if decision.outcome == "held" and not decision.audit]
    return min(held, key=lambda decision: decision.rank or 0, default=None)


def dos_room(campaign: Campaign, *, session: ClientSession | None = None) -> int | None:
    """Return how many more IS-DOS the budget allows; None for no limit."""
    if not is_limited(campaign):
        return None
    if closed_reason(campaign, session=session) is not None:
        return 0
    hours = current_budget(campaign).cpu_hours
    if hours is None:
        return None
    costs = expected_costs(campaign, session=session)
    found = usage(campaign, costs, session=session)
    return max(math.floor((hours * 3600.0 - found.cpu_s - found.promised_cpu_s) / costs.dos_cpu_s), 0)


def hold_waiting(campaign: Campaign) -> int:
    """Hold candidates waiting for an IS-DOS that the budget does not allow, once nothing else is in progress; return
    their number.
    """
    # sums over the ledger come last, since this is called after every calculation
    if not is_limited(campaign) or not is_any_in_state(campaign, CandidateState.NEW, role=SCREENED):
        return 0
    # candidates with a DOS wait for a last Screen, which waits until no other candidate is to come
    if is_any_in_state(campaign, *MOVING_STATES) or dos_room(campaign) != 0:
        return 0
    # otherwise the candidates of a running prefilter would be held, and the campaign finished
    if is_step_open(campaign, StepKind.PREFILTER):
        return 0
    return hold_waiting_for_dos(campaign)

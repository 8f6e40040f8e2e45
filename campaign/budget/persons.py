"""Decisions of persons within the budget: carried out or held, and released before all others."""

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo.client_session import ClientSession

from campaign.budget.costs import Costs
from campaign.budget.decision_document import is_persons
from campaign.budget.limits import allowance_now, expected_costs
from campaign.policies.allowance import RemainingBudget
from campaign.store.campaigns import Campaign
from campaign.store.changes.persons import is_any_due, read_due, write_person_decisions
from campaign.store.collections import Document, now
from campaign.store.held import lock_budget, note_held
from campaign.store.states import PERSON, CandidateState

_AT_ONCE = 500


def person_decision(
    campaign: Campaign,
    *,
    outcome: CandidateState,
    reason: str,
    by: Mapping[str, str],
    relax_cpu_s: float = 0.0,
    over_budget: bool = False,
) -> dict[str, Any]:
    """Return the decision of a person in the form stored in a candidate's document.

    Parameters
    ----------
    outcome
        ``promoted`` or ``rejected``.
    reason
        The person's reason.
    by
        ``user`` and ``host`` of the person.
    relax_cpu_s
        Expected cost of the relaxation, CPU-seconds.
    over_budget
        Whether it is relaxed regardless of the budget.
    """
    return {
        "kind": PERSON,
        "promoted": outcome == CandidateState.PROMOTED,
        "outcome": str(outcome),
        "audit": False,
        "rank": None,
        "reason": reason,
        "said": reason,
        **by,
        "over_budget": over_budget,
        "relax_cpu_s": relax_cpu_s,
        "budget_before": None,
        "budget_after": None,
        "step": f"{campaign.name}/{PERSON}",
        "time": now(),
    }


def within_budget(decision: Mapping[str, Any], allowance: RemainingBudget) -> dict[str, Any]:
    """Promote a candidate if the budget allows it, which reduces `allowance`; hold it otherwise.

    The first one held ends the promotions after it, as for the candidates of a policy.
    """
    cost = float(decision["relax_cpu_s"])
    refused = None if decision["over_budget"] else allowance.refusal(cost)
    wanted = {**decision, "promoted": refused is None}
    if refused is not None:
        allowance.closed = allowance.closed or refused
        return wanted | {"outcome": str(CandidateState.HELD), "reason": f"{decision['said']}; held: {refused}"}
    before = allowance.cpu_s
    allowance.take(cost)
    wanted |= {"budget_before": before, "budget_after": allowance.cpu_s}
    return wanted | {"outcome": str(CandidateState.PROMOTED), "reason": decision["said"]}


def settle_decided(campaign: Campaign) -> int:
    """Carry out decisions made by persons while an IS-DOS was running, once it has finished; return their number."""
    if not is_any_due(campaign):
        return 0
    costs = expected_costs(campaign)

    def settle(session: ClientSession) -> int:
        lock_budget(campaign, session)
        allowance = allowance_now(campaign, costs, session=session)
        made = []
        for document in read_due(campaign, limit=_AT_ONCE, session=session):
            decision = document["decision"]
            if decision["promoted"]:
                decision = within_budget(decision | {"relax_cpu_s": costs.screened(document)}, allowance)
            made.append((document, decision, decision["outcome"]))
            if decision["outcome"] == CandidateState.HELD:
                note_held(campaign, document, session=session)
        write_person_decisions(campaign, made, session=session)
        return len(made)

    settled = 0
    while done := campaign.store.in_transaction(settle):
        settled += done
    return settled


def release_persons(
    held: Sequence[Document], costs: Costs, allowance: RemainingBudget
) -> tuple[list[tuple[Document, dict[str, Any]]], Document | None]:
    """Release candidates that persons want relaxed and the budget holds, in the order of the decisions.

    Parameters
    ----------
    held
        Held candidates with a person's decision.
    allowance
        Available budget; it is reduced, and closed if one of them does not fit.

    Returns
    -------
    list, dict or None
        Documents with their new decisions, and the first that remains held.
    """
    releases: list[tuple[Document, dict[str, Any]]] = []
    for document in sorted(held, key=lambda each: each["decision"]["time"]):
        decision = within_budget(document["decision"] | {"relax_cpu_s": costs.screened(document)}, allowance)
        if not decision["promoted"]:
            return releases, document
        releases.append((document, decision | {"time": now()}))
    return releases, None


def held_by_persons(by_id: Mapping[str, Document]) -> list[Document]:
    """Return the held candidates that a person wants relaxed."""
    return [document for document in by_id.values() if is_persons(document["decision"])]

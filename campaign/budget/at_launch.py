"""Check the budget again when a calculation is about to start, perhaps weeks after it was submitted."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from campaign.budget.costs import learn_dos_cost
from campaign.budget.decision_document import is_persons
from campaign.budget.limits import closed_reason, current_budget, expected_costs, is_limited, relaxation_cpu_seconds
from campaign.budget.spent import spent_on_screened, still_to_come
from campaign.store.campaigns import Campaign
from campaign.store.collections import now
from campaign.store.counts import count_attempts
from campaign.store.held import note_held
from campaign.store.states import SCREENED, CandidateState, Stage
from campaign.store.usage import cost_by_stage

logger = logging.getLogger(__name__)

#: A launch does not recompute its expected cost from the ledger while this multiple of the stored estimate is left.
_FAR = 50.0


def hold_at_launch(campaign: Campaign, document: Mapping[str, Any], stage: Stage) -> str | None:
    """Hold a candidate whose calculation is about to start if the budget no longer allows it.

    A submitted calculation may wait in a queue for weeks: meanwhile a date may have passed, a stop rule may be
    fulfilled, or jobs that cost more than expected may have spent the budget.

    Returns
    -------
    str or None
        Why it is held; None if it may start.
    """
    if document["role"] != SCREENED or stage.name == "rs_dos" or not is_limited(campaign):
        return None
    decision = document.get("decision")
    if decision and decision.get("over_budget"):
        return None
    refused = closed_reason(campaign) or _refused_by_hours(campaign, document, stage)
    if refused is None:
        return None
    to: str = CandidateState.HELD
    changes: dict[str, Any] = {}
    push: dict[str, Any] = {}
    if decision and is_persons(decision) and not decision["promoted"]:
        to = CandidateState.REJECTED  # a person rejected it while its IS-DOS was queued
    elif decision:
        # member of the audit sample: not promoted before, and not now
        to = decision["outcome"] if decision["audit"] else CandidateState.HELD
        changes = {
            "decision.outcome": to,
            "decision.promoted": False,
            "decision.audit": False,
            "decision.reason": f"{decision['reason']}; not started: {refused}",
            "decision.budget_before": None,
            "decision.budget_after": None,
            "decision.step": f"{campaign.name}/launch",
            "decision.time": now(),
        }
        push = {"previous_decisions": decision}
    if (
        campaign.store.move(document["_id"], stage, to=to, changes=changes, push=push)
        and decision
        and to == CandidateState.HELD
    ):
        note_held(campaign, document)
    logger.info("%s of %s is not started: %s", stage.title, document["_id"], refused)
    return refused


def _refused_by_hours(campaign: Campaign, document: Mapping[str, Any], stage: Stage) -> str | None:
    """Return why a calculation exceeds the remaining CPU-hours; None if it does not, or there is no limit.

    For a relaxation, calculations started elsewhere count at their expected cost, but queued ones do not, since they
    are checked in turn.
    """
    budget = current_budget(campaign)
    relaxes = stage.name == "relax"
    seconds = relaxation_cpu_seconds(campaign) if relaxes else None
    if budget.cpu_hours is None and seconds is None:
        return None
    by_stage = cost_by_stage(campaign)
    limits: list[tuple[float, float, str]] = []  # CPU-s allowed, CPU-s spent, purpose
    if budget.cpu_hours is not None:
        limits.append((budget.cpu_hours * 3600.0, sum(cost["cpu_s"] for cost in by_stage.values()), "all"))
    if seconds is not None:
        limits.append((seconds, spent_on_screened(campaign, by_stage), "relaxations"))
    if not relaxes:
        # if held before its IS-DOS, it only resumes when the budget is raised, so running work, which may cost less, is
        # left out
        return _refused(limits, learn_dos_cost(campaign, dos_cpu_s=budget.dos_cpu_s), {})
    stored = (document.get("decision") or {}).get("relax_cpu_s")
    if stored is not None:
        running = 1 + count_attempts(campaign, outcome="running")
        if min(allowed - spent for allowed, spent, _ in limits) > _FAR * running * float(stored):
            return None
    costs = expected_costs(campaign)
    begun = still_to_come(campaign, costs, apart_from=document["_id"])
    return _refused(limits, costs.relaxation(document), begun)


def _refused(limits: Sequence[tuple[float, float, str]], cost: float, begun: Mapping[str, float]) -> str | None:
    """Return why one more calculation of this cost, besides started ones, exceeds a limit, or None."""
    for allowed, spent, of in limits:
        to_come = sum(begun.values()) if of == "all" else begun.get("relax", 0.0)
        if cost > allowed - spent - to_come:
            runs = f", and running calculations may need {to_come / 3600:.3g} more" if to_come else ""
            which = "" if of == "all" else " of relaxations"
            return f"{spent / 3600:.3g} of {allowed / 3600:.3g} CPU-hours{which} are spent{runs}"
    return None

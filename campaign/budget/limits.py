"""Remaining budget of a campaign, from its file or as changed by `campaign budget`.

Relaxations are reserved in a transaction that first writes to the campaign's document
(`campaign.store.held.lock_budget`), so that of two at the same time the second waits and counts the reservations of the
first.
"""

from dataclasses import replace
from itertools import takewhile

from pymongo.client_session import ClientSession

from campaign.budget.costs import Costs, learn_costs
from campaign.budget.spent import usage
from campaign.policies.allowance import RemainingBudget, Reserved, hours_for_relaxations, stop_reason
from campaign.spec.sections.budget import BudgetSection
from campaign.store.campaigns import Campaign
from campaign.store.collections import now
from campaign.store.counts import count_candidates
from campaign.store.prefilter.prefiltered import prefilter_counts
from campaign.store.usage import audited_cost, count_before_screen, latest_results, reserved_by_screens


def current_budget(campaign: Campaign) -> BudgetSection:
    """Return the budget in force."""
    changed = campaign.document.get("budget")
    return campaign.spec.budget if changed is None else BudgetSection.model_validate(changed)


def relaxation_cpu_hours(campaign: Campaign) -> float | None:
    """Return the CPU-hours for relaxations of screened candidates, see `hours_for_relaxations`; None for no limit."""
    return hours_for_relaxations(current_budget(campaign), campaign.spec.policy)


def is_limited(campaign: Campaign) -> bool:
    """Whether anything limits what the campaign may spend."""
    return current_budget(campaign).is_limited() or relaxation_cpu_hours(campaign) is not None


def expected_costs(campaign: Campaign, *, session: ClientSession | None = None) -> Costs:
    """Return the expected costs of the campaign's calculations."""
    budget = current_budget(campaign)
    costs = learn_costs(campaign, relax_cpu_s=budget.relax_cpu_s, dos_cpu_s=budget.dos_cpu_s, session=session)
    # relaxed candidates also get an RS-DOS, to train the next model
    retrained = campaign.spec.screening.retrain_every is not None
    return replace(costs, rs_dos_cpu_s=costs.dos_cpu_s) if retrained else costs


def closed_reason(campaign: Campaign, *, session: ClientSession | None = None) -> str | None:
    """Return why nothing more is submitted (a date that has passed, a stop rule), or None."""
    budget = current_budget(campaign)
    if budget.until is not None and now() >= budget.until:
        return f"the budget ended on {budget.until:%Y-%m-%d %H:%M} UTC"
    stable = in_vain = 0
    if budget.stop_after_stable is not None:
        stable = count_candidates(campaign, stable=True, session=session)
    if budget.stop_after_no_discovery is not None:
        latest = latest_results(campaign, limit=budget.stop_after_no_discovery, session=session)
        in_vain = sum(1 for _ in takewhile(lambda is_stable: not is_stable, latest))
    return stop_reason(budget, stable=stable, in_vain=in_vain)


def allowance_now(
    campaign: Campaign, costs: Costs, *, session: ClientSession | None = None, step_id: str | None = None
) -> RemainingBudget:
    """Return the budget available for relaxations of screened candidates.

    Parameters
    ----------
    session
        Transaction to read in, which holds the lock.
    step_id
        Id of the calling Screen; reservations of other Screens are subtracted.
    """
    if not is_limited(campaign):
        return RemainingBudget()
    budget = current_budget(campaign)
    found = usage(campaign, costs, session=session)
    reserved = _reserved(campaign, step_id, session)
    taken = Reserved(
        found.relax_cpu_s + found.promised_relax_cpu_s + reserved.cpu_s, found.relaxations + reserved.relaxations
    )
    of_campaign = RemainingBudget(closed=closed_reason(campaign, session=session))
    if budget.cpu_hours is not None:
        of_campaign.cpu_s = budget.cpu_hours * 3600.0 - found.cpu_s - found.promised_cpu_s - reserved.cpu_s
    if budget.relaxations is not None:
        of_campaign.relaxations = max(budget.relaxations - taken.relaxations, 0)
    hours = relaxation_cpu_hours(campaign)
    of_relaxations = RemainingBudget(cpu_s=None if hours is None else hours * 3600.0 - taken.cpu_s)
    allowance = of_campaign.tighter(of_relaxations).paced(_share_looked_at(campaign, session), taken=taken)
    audit = campaign.spec.policy.audit
    if not audit:
        return allowance
    audited = audited_cost(campaign, session=session)
    return allowance.with_audit(audit, taken=taken, audited=Reserved(audited.cpu_s, audited.number))


def relaxation_cpu_seconds(campaign: Campaign, *, session: ClientSession | None = None) -> float | None:
    """Return the CPU-seconds that relaxations of screened candidates may have used by now; None for no limit."""
    hours = relaxation_cpu_hours(campaign)
    return None if hours is None else hours * 3600.0 * _share_looked_at(campaign, session)


def _reserved(campaign: Campaign, step_id: str | None, session: ClientSession | None) -> Reserved:
    """Return the reservations of Screens that are deciding now."""
    reserved = reserved_by_screens(campaign, apart_from=step_id, session=session)
    return Reserved(sum(each["cpu_s"] for each in reserved), sum(each["relaxations"] for each in reserved))


def _share_looked_at(campaign: Campaign, session: ClientSession | None) -> float:
    """Return the fraction of screened candidates that have reached a Screen; 1 for a policy that does not pace
    itself.
    """
    whole = campaign.document["n_screened"]
    if not campaign.spec.policy.paces() or not whole:
        return 1.0
    rejected = prefilter_counts(campaign, session=session).rejected  # they reach no Screen
    return 1.0 - count_before_screen(campaign, session=session) / max(whole - rejected, 1)

"""Check that no limit of a campaign's budget is exceeded by work started after it was reached."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from campaign.config.wording import format_count
from campaign.policies.allowance import hours_for_relaxations
from campaign.spec.sections.budget import BudgetSection
from campaign.store import integrity
from campaign.store.campaigns import Campaign
from campaign.store.changes.persons import over_budget_ids
from campaign.store.changes.settings import policies_in_force
from campaign.store.collections import in_utc
from campaign.store.states import SCREENED, STAGES
from campaign.store.usage import count_sent_to_relaxation
from campaign.verification.finding import Finding
from campaign.verification.records import Records

_BUDGET = "no limit of the budget is exceeded"
#: A calculation checks the budget shortly before its ledger entry starts.
_GRACE = timedelta(seconds=10)
_LIMITED_STAGES = (STAGES["dos"].name, STAGES["relax"].name)


def check_budget(campaign: Campaign, records: Records) -> Iterator[Finding]:
    """Check the limits in force, or the largest ever in force, since work started under one is never undone.

    CPU-hours may end above their limit by the work in progress when it was reached; nothing may start after that.
    """
    budgets = _budgets(campaign)

    def wrong(limit: str, problem: str) -> Finding:
        return Finding(check=_BUDGET, subject=limit, problem=problem, remedy=f"campaign budget {campaign.name}")

    # relaxed by a person regardless of the budget
    over = over_budget_ids(campaign)
    relaxations = _largest(budget.relaxations for budget in budgets)
    if relaxations is not None and (sent := count_sent_to_relaxation(campaign) - len(over)) > relaxations:
        yield wrong(
            "budget.relaxations",
            f"{format_count(sent, 'candidate')} sent to a relaxation, right: {relaxations} at most",
        )
    cpu_hours = _largest(budget.cpu_hours for budget in budgets)
    policies = policies_in_force(campaign)
    for_relaxations = _largest(hours_for_relaxations(budget, policy) for budget in budgets for policy in policies)
    until = _largest(budget.until for budget in budgets)
    if cpu_hours is None and for_relaxations is None and until is None:
        return
    # reused calculations cost nothing
    entries = [_Entry(entry, records) for entry in integrity.attempts(campaign) if entry.get("outcome") != "reused"]
    begun = [entry for entry in entries if entry.is_limited and entry.document not in over]
    relaxing = [entry for entry in begun if entry.relaxes]
    all_relaxing = [entry for entry in entries if entry.is_limited and entry.relaxes]
    for limit, time, limited in (
        ("budget.cpu_hours", _time_reached(entries, cpu_hours), begun),
        ("budget.relaxation_cpu_hours", _time_reached(all_relaxing, for_relaxations), relaxing),
        ("budget.until", until, begun),
    ):
        if time is not None and (late := [entry.id for entry in limited if entry.began > time + _GRACE]):
            shown = ", ".join(late[:3])
            yield wrong(
                limit,
                f"{format_count(len(late), 'attempt')} started after {time:%F %T} UTC, when it was reached: {shown}",
            )


class _Entry:
    """A ledger entry with comparable times."""

    def __init__(self, entry: Mapping[str, Any], records: Records) -> None:
        self.id: str = entry["_id"]
        self.document: str | None = entry.get("document")
        self.cpu_s = float(entry.get("cpu_s") or 0.0)
        self.ended = _time(entry.get("ended"), datetime.max)
        self.began = _time(entry.get("started"), datetime.min)
        of_screened = records.roles.get(entry.get("document") or "") == SCREENED
        self.is_limited = of_screened and entry.get("stage") in _LIMITED_STAGES
        self.relaxes = entry.get("stage") == STAGES["relax"].name


def _time(stored: datetime | None, otherwise: datetime) -> datetime:
    return otherwise.replace(tzinfo=UTC) if stored is None else in_utc(stored)


def _budgets(campaign: Campaign) -> list[BudgetSection]:
    """Return every budget that has been in force."""
    changes = campaign.document.get("budget_history") or []
    return [campaign.spec.budget, *(BudgetSection.model_validate(change["budget"]) for change in changes)]


def _largest(limits: Iterable[Any]) -> Any:
    """Return the largest of some limits; None if one of them is unlimited."""
    every = list(limits)
    return None if None in every else max(every)


def _time_reached(entries: list[_Entry], cpu_hours: float | None) -> datetime | None:
    """Return when ended attempts first used up a limit; None if they have not, or there is none."""
    if cpu_hours is None:
        return None
    used = 0.0
    for entry in sorted(entries, key=lambda each: each.ended):
        used += entry.cpu_s
        if used >= 3600.0 * cpu_hours:
            return entry.ended
    return None

"""Estimated remaining time of a campaign, from the remaining calculations and the rate of the last hours."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from campaign.attempts.blocked import BLOCKED, Blocked
from campaign.budget.limits import current_budget
from campaign.config.wording import format_count
from campaign.store.campaigns import Campaign
from campaign.store.collections import in_utc
from campaign.store.counts import count_open_rs_dos, count_references
from campaign.store.prefilter.prefiltered import PrefilterCounts, prefilter_counts
from campaign.store.states import BEFORE_SCREEN, BOOTSTRAP, SCREENED, STAGES, TRAINING, CampaignState, CandidateState
from campaign.views.status.throughput import Throughput

_HOUR_S = 3600.0
#: Calculations of a kind that have to end before the cost of the others of that kind is known.
_ENOUGH = 5
_TO_RELAX = (CandidateState.PROMOTED, CandidateState.RELAX_RUNNING)


@dataclass(frozen=True, kw_only=True)
class TimeLeft:
    """Estimated remaining time and cost.

    Attributes
    ----------
    hours
        Time until everything is computed, h; None if unknown.
    at_least_hours
        Time for the certain calculations, h, without relaxations of undecided candidates; None if nothing ended lately.
    cpu_hours
        CPU-hours still to come; None if the number of relaxations is unknown.
    how
        Basis of the estimate, or the reason for having none.
    """

    hours: float | None
    at_least_hours: float | None
    cpu_hours: float | None
    how: str


@dataclass(frozen=True, kw_only=True)
class _Work:
    """Calculations still to come: certain ones, and candidates still to be decided on.

    Candidates before the prefilter are counted separately, since some of them get no IS-DOS.
    """

    dos: int
    relax: int
    rs_dos: int
    undecided: int
    before_prefilter: int


def time_left(
    campaign: Campaign,
    counts: Mapping[tuple[str, str], int],
    pace: Throughput,
    *,
    decided: int,
    sent: int,
    spent_cpu_hours: float,
    blocked: Blocked | None = None,
) -> TimeLeft:
    """Return the estimated remaining time of a campaign.

    Parameters
    ----------
    counts
        Candidates by ``(role, state)``.
    pace
        Rates of the last hours.
    decided, sent
        Candidates that were decided on, and those of them that were sent to a relaxation. Of those still to be decided
        on the same share is expected to be relaxed; of those before the prefilter, what it has left of others.
    spent_cpu_hours
        Spent so far, for the budget.
    blocked
        What blocks the campaign: no time is known until a person has retried it.

    Notes
    -----
    (number of calculations still to come, times their mean cost so far) / (CPU-hours that ended per hour lately). The
    mean cost of a stage counts its failed attempts; nothing is known before five calculations of each kind that is
    still to come have ended. A budget in CPU-hours ends the campaign earlier. Training and scoring are not counted.
    """
    if campaign.document["state"] == CampaignState.FINISHED:
        return TimeLeft(hours=0.0, at_least_hours=0.0, cpu_hours=0.0, how="finished")
    if blocked is not None:
        return TimeLeft(hours=None, at_least_hours=None, cpu_hours=None, how=BLOCKED)
    seen = prefilter_counts(campaign)
    work = _work(campaign, counts, seen)
    certain, dos, each = _cpu_seconds(campaign, work, pace)
    at_screens = decided - seen.rejected
    to_come = certain / _HOUR_S if not work.undecided and not work.before_prefilter else None
    if to_come is None and at_screens > 0:
        passing = work.before_prefilter * (1.0 - seen.rejected / seen.seen) if seen.seen else 0.0
        to_relax = (work.undecided + passing) * sent / at_screens
        to_come = (certain + passing * dos + to_relax * each) / _HOUR_S
    rate = pace.cpu_hours_per_hour
    if not rate:
        how = "nothing finished in the last 24 h" if rate is None else "the recently finished work has no known cost"
        return TimeLeft(hours=None, at_least_hours=None, cpu_hours=to_come, how=how)
    if (stage := _unmeasured(work, pace, relaxations=work.relax > 0)) is not None:
        return _too_early(stage)
    at_least = certain / _HOUR_S / rate
    if to_come is None:
        how = "no candidate has been decided on yet, so the number of relaxations is unknown"
        return TimeLeft(hours=None, at_least_hours=at_least, cpu_hours=None, how=how)
    undecided = work.undecided + work.before_prefilter > 0
    if (stage := _unmeasured(work, pace, relaxations=work.relax > 0 or (undecided and sent > 0))) is not None:
        return _too_early(stage, at_least_hours=at_least)
    window = format_duration(pace.hours or 0.0)
    how = f"{format_hours(to_come)} CPU-h still to come at {format_hours(rate)} CPU-h per hour, as in the last {window}"
    hours, limit = to_come / rate, current_budget(campaign).cpu_hours
    if limit is not None and limit - spent_cpu_hours < to_come:
        left = max(limit - spent_cpu_hours, 0.0)
        hours, how = left / rate, f"{how}; the budget allows {format_hours(left)} of them"
    return TimeLeft(hours=hours, at_least_hours=min(at_least, hours), cpu_hours=to_come, how=how)


def format_hours(hours: float) -> str:
    """Format CPU-hours with three digits; values of four and more digits are rounded to integers with separators."""
    return f"{hours:,.0f}" if hours >= 999.5 else f"{hours:.3g}"


def format_duration(hours: float) -> str:
    """Format a number of hours in the unit that suits it."""
    if hours < 1.0:
        return f"{hours * 60:.0f} min"
    return f"{hours:.1f} h" if hours < 48.0 else f"{hours / 24:.1f} d"


def format_left(left: TimeLeft, before: str = "about") -> str:
    """Format the remaining time, e.g. ``about 5 min``, or ``at least 5 min`` if only a lower bound is known."""
    if left.hours is None:
        least = (left.at_least_hours or 0.0) * 60 >= 1.0
        return f"at least {format_duration(left.at_least_hours or 0.0)}" if least else ""
    return "less than a minute" if left.hours * 60 < 1.0 else f"{before} {format_duration(left.hours)}"


def format_since(since: str | None, at: datetime) -> str:
    """Format the time since a FireWorks timestamp (ISO 8601, UTC by default); empty if it is none."""
    try:
        began = None if since is None else in_utc(datetime.fromisoformat(since))
    except ValueError:
        began = None
    return "" if began is None else format_duration(max((in_utc(at) - began).total_seconds(), 0.0) / _HOUR_S)


def _work(campaign: Campaign, counts: Mapping[tuple[str, str], int], seen: PrefilterCounts) -> _Work:
    spec = campaign.spec
    # the budget holds back the other waiting candidates
    waiting = min(seen.waiting, counts.get((SCREENED, CandidateState.NEW), 0))

    def number(role: str, *states: str) -> int:
        return sum(counts.get((role, state), 0) for state in states)

    references = count_references(campaign, CandidateState.NEW, CandidateState.RELAX_RUNNING)
    bootstrap = number(BOOTSTRAP, CandidateState.NEW, *_TO_RELAX)
    training = number(TRAINING, *BEFORE_SCREEN, CandidateState.DOS_DONE, *_TO_RELAX)
    screened = number(SCREENED, *_TO_RELAX)
    # each structure that a model learns from gets an RS-DOS after its relaxation
    with_rs_dos = bootstrap + training
    with_rs_dos += references if spec.trains_model else 0
    with_rs_dos += screened if spec.screening.retrain_every is not None else 0
    return _Work(
        dos=number(SCREENED, *BEFORE_SCREEN) - waiting + number(TRAINING, *BEFORE_SCREEN),
        relax=references + bootstrap + training + screened,
        rs_dos=with_rs_dos + count_open_rs_dos(campaign),
        undecided=number(SCREENED, *BEFORE_SCREEN, CandidateState.DOS_DONE) - waiting,
        before_prefilter=waiting,
    )


def _unmeasured(work: _Work, pace: Throughput, *, relaxations: bool) -> str | None:
    """Return a stage of which too few calculations have ended to know what the others cost, or None."""
    ended = {stage: rate.ended_so_far for stage, rate in pace.stages.items()}
    # an RS-DOS costs what an IS-DOS costs
    ended["rs_dos"] = max(ended.get("rs_dos", 0), ended.get("dos", 0))
    to_come = {"dos": work.dos > 0, "relax": relaxations, "rs_dos": work.rs_dos > 0}
    return next((stage for stage, some in to_come.items() if some and ended.get(stage, 0) < _ENOUGH), None)


def _too_early(stage: str, *, at_least_hours: float | None = None) -> TimeLeft:
    how = f"fewer than {format_count(_ENOUGH, STAGES[stage].title)} have finished"
    return TimeLeft(hours=None, at_least_hours=at_least_hours, cpu_hours=None, how=how)


def _cpu_seconds(campaign: Campaign, work: _Work, pace: Throughput) -> tuple[float, float, float]:
    """Return CPU-s of the certain work, of one more IS-DOS, and of relaxing one more candidate."""
    budget = current_budget(campaign)

    def mean(stage: str, default: float) -> float:
        found = pace.stages.get(stage)
        return default if found is None or found.mean_cpu_s is None else found.mean_cpu_s

    dos = mean("dos", budget.dos_cpu_s)
    relax, rs_dos = mean("relax", budget.relax_cpu_s), mean("rs_dos", dos)
    each = relax + (rs_dos if campaign.spec.screening.retrain_every is not None else 0.0)
    return work.dos * dos + work.relax * relax + work.rs_dos * rs_dos, dos, each

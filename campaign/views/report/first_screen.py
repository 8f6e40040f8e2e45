"""First screen of a campaign's page: discoveries, activity, time left, cost, failures and next steps.

Every number is also in `campaign status`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from campaign.attempts.blocked import BLOCKED
from campaign.config.wording import format_count
from campaign.store.states import STAGES, CandidateState
from campaign.views.failures import advice_for
from campaign.views.status.funnel import FunnelStep
from campaign.views.status.next_steps import next_steps
from campaign.views.status.recent_events import Discovery, Failure
from campaign.views.status.report import StatusReport
from campaign.views.status.running_jobs import Queue, RunningJob
from campaign.views.status.stages import StageShare
from campaign.views.status.time_left import format_duration, format_hours, format_left, format_since
from campaign.views.status.words import format_end, format_last_day, format_stage, format_workers

_JOBS, _FAILURES, _WORKERS = 4, 3, 4


@dataclass(frozen=True, kw_only=True)
class Card:
    """A large number with its meaning, and optionally a bar of length `share` (0 to 1) below it."""

    id: str
    title: str
    value: str
    unit: str
    text: str
    share: float | None = None


@dataclass(frozen=True, kw_only=True)
class StageBar:
    """Progress of a stage, and a description of the candidates that did not pass it."""

    stage: StageShare
    rest: str


@dataclass(frozen=True, kw_only=True)
class ShownJob:
    """A job that runs or waits in a scheduler's queue: task, place and duration as text."""

    name: str
    state: str
    where: str
    since: str


@dataclass(frozen=True, kw_only=True)
class ShownFailure:
    """A failure with its last output, advice, and whether it is permanent."""

    failure: Failure
    stage: str
    advice: str
    is_final: bool


@dataclass(frozen=True, kw_only=True)
class FirstScreen:
    """Content of the first screen.

    Attributes
    ----------
    cards
        Large numbers.
    bars
        Progress of each stage.
    last_day
        Work finished in the last 24 h, as text.
    rates
        Rate of each kind of calculation per hour, as text.
    queues, jobs, n_jobs
        Running and waiting jobs per category as text; the jobs of longest duration; the number of jobs.
    discoveries
        The newest stable materials.
    failures
        Latest permanent failures, then those that are retried.
    next_steps
        Recommended actions; commands in backticks.
    """

    cards: Sequence[Card]
    bars: Sequence[StageBar]
    last_day: str
    rates: str
    queues: Sequence[tuple[Queue, str]]
    jobs: Sequence[ShownJob]
    n_jobs: int
    discoveries: Sequence[Discovery]
    failures: Sequence[ShownFailure]
    next_steps: Sequence[str]


def first_screen(report: StatusReport, *, is_live: bool) -> FirstScreen:
    """Return the content of the first screen; a live page calls this again as the campaign proceeds."""
    return FirstScreen(
        cards=list(_cards(report)),
        bars=list(_bars(report)),
        last_day=format_last_day(report),
        rates=_format_rates(report),
        queues=[(queue, format_workers(queue, most=_WORKERS)) for queue in report.queues],
        jobs=[_shown_job(job, report) for job in _longest_first(report.jobs)[:_JOBS]],
        n_jobs=len(report.jobs),
        discoveries=report.discoveries,
        failures=list(_failures(report))[:_FAILURES],
        next_steps=next_steps(report, is_live=is_live),
    )


def _failures(report: StatusReport) -> Iterator[ShownFailure]:
    """Yield permanent failures, then, while the campaign runs, those that are retried."""
    retried = [] if report.status.is_finished else report.newest_retried
    for failures, is_final in ((report.newest_failures, True), (retried, False)):
        for failure in failures:
            said = {
                "stage": format_stage(failure.stage),
                "advice": advice_for(failure.cause, [failure.id], report.status.blocked),
            }
            yield ShownFailure(failure=failure, is_final=is_final, **said)


def _cards(report: StatusReport) -> Iterator[Card]:
    yield _found(report)
    if not report.status.is_finished:
        yield _running(report)
        yield _time_left(report)
    yield _cost(report)
    yield _failed(report)


def _found(report: StatusReport) -> Card:
    # includes the training sample, whose stable materials count as discoveries
    states = report.status.candidates
    candidates, relaxed = sum(states.values()), states.get(CandidateState.RELAXED, 0)
    if report.status.purpose != "screening":
        text = f"of {candidates:,} candidates; a training set relaxes them all"
        return Card(id="found", title="Relaxed", value=f"{relaxed:,}", unit="", text=text)
    text = f"among {candidates:,} candidates, {relaxed:,} of them relaxed"
    if not report.status.is_finished:
        text += f"; {report.discoveries_24h:,} in the last 24 h"
    return Card(id="found", title="Stable crystals found", value=f"{report.status.stable:,}", unit="", text=text)


def _running(report: StatusReport) -> Card:
    running, reserved, ready = (
        sum(getattr(queue, state) for queue in report.queues) for state in ("running", "reserved", "ready")
    )
    waiting = {"jobs in a scheduler's queue": reserved, "jobs waiting for a worker": ready}
    later = sum(step.rest.get("waiting", 0) for step in report.funnel)
    waiting["candidates to be submitted"] = later
    text = ", ".join(f"{number:,} {what}" for what, number in waiting.items() if number) or "nothing waits"
    return Card(id="running", title="Running now", value=f"{running:,}", unit="", text=text)


def _time_left(report: StatusReport) -> Card:
    left, status = report.time_left, report.status
    if status.is_paused or status.is_stopped or status.blocked is not None or not status.can_go_on:
        waits = "unknown" if status.blocked is None else BLOCKED
        value = "paused" if status.is_paused else "stopped" if status.is_stopped else waits
        rest = "other calculations run" if value == BLOCKED and status.can_go_on else "nothing runs or can run"
        text = f"{rest}; see below what to do next"
    elif left.hours is not None:
        end = format_end(report)
        value, text = format_left(left, "≈"), f"until {end}; {left.how}" if end else left.how
    else:
        value, text = "not known yet", left.how
        if least := format_left(left):
            text = f"{least}; {text}"
    return Card(id="time", title="Time left", value=value, unit="", text=text)


def _cost(report: StatusReport) -> Card:
    budget = report.budget
    hours, share = budget.spent_cpu_hours, None
    text = "all stages, including failed attempts"
    if budget.cpu_hours is not None:
        share = min(hours / budget.cpu_hours, 1.0) if budget.cpu_hours else 1.0
        text = f"of {format_hours(budget.cpu_hours)}: {format_hours(budget.left_cpu_hours or 0.0)} left; {text}"
    elif not report.status.is_finished:
        text += "; no limit is set"
    if budget.relaxation_cpu_hours is not None:
        text += f"; {format_hours(budget.relaxation_cpu_hours)} for relaxations"
    if budget.spent_gpu_hours:
        text += f"; {format_hours(budget.spent_gpu_hours)} GPU-hours"
    return Card(id="cost", title="Cost", value=format_hours(hours), unit="CPU-hours", text=text, share=share)


def _failed(report: StatusReport) -> Card:
    counts = [f"{format_count(count.number, format_stage(count.stage))} ({count.kind})" for count in report.failures]
    failed = sum(rate.failed for rate in report.pace.stages.values())
    if failed and not report.status.is_finished:
        counts.append(f"{format_count(failed, 'failed attempt')} in 24 h, including retried ones")
    text = ", ".join(counts) or "no calculation has failed permanently"
    return Card(id="failed", title="Failed for good", value=f"{report.n_failed:,}", unit="", text=text)


def _bars(report: StatusReport) -> Iterator[StageBar]:
    steps = {step.key: step for step in report.funnel}
    for stage in report.stages:
        yield StageBar(stage=stage, rest=_format_rest(steps[stage.key]) if stage.key in steps else "")


def _format_rest(step: FunnelStep) -> str:
    return ", ".join(f"{number:,} {what}" for what, number in step.rest.items())


def _format_rates(report: StatusReport) -> str:
    pace = report.pace
    parts = [
        f"{rate.per_hour:,.{0 if rate.per_hour >= 10 else 1}f} {STAGES[stage].title}{'s' if stage == 'relax' else ''}"
        for stage, rate in pace.stages.items()
        if rate.per_hour
    ]
    return f"{', '.join(parts)} per hour (last {format_duration(pace.hours)})" if parts and pace.hours else ""


def _longest_first(jobs: Sequence[RunningJob]) -> list[RunningJob]:
    return sorted(jobs, key=lambda job: (job.state != "RUNNING", job.since or "9"))


def _shown_job(job: RunningJob, report: StatusReport) -> ShownJob:
    where = job.worker or "unknown"
    if job.job_id is not None:
        where += f", job {job.job_id}"
    state = "running" if job.state == "RUNNING" else "queued"
    return ShownJob(
        name=job.name, state=state, where=where, since=format_since(job.since, datetime.fromisoformat(report.at))
    )

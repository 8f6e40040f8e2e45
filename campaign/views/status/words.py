"""Phrases shared by `campaign status` and the page of a campaign."""

from datetime import UTC, datetime, timedelta

from campaign.config.wording import format_count
from campaign.metrics.enough import too_few_for_share
from campaign.store.states import STAGES
from campaign.views.status.prediction_quality import PredictionQuality
from campaign.views.status.report import Budget, StatusReport
from campaign.views.status.running_jobs import Queue
from campaign.views.status.time_left import format_left

_JOB_IDS = 6
_LONGEST_H = 1e6
"""Hours, about a hundred years; no date is shown beyond."""


def format_last_day(report: StatusReport) -> str:
    """Format the work finished in the last 24 h."""
    stages = report.pace.stages
    parts = [format_count(rate.ended, STAGES[stage].title) for stage, rate in stages.items() if rate.ended]
    failed = sum(rate.failed for rate in stages.values())
    parts.append(f"{report.discoveries_24h} stable found")
    if failed:
        parts.append(format_count(failed, "failed attempt"))
    if stages:
        return ", ".join(parts)
    running = sum(queue.running for queue in report.queues)
    return f"nothing has finished yet; running: {running}" if running else "nothing has been started yet"


def format_time_left(report: StatusReport) -> str:
    """Format the remaining time, or the reason for not knowing it."""
    left = report.time_left
    if report.status.is_finished:
        return "none: finished"
    if report.status.blocked is not None:
        return "not known while it is blocked"
    if left.hours is None:
        least = format_left(left)
        return f"not known yet{f' ({least})' if least else ''}: {left.how}"
    end = format_end(report)
    return f"{format_left(left)}{f', until {end}' if end else ''}: {left.how}"


def format_end(report: StatusReport) -> str:
    """Format the expected end, UTC; empty if unknown."""
    if report.time_left.hours is None or report.time_left.hours > _LONGEST_H:
        return ""
    end = datetime.fromisoformat(report.at).replace(tzinfo=UTC) + timedelta(hours=report.time_left.hours)
    return f"{end:%Y-%m-%d %H:%M} UTC"


def format_spent(budget: Budget) -> str:
    """Format the spent and remaining CPU-hours."""
    said = f"{budget.spent_cpu_hours:.2f} spent"
    if budget.left_cpu_hours is not None:
        said += f", {budget.left_cpu_hours:.2f} left of {budget.cpu_hours:g}"
    if budget.relaxation_cpu_hours is not None:
        said += f", {budget.relaxation_cpu_hours:g} for relaxations"
    if budget.spent_gpu_hours:
        said += f"; {budget.spent_gpu_hours:.2f} GPU-hours spent"
    return said


def format_prediction_quality(found: PredictionQuality) -> str:
    """Format the errors of the predictions relative to DFT."""
    if found.mae is None:
        said = "no predicted candidate is relaxed yet"
    else:
        said = f"E_f(ML): MAE {found.mae:.3f}, bias {found.bias:+.3f} eV/atom on {found.n} relaxed"
    few = too_few_for_share(found.n, "relaxed ones") if found.mae is not None else None
    if found.success_ratio is not None:
        said += f"; success ratio {found.success_ratio:.2f} ({found.stable} of {found.promoted} promoted)"
    return f"{said}; {few}" if few else said


def format_stage(name: str) -> str:
    """Return the title of a stage of the ledger."""
    return STAGES[name].title if name in STAGES else name


def format_workers(queue: Queue, *, most: int | None = None) -> str:
    """Format where a queue's jobs run, with at most `most` workers and some of the scheduler's ids."""
    named = list(queue.workers.items())[:most]
    said = ", ".join(f"{worker} ({number})" for worker, number in named)
    if more := len(queue.workers) - len(named):
        said += f" and {format_count(more, 'more worker')}"
    if queue.job_ids:
        more = len(queue.job_ids) - _JOB_IDS
        said += "; jobs " + " ".join(queue.job_ids[:_JOB_IDS]) + (f" and {more} more" if more > 0 else "")
    return said

"""Actions that a user may have to take: notes of `campaign status`, and "what to do next" of the page."""

from collections.abc import Iterator

from campaign.config.wording import format_count
from campaign.store.states import CandidateState
from campaign.views.status.report import StatusReport


def status_notes(report: StatusReport) -> Iterator[str]:
    """Yield the reasons why a campaign waits and their remedies, one sentence each; commands in backticks."""
    status = report.status
    if (
        not ((status.problem and not status.blocked) or status.is_finished)
        and status.can_go_on
        and not status.fireworks.get("RUNNING")
    ):
        yield _why_nothing_runs(status.fireworks)
    if status.paused_note:
        yield status.paused_note
    if held := status.candidates.get(CandidateState.HELD):
        yield f"{format_count(held, 'candidate')} held by the budget: see `campaign budget {status.name}`"


def _why_nothing_runs(fireworks: dict[str, int]) -> str:
    if queued := fireworks.get("RESERVED"):
        return f"nothing is running, {queued} in the queues: `squeue` (or `qstat`) shows what the jobs wait for"
    return (
        "nothing is running: start workers with `rlaunch rapidfire` or `campaign run FILE`, or jobs on a cluster with "
        "`campaign cluster run`"
    )


def next_steps(report: StatusReport, *, is_live: bool) -> list[str]:
    """Return the recommended actions, the most urgent first; never empty.

    Parameters
    ----------
    is_live
        Whether the page is updated as the campaign runs.
    """
    status, name = report.status, report.status.name
    steps = [status.problem] if status.problem else []
    if not (steps or status.is_finished or status.can_go_on or status.paused_note):
        steps.append(f"nothing is left to run, but it is not complete: `campaign reconcile {name}` shows why")
    if report.budget.closed and not status.is_finished:
        steps.append(
            f"nothing more is submitted: {report.budget.closed}; change the limits with `campaign budget {name}`"
        )
    if report.budget.left_cpu_hours == 0.0 and not status.is_finished:
        steps.append(
            f"all CPU-hours of the budget are spent: `campaign budget {name} --cpu-hours ...` raises the limit"
        )
    steps += status_notes(report)
    # the failed references are named above, with their own command
    if failed := report.n_failed - (len(status.blocked.ids) if status.blocked is not None else 0):
        steps.append(
            f"{failed} failed permanently: `campaign failures {name}` shows why, `campaign retry {name}` retries them"
        )
    if status.is_finished:
        steps.append(f"finished: `campaign results {name}` lists the candidates, `campaign export {name}` writes them")
    elif not steps:
        steps.append(f"nothing: it is running{', and this page follows it' if is_live else ''}")
    return steps

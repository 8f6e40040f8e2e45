"""The commands `campaign pause`, `resume` and `stop`."""

from collections.abc import Iterator
from pathlib import Path

from campaign.commands.confirm import confirm
from campaign.commands.connection import open_for_writing
from campaign.config.wording import format_count
from campaign.recovery.at_work import find_at_work, format_at_work
from campaign.recovery.end_running import end_running
from campaign.recovery.retry import is_of_failures
from campaign.recovery.retry import resume as resume_calculations
from campaign.scheduling.stop import pause as pause_campaign
from campaign.scheduling.stop import show_again
from campaign.store.campaigns import OpenCampaign
from campaign.store.documents import StopKind
from campaign.store.states import CampaignState
from campaign.views.failures import pause_reason, stop_reason
from esnet.commands.console import console, print_labelled, print_plain
from esnet.files.errors import UserError

#: A scheduler gives a job about half a minute between its signals.
_ENDING_S = 120.0


class CancelOptionError(UserError, ValueError):
    """Incompatible options of `campaign stop`; the message says what would be right."""


def pause(*, name: str, reason: str | None, launchpad: Path | None) -> None:
    """Start nothing new in a campaign until `campaign resume`; running calculations are completed."""
    campaign = OpenCampaign.open(*open_for_writing(launchpad), name)
    print_plain(console(), *_halt(campaign, "paused", reason))
    if running := find_at_work(campaign.launchpad, name):
        print_plain(console(), f"still running, will be completed: {format_at_work(running)}")


def stop(*, name: str, cancel_jobs: bool, yes: bool, reason: str | None, launchpad: Path | None) -> None:
    """Stop a campaign: nothing new starts, and `campaign run` ends. `campaign resume` continues it."""
    if yes and not cancel_jobs:
        raise CancelOptionError("--yes answers the question of --cancel-jobs; right: give --cancel-jobs too")
    campaign = OpenCampaign.open(*open_for_writing(launchpad), name)
    running = find_at_work(campaign.launchpad, name)
    out = console()
    if running and cancel_jobs and not yes:
        print_plain(out, f"running: {format_at_work(running)}")
        confirm("The results of these since they started will be lost. Stop them? (yes)", answer="yes")
    print_plain(out, *_halt(campaign, "stopped", reason))
    if campaign.refresh().document["state"] == CampaignState.FINISHED:
        return
    if not cancel_jobs:
        if running:
            print_plain(out, f"still running, will be completed (--cancel-jobs stops them): {format_at_work(running)}")
        return
    done = end_running(campaign.refresh(), wait_s=_ENDING_S)
    if done.jobs:
        print_plain(out, f"cancelled {format_count(len(done.jobs), 'job')}: {', '.join(sorted(done.jobs))}")
    if done.processes:
        print_plain(out, f"stopped {format_count(done.processes, 'process')} on this machine")
    for left in done.left:
        print_labelled(out, "still running:", left)


def _halt(campaign: OpenCampaign, kind: StopKind, reason: str | None) -> Iterator[str]:
    """Pause or stop a campaign, and report its state."""
    if campaign.document["state"] == CampaignState.FINISHED:
        yield f"campaign {campaign.name} is finished: there is nothing to {'pause' if kind == 'paused' else 'stop'}"
        return
    done, waiting = pause_campaign(campaign, kind, reason=reason)
    now = campaign.refresh()
    said = pause_reason(now) or stop_reason(now)
    so = "" if done else "already "
    yield f"campaign {campaign.name} is {so}{said}"
    if waiting:
        yield f"left in the queue, not started: {format_count(waiting, 'calculation')} and steps"


def resume(*, name: str, launchpad: Path | None) -> None:
    """Resume a paused, stopped or archived campaign where it was."""
    campaign = OpenCampaign.open(*open_for_writing(launchpad), name)
    shown, _ = show_again(campaign)
    stop, resumed, retried = resume_calculations(campaign)
    out = console()
    if shown:
        print_plain(out, f"campaign {name} is listed again")
    if stop is None and not resumed:
        if not shown:
            said = "is not stopped; fireworks paused with lpad are resumed with `lpad resume_fws`"
            print_labelled(out, f"campaign {name}", said)
        return
    cause = f" ({stop.get('cause')})" if stop is not None and "cause" in stop else ""
    tried = f", {retried} failed{cause} will be retried" if retried or is_of_failures(stop) else ""
    print_labelled(
        out, f"campaign {name} submits again:", f"{format_count(resumed, 'paused calculation')} can run{tried}"
    )

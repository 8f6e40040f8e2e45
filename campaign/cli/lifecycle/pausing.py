"""The commands `campaign pause`, `resume` and `stop`: a campaign is paused, resumed or stopped."""

from typing import Annotated

import typer

from campaign.cli.options import LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in

ReasonOption = Annotated[
    str | None, typer.Option(help="Reason, shown by `campaign status` and `campaign history`; default: none")
]


@implemented_in("campaign.commands.lifecycle.pausing")
def pause(name: NameArgument, reason: ReasonOption = None, launchpad: LaunchpadOption = None) -> None:
    """Start nothing new in a campaign until `campaign resume`; running calculations are completed.

    Workers and queued jobs do not start its calculations, and `campaign run` waits.

    Example: campaign pause my-alloys --reason "maintenance on Monday"
    """


@implemented_in("campaign.commands.lifecycle.pausing")
def resume(name: NameArgument, launchpad: LaunchpadOption = None) -> None:
    """Resume a paused, stopped or archived campaign where it was.

    A campaign also stops submitting when `retries.stop_after` consecutive calculations fail in the same way at the
    start (`campaign status` shows why). Resume it when the cause is fixed; the calculations that failed for it are
    retried.

    Example: campaign resume my-alloys
    """


@implemented_in("campaign.commands.lifecycle.pausing")
def stop(
    name: NameArgument,
    cancel_jobs: Annotated[
        bool,
        typer.Option(
            "--cancel-jobs",
            help="Also stop everything that runs: its batch jobs (scancel, qdel), its `campaign run`, and its "
            "`rlaunch` on this machine; the interrupted attempts are not counted",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --cancel-jobs: do not ask for confirmation")] = False,
    reason: ReasonOption = None,
    launchpad: LaunchpadOption = None,
) -> None:
    """Stop a campaign: nothing new starts, and `campaign run` ends. `campaign resume` continues it.

    Example: campaign stop my-alloys --cancel-jobs
    """

"""The commands `campaign pause`, `resume` and `stop`: a campaign that waits, goes on, or is given up for now."""

from typing import Annotated

import typer

from campaign.cli.options import LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in

ReasonOption = Annotated[str | None, typer.Option(help="Why, for `campaign status` and the history; default: none")]


@implemented_in("campaign.commands.lifecycle.pausing")
def pause(name: NameArgument, reason: ReasonOption = None, launchpad: LaunchpadOption = None) -> None:
    """Let a campaign begin nothing more until `campaign resume`; what runs comes to its end.

    Workers and queued jobs leave its calculations alone, and `campaign run` waits.

    Example: campaign pause my-alloys --reason "maintenance on Monday"
    """


@implemented_in("campaign.commands.lifecycle.pausing")
def resume(name: NameArgument, launchpad: LaunchpadOption = None) -> None:
    """Let a paused, stopped or archived campaign go on where it was.

    A campaign also stops submitting when `retries.stop_after` calculations in a row fail alike at the start (`campaign
    status` says why). Resume it when the cause is mended; what failed of that cause is tried again.

    Example: campaign resume my-alloys
    """


@implemented_in("campaign.commands.lifecycle.pausing")
def stop(
    name: NameArgument,
    cancel_jobs: Annotated[
        bool,
        typer.Option(
            "--cancel-jobs",
            help="Also end what runs: its batch jobs (scancel, qdel), its `campaign run`, and its `rlaunch` on this "
            "machine; no try is counted",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --cancel-jobs: do not ask")] = False,
    reason: ReasonOption = None,
    launchpad: LaunchpadOption = None,
) -> None:
    """Give a campaign up: nothing more begins, and `campaign run` ends. `campaign resume` takes it up again.

    Example: campaign stop my-alloys --cancel-jobs
    """

"""The commands `campaign reconcile`, `failures` and `retry`: what was lost, what failed, and another try."""

from typing import Annotated

import typer

from campaign.cli.options import DryRunOption, LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in
from esnet.cli.options import JsonOption


@implemented_in("campaign.commands.failures")
def reconcile(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Name of the campaign; default: all that are not finished")
    ] = None,
    launchpad: LaunchpadOption = None,
    retry: Annotated[
        bool, typer.Option("--retry-failed", help="Also try again what has failed for good, once its cause is mended")
    ] = False,
    resubmit: Annotated[
        bool, typer.Option("--resubmit", help="Also submit again whose workflow was deleted (lpad delete_wfs)")
    ] = False,
    archived: Annotated[
        bool, typer.Option("--archived", help="With --resubmit: also whose workflow was archived")
    ] = False,
    defused: Annotated[
        bool, typer.Option("--defused", help="With --resubmit: also reignite defused workflows")
    ] = False,
    dry_run: DryRunOption = False,
) -> None:
    """Repair what killed workers and jobs left behind; safe to call at any time, from several places at once.

    Workflows that were deleted, archived or defused with lpad are named; --resubmit submits them again.

    Example: campaign reconcile my-alloys --dry-run
    """


@implemented_in("campaign.commands.failures")
def failures(name: NameArgument, launchpad: LaunchpadOption = None, as_json: JsonOption = False) -> None:
    """Show what failed in a campaign: a row for each kind, with an example, its last words, and what to do.

    Example: campaign failures my-alloys
    """


@implemented_in("campaign.commands.failures")
def retry(
    name: NameArgument,
    kind: Annotated[str, typer.Option(help="A cause as `campaign failures` shows it, science, machine, or all")],
    candidate: Annotated[str | None, typer.Option(help="This one alone: AlPd:B2, or its id; default: all")] = None,
    stage: Annotated[str | None, typer.Option(help="This stage alone: dos, relax or rs_dos; default: all")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SETTING",
            help="INCAR.TAG=value, walltime=HH:MM:SS or memory=8000M; repeatable; default: as before",
        ),
    ] = None,
    launchpad: LaunchpadOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Try again what has failed for good, with other settings or resources where some are given.

    Example: campaign retry my-alloys --stage relax --kind not_converged --set INCAR.ALGO=All
    """

"""The commands `campaign reconcile`, `failures` and `retry`: lost jobs, failed calculations, and retries."""

from typing import Annotated

import typer

from campaign.cli.options import DryRunOption, LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in
from esnet.cli.options import JsonOption


@implemented_in("campaign.commands.failures")
def reconcile(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Name of the campaign; default: all unfinished campaigns")
    ] = None,
    launchpad: LaunchpadOption = None,
    retry: Annotated[
        bool,
        typer.Option(
            "--retry-failed", help="Also retry permanently failed calculations; to be used once their cause is fixed"
        ),
    ] = False,
    resubmit: Annotated[
        bool, typer.Option("--resubmit", help="Also resubmit calculations whose workflow was deleted (lpad delete_wfs)")
    ] = False,
    archived: Annotated[
        bool, typer.Option("--archived", help="With --resubmit: also calculations whose workflow was archived")
    ] = False,
    defused: Annotated[
        bool, typer.Option("--defused", help="With --resubmit: also reignite defused workflows")
    ] = False,
    dry_run: DryRunOption = False,
) -> None:
    """Recover from killed workers and lost jobs. Safe to call at any time, also from several places simultaneously.

    Workflows that were deleted, archived or defused with lpad are listed; --resubmit submits them again.

    Example: campaign reconcile my-alloys --dry-run
    """


@implemented_in("campaign.commands.failures")
def failures(name: NameArgument, launchpad: LaunchpadOption = None, as_json: JsonOption = False) -> None:
    """Show the failures of a campaign: one row for each kind, with an example, its last output, and the remedy.

    Example: campaign failures my-alloys
    """


@implemented_in("campaign.commands.failures")
def retry(
    name: NameArgument,
    kind: Annotated[str, typer.Option(help="A cause as shown by `campaign failures`, or science, machine or all")],
    candidate: Annotated[
        str | None, typer.Option(help="Only this candidate (AlPd:B2) or reference, or its id; default: all")
    ] = None,
    stage: Annotated[str | None, typer.Option(help="Only this stage: dos, relax or rs_dos; default: all")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SETTING",
            help="INCAR.TAG=value, walltime=HH:MM:SS or memory=8000M; may be repeated; default: as before",
        ),
    ] = None,
    launchpad: LaunchpadOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Retry permanently failed calculations, optionally with other settings or resources.

    Example: campaign retry my-alloys --stage relax --kind not_converged --set INCAR.ALGO=All
    """

"""The commands `campaign explain`, `campaign decide` and `campaign release`."""

from typing import Annotated

import typer

from campaign.cli.options import LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in
from esnet.cli.options import JsonOption


@implemented_in("campaign.commands.decisions")
def explain(
    name: NameArgument,
    candidate: Annotated[
        str, typer.Argument(metavar="CANDIDATE", help="Formula and prototype (AlPd:B2), a formula, or an id")
    ],
    launchpad: LaunchpadOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say why a candidate was promoted, rejected or held, and make its decision again from what is stored.

    Example: campaign explain quickstart AlPd:B2
    """


@implemented_in("campaign.commands.decisions")
def decide(
    name: NameArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be decided; write nothing")] = False,
    policy: Annotated[
        str | None,
        typer.Option(
            help="Another policy, with --dry-run, e.g. thresholds:max_hull_energy=0.05 or probability:p=0.3; "
            "default: the campaign's"
        ),
    ] = None,
    launchpad: LaunchpadOption = None,
    as_json: JsonOption = False,
    all_rows: Annotated[bool, typer.Option("--all", help="Print every row, not the first 40")] = False,
) -> None:
    """Show what another policy would decide now, with --dry-run; nothing is written.

    Without --dry-run this is the former name of `campaign release`.

    Example: campaign decide quickstart --dry-run --policy probability:p=0.3,uncertainty=0.2
    """


@implemented_in("campaign.commands.decisions")
def release(name: NameArgument, launchpad: LaunchpadOption = None) -> None:
    """Release the candidates that the budget holds, as far as it allows now, and submit what is due.

    Example: campaign release my-alloys
    """

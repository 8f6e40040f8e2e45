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
        str, typer.Argument(metavar="CANDIDATE", help="Formula and prototype (AlPd:B2), formula, or id")
    ],
    launchpad: LaunchpadOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain why a candidate was promoted, rejected or held, and recompute its decision from the stored data.

    Example: campaign explain quickstart AlPd:B2
    """


@implemented_in("campaign.commands.decisions")
def decide(
    name: NameArgument,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be decided; nothing is written")
    ] = False,
    policy: Annotated[
        str | None,
        typer.Option(
            help="With --dry-run: another policy, e.g. thresholds:max_hull_energy=0.05 or probability:p=0.3; default: "
            "the campaign's"
        ),
    ] = None,
    launchpad: LaunchpadOption = None,
    as_json: JsonOption = False,
    all_rows: Annotated[bool, typer.Option("--all", help="Print all rows, not only the first 40")] = False,
) -> None:
    """With --dry-run, show what another policy would decide now; nothing is written.

    Without --dry-run, this is the former name of `campaign release`.

    Example: campaign decide quickstart --dry-run --policy probability:p=0.3,uncertainty=0.2
    """


@implemented_in("campaign.commands.decisions")
def release(name: NameArgument, launchpad: LaunchpadOption = None) -> None:
    """Release the candidates held by the budget, as far as it now allows, and submit all work that is due.

    Example: campaign release my-alloys
    """

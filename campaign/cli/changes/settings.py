"""The command `campaign set`: settings of a running campaign."""

from typing import Annotated

import typer

from campaign.cli.options import DryRunOption, LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in
from esnet.cli.options import JsonOption


@implemented_in("campaign.commands.changes.settings")
def set_settings(
    name: NameArgument,
    assignments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SECTION.KEY=VALUE]...",
            help="Settings in the sections policy, budget, screening, retries and stable",
        ),
    ] = None,
    redecide: Annotated[
        bool,
        typer.Option(
            "--redecide", help="Decide again on rejected and held candidates; promoted candidates stay promoted"
        ),
    ] = False,
    dry_run: DryRunOption = False,
    launchpad: LaunchpadOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change settings that no calculated number depends on. Previous values, time and user are recorded.

    Values are written as in a campaign file, with none for null. Existing decisions are kept unless --redecide is
    given.

    Example: campaign set my-alloys policy.max_hull_energy=0.2 budget.cpu_hours=100 --redecide
    """

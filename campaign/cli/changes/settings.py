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
        typer.Argument(metavar="[SECTION.KEY=VALUE]...", help="Of policy, budget, screening, retries, stable"),
    ] = None,
    redecide: Annotated[
        bool, typer.Option("--redecide", help="Decide again on what was rejected or held; what was promoted stays so")
    ] = False,
    dry_run: DryRunOption = False,
    launchpad: LaunchpadOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change settings that no calculated number depends on; what they were, when and by whom is kept.

    Values as in a campaign file; none for null. Decisions stay as they were made, unless --redecide is given.

    Example: campaign set my-alloys policy.max_hull_energy=0.2 budget.cpu_hours=100 --redecide
    """

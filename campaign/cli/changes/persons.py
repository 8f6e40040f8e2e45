"""The commands `campaign promote` and `campaign reject`: decisions made by people."""

from pathlib import Path
from typing import Annotated

import typer

from campaign.cli.options import DryRunOption, LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in
from esnet.cli.options import JsonOption

CandidatesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[CANDIDATE]...", help="Formula and prototype (AlPd:B2), formula, or id; may be given several times"
    ),
]
FromOption = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE", help="Also read candidates from a file, one on each line; default: none"),
]
ReasonOption = Annotated[str, typer.Option(help="Short reason, stored with the decision")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation")]


@implemented_in("campaign.commands.changes.persons")
def promote(
    name: NameArgument,
    reason: ReasonOption,
    candidates: CandidatesArgument = None,
    from_file: FromOption = None,
    over_budget: Annotated[
        bool,
        typer.Option(
            "--over-budget", help="Relax them even beyond the budget; default: candidates beyond the budget are held"
        ),
    ] = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    launchpad: LaunchpadOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have candidates relaxed, overriding the policy's decision.

    Applies to rejected, held and waiting candidates, and to those whose IS-DOS failed. A finished campaign resumes
    until they are done.

    Example: campaign promote my-alloys AlPd:B2 Al3Pd:L1_2 --reason "known from experiment"
    """


@implemented_in("campaign.commands.changes.persons")
def reject(
    name: NameArgument,
    reason: ReasonOption,
    candidates: CandidatesArgument = None,
    from_file: FromOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    launchpad: LaunchpadOption = None,
    as_json: JsonOption = False,
) -> None:
    """Exclude candidates from relaxation, overriding the policy's decision; running calculations are not stopped.

    Their calculations that wait for a worker are withdrawn (archived in FireWorks).

    Example: campaign reject my-alloys --from toxic.txt --reason "contains Tl or Cd"
    """

"""The commands `campaign promote` and `campaign reject`: decisions of persons."""

from pathlib import Path
from typing import Annotated

import typer

from campaign.cli.options import DryRunOption, LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in
from esnet.cli.options import JsonOption

CandidatesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[CANDIDATE]...", help="Formula and prototype (AlPd:B2), a formula, or an id; several"),
]
FromOption = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE", help="Candidates from a file too, one on each line; default: none"),
]
ReasonOption = Annotated[str, typer.Option(help="Why, in a few words; it stays with the decision")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask on a terminal first")]


@implemented_in("campaign.commands.changes.persons")
def promote(
    name: NameArgument,
    reason: ReasonOption,
    candidates: CandidatesArgument = None,
    from_file: FromOption = None,
    over_budget: Annotated[
        bool,
        typer.Option("--over-budget", help="Relax them whatever the budget says; default: what is over it is held"),
    ] = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    launchpad: LaunchpadOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have candidates relaxed because you say so, whatever the policy decided.

    Rejected, held and waiting ones, and those whose IS-DOS failed. A finished campaign runs again until they are done.

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
    """Keep candidates from being relaxed because you say so; what has begun is not stopped.

    Calculations of theirs that wait for a worker are withdrawn (archived in FireWorks).

    Example: campaign reject my-alloys --from toxic.txt --reason "contains Tl or Cd"
    """

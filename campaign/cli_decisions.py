"""The commands `campaign explain` and `campaign decide`."""

from __future__ import annotations

from typing import Annotated

import typer

from campaign.cli_database import LaunchpadOption, connect
from campaign.cli_options import NameArgument
from esnet.errors import UserError

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON")]
_SHOWN = 40


class DryRunError(UserError, ValueError):
    """Another policy was asked for without --dry-run."""


def explain(
    name: NameArgument,
    candidate: Annotated[
        str, typer.Argument(metavar="CANDIDATE", help="Formula and prototype (AlPd:B2), a formula, or an id")
    ],
    launchpad: LaunchpadOption = None,
    json: JsonOption = False,
) -> None:
    """Say why a candidate was promoted, rejected or held, and make its decision again from what is stored.

    Example: campaign explain quickstart AlPd:B2
    """
    import json as json_module

    from campaign.candidate_lookup import find_candidate
    from campaign.store import CampaignStore
    from campaign.views.explanation import explanation, format_explanation
    from esnet.commands.console import console

    store = CampaignStore(connect(launchpad).db)
    told = explanation(store, find_candidate(store, name, candidate))
    if json:
        typer.echo(json_module.dumps(told, indent=1))
        return
    out = console()
    for line in format_explanation(told):
        out.print(line, highlight=False, markup=False, soft_wrap=True)


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
    json: JsonOption = False,
    all_rows: Annotated[bool, typer.Option("--all", help=f"Print every row, not the first {_SHOWN}")] = False,
) -> None:
    """Show what another policy would decide now (--dry-run), or release held candidates as far as the budget allows.

    Example: campaign decide quickstart --dry-run --policy probability:p=0.3,uncertainty=0.2
    """
    import json as json_module
    from dataclasses import asdict

    from campaign.cli_policy import parse_policy
    from campaign.execution.advance import advance
    from campaign.execution.held import release_held
    from campaign.loading import load_campaign
    from campaign.store import CampaignStore
    from campaign.views.other_policy import differences_table
    from campaign.views.other_policy import dry_run as run_dry
    from esnet.commands.console import console

    connection = connect(launchpad)
    store = CampaignStore(connection.db)
    campaign = load_campaign(store, name)
    out = console()
    if not dry_run:
        if policy is not None:
            raise DryRunError(
                "--policy without --dry-run: a running campaign keeps its policy, so its decisions mean one thing; "
                "right: add --dry-run, or start a campaign of another name"
            )
        released = release_held(store, campaign)
        advance(store, connection, name)
        out.print(f"{released} held candidate(s) go on", highlight=False)
        return
    found = run_dry(store, name, campaign.spec.policy if policy is None else parse_policy(policy))
    if json:
        typer.echo(json_module.dumps(asdict(found), indent=1))
        return
    out.print(f"campaign {name}, nothing is written. Promoted would be: {found.policy}", highlight=False, markup=False)
    for label, counts in (("as it stands", found.now), ("would be", found.would_be)):
        listed = ", ".join(f"{number} {word}" for word, number in sorted(counts.items()))
        out.print(f"  {label}: {listed or 'nothing has a prediction yet'}", highlight=False)
    inside, outside = found.known_stable
    out.print(
        f"  relaxations would cost about {found.relax_cpu_s / 3600:.3g} CPU-hours; known to be stable: {inside} of "
        f"what it would relax, {outside} of what it would leave out",
        highlight=False,
    )
    if not found.differences:
        out.print("  no candidate is decided on otherwise", highlight=False)
        return
    out.print(differences_table(found, limit=None if all_rows else _SHOWN))
    if not all_rows and len(found.differences) > _SHOWN:
        out.print(f"... and {len(found.differences) - _SHOWN} more (--all)", highlight=False)

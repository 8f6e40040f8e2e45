"""The commands `campaign explain` and `campaign decide`."""

from __future__ import annotations

from typing import Annotated

import typer

from campaign.cli.database import LaunchpadOption, connect
from campaign.cli.options import NameArgument
from campaign.store.campaigns import Campaign, OpenCampaign
from esnet.files.errors import UserError

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

    from campaign.store.candidates import find_candidate
    from campaign.store.collections import CampaignStore
    from campaign.views.explanation import explanation, format_explanation
    from esnet.commands.console import console

    store = CampaignStore(connect(launchpad).db)
    campaign = Campaign.read(store, name)
    told = explanation(campaign, find_candidate(campaign, candidate))
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

    from campaign.budget.hold_queue import release_held
    from campaign.cli.policy import parse_policy
    from campaign.scheduling.advance import advance
    from campaign.store.collections import CampaignStore
    from campaign.views.policy_dry_run import differences_table
    from campaign.views.policy_dry_run import dry_run as run_dry
    from esnet.commands.console import console

    connection = connect(launchpad)
    store = CampaignStore(connection.db)
    campaign = Campaign.read(store, name)
    out = console()
    if not dry_run:
        if policy is not None:
            raise DryRunError(
                "--policy without --dry-run: a running campaign keeps its policy, so its decisions mean one thing; "
                "right: add --dry-run, or start a campaign of another name"
            )
        released = release_held(campaign)
        advance(OpenCampaign.open(store, connection, name))
        out.print(f"{released} held candidate(s) go on", highlight=False)
        return
    found = run_dry(Campaign.read(store, name), campaign.spec.policy if policy is None else parse_policy(policy))
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

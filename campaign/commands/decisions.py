"""The commands `campaign explain`, `campaign decide` and `campaign release`."""

import json
from dataclasses import asdict
from pathlib import Path

import typer

from campaign.commands.connection import open_for_writing, read_campaign
from campaign.config.wording import format_count
from campaign.running_campaign import RunningCampaign
from campaign.spec.policy_text import parse_policy
from campaign.store.candidates import find_candidate
from campaign.views.explanation import explanation, format_explanation
from campaign.views.policy_dry_run import differences_table
from campaign.views.policy_dry_run import dry_run as run_dry
from esnet.commands.console import console, print_plain
from esnet.files.errors import UserError

SHOWN = 40


class DryRunError(UserError, ValueError):
    """Another policy was given without --dry-run."""


def explain(*, name: str, candidate: str, launchpad: Path | None, as_json: bool) -> None:
    """Explain why a candidate was promoted, rejected or held, and recompute its decision from the stored data."""
    campaign = read_campaign(launchpad, name)
    told = explanation(campaign, find_candidate(campaign, candidate))
    if as_json:
        typer.echo(json.dumps(told, indent=1))
    else:
        print_plain(console(), *format_explanation(told))


def decide(
    *, name: str, dry_run: bool, policy: str | None, launchpad: Path | None, as_json: bool, all_rows: bool
) -> None:
    """Show what another policy would decide now; without --dry-run, the former name of `campaign release`."""
    if not dry_run:
        if policy is not None:
            raise DryRunError(
                "--policy without --dry-run: a running campaign keeps its policy, so that its decisions stay "
                "comparable; right: add --dry-run, or start a campaign with another name"
            )
        renamed = f"`campaign decide` without --dry-run is now `campaign release {name}`"
        print_plain(console(stderr=True), renamed)
        release(name=name, launchpad=launchpad)
        return
    campaign = read_campaign(launchpad, name)
    out = console()
    found = run_dry(campaign, campaign.spec.policy if policy is None else parse_policy(policy))
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=1))
        return
    out.print(f"campaign {name}; nothing is written. Would be promoted: {found.policy}", highlight=False)
    for label, counts in (("as it stands", found.now), ("would be", found.would_be)):
        listed = ", ".join(f"{number} {word}" for word, number in sorted(counts.items()))
        out.print(f"  {label}: {listed or 'nothing has a prediction yet'}", highlight=False)
    inside, outside = found.known_stable
    out.print(
        f"  relaxations would cost about {found.relax_cpu_s / 3600:.3g} CPU-hours; known to be stable: {inside} of "
        f"the candidates it would relax, {outside} of those it would leave out",
        highlight=False,
    )
    if not found.differences:
        out.print("  the decision is the same for every candidate", highlight=False)
        return
    out.print(differences_table(found, limit=None if all_rows else SHOWN))
    if not all_rows and len(found.differences) > SHOWN:
        out.print(f"... and {len(found.differences) - SHOWN} more (--all)", highlight=False)


def release(*, name: str, launchpad: Path | None) -> None:
    """Release held candidates as far as the budget allows, then submit all work that is due."""
    released = RunningCampaign.open(*open_for_writing(launchpad), name).release()
    console().print(f"{format_count(released, 'held candidate')} released", highlight=False)

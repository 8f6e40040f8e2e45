"""The command `campaign verify`: the invariants of a campaign, their violations, and the remedies."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import typer

from campaign.commands.connection import connect
from campaign.config.wording import format_count
from campaign.recovery.reconcile import reconcile
from campaign.store.campaigns import OpenCampaign
from campaign.store.collections import CampaignStore
from campaign.verification.finding import Finding
from campaign.verification.verify import verify as verify_campaign
from esnet.commands.console import console, print_labelled, print_plain

#: Findings per kind shown on a terminal; `--json` has all of them.
_SHOWN = 5


def verify(*, name: str, launchpad: Path | None, features: bool, as_json: bool) -> None:
    """Check that nothing in a campaign is lost, duplicated, damaged or stuck; exit code 1 if anything is. Read-only."""
    connection = connect(launchpad)
    campaign = OpenCampaign.open(CampaignStore(connection.db), connection, name, dry_run=True)
    found = verify_campaign(campaign, lambda: reconcile(campaign, dry_run=True), read_features=features)
    if as_json:
        findings = [asdict(finding) for finding in found.findings]
        content = {"campaign": name, "ok": not findings, "looked_at": found.looked_at, "findings": findings}
        typer.echo(json.dumps(content, indent=1))
    else:
        out = console()
        print_plain(out, f"campaign {name}: checked {_counted(found.looked_at)}")
        for label, text in _lines(found.findings):
            print_labelled(out, label, text, style="red" if label == "wrong:" else "")
        print_plain(out, format_count(len(found.findings), "finding") if found.findings else "no problems found")
    if found.findings:
        raise typer.Exit(1)


def _counted(looked_at: dict[str, int]) -> str:
    counted = ", ".join(f"{number} {kind}" for kind, number in looked_at.items() if kind != "unknown")
    unknown = looked_at["unknown"]
    return (
        f"{counted}; for {format_count(unknown, 'firework')} it is not known from here whether it runs"
        if unknown
        else counted
    )


def _lines(findings: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    """Yield label and text of each line: the invariant, then its violations, each with its remedy."""
    in_order = sorted(findings, key=lambda finding: finding.check)
    for check, group in groupby(in_order, key=lambda finding: finding.check):
        same = list(group)
        yield "wrong:", f"{check} ({len(same)})"
        for finding in same[:_SHOWN]:
            yield f"  {finding.subject}:", finding.problem
            yield "    remedy:", finding.remedy
        if len(same) > _SHOWN:
            yield "  ...", f"and {len(same) - _SHOWN} more, see --json"

"""The command `campaign set`."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import typer

from campaign.commands.connection import open_for_writing
from campaign.config.wording import format_count
from campaign.scheduling.change_settings import SettingsReport, change_settings
from campaign.spec.changes import SETTABLE, SettingsError, read_assignments
from campaign.steps.rescore import rescore_waiting, screen_again
from campaign.store.campaigns import OpenCampaign
from campaign.store.collections import now
from esnet.commands.console import console, print_plain

_FOR_NEW_ONES = "screening.batch_size"


def set_settings(
    *, name: str, assignments: list[str] | None, redecide: bool, dry_run: bool, launchpad: Path | None, as_json: bool
) -> None:
    """Change settings that no calculated number depends on."""
    campaign = OpenCampaign.open(*open_for_writing(launchpad, dry_run=dry_run), name, dry_run=dry_run)
    if not (assignments or redecide):
        right = "e.g. policy.max_hull_energy=0.2, or --redecide"
        raise SettingsError([f"no setting given; right: {right}. Settings that can be changed: {', '.join(SETTABLE)}"])
    given, problems = read_assignments(assignments or [])
    report = change_settings(campaign, given, problems=problems, redecide=redecide, dry_run=dry_run)
    if "recalibrate_every" in given.get("screening", {}) and not dry_run:
        _correct_waiting(campaign.refresh())
    if as_json:
        typer.echo(json.dumps({**asdict(report), "dry_run": dry_run}, indent=1))
    else:
        print_plain(console(), *_format(name, report, dry_run=dry_run))


def _correct_waiting(campaign: OpenCampaign) -> None:
    """Have waiting candidates decided on with the present correction, even if no setting was changed now.

    An earlier call may have been killed after it wrote the setting.
    """
    if campaign.is_halted:
        rescore_waiting(campaign)  # a later Screen handles them
    else:
        screen_again(campaign, after=f"{campaign.name}/set-{now():%Y%m%dT%H%M%S%f}")


def _format(name: str, report: SettingsReport, *, dry_run: bool) -> Iterator[str]:
    yield from map(str, report.changes)
    if not report.changes:
        yield f"campaign {name}: these settings are already in force"
    if any(change.field == _FOR_NEW_ONES for change in report.changes):
        yield f"{_FOR_NEW_ONES} applies to candidates added from now on; existing candidates keep their batches"
    if report.decided_again is not None:
        listed = ", ".join(f"{number} {change}" for change, number in sorted(report.decided_again.items()))
        would = "would be " if dry_run else ""
        yield f"{would}decided again: {listed or 'all with the same outcome'}"
    if report.released:
        yield f"{format_count(report.released, 'held candidate')} released, {report.held} stay held"
    if dry_run:
        yield "nothing was changed (--dry-run)"
    elif any(change.field.startswith("policy.") for change in report.changes) and report.decided_again is None:
        yield (
            f"existing decisions are kept; campaign set {name} --redecide decides again on candidates that are not "
            "promoted"
        )

"""The command `campaign budget`: what is spent, reserved and left, and changes to the limits of a running campaign."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import typer

from campaign.commands.connection import open_for_writing, read_campaign
from campaign.scheduling.change_budget import change_budget
from campaign.store.campaigns import OpenCampaign
from campaign.views.budget import budget_report, format_budget
from esnet.commands.console import console, print_plain
from esnet.files.errors import UserError

_NONE = "none"


class BudgetOptionError(UserError, ValueError):
    """An invalid limit on the command line; the message says what would be right."""


def budget(
    *,
    name: str,
    cpu_hours: str | None,
    relaxation_cpu_hours: str | None,
    relaxations: str | None,
    until: str | None,
    stop_after_stable: str | None,
    stop_after_no_discovery: str | None,
    launchpad: Path | None,
    as_json: bool,
) -> None:
    """Show what a campaign has spent and has left. Options change its limits and release held candidates."""
    given = {
        "cpu_hours": _limit(cpu_hours, float, "--cpu-hours"),
        "relaxation_cpu_hours": _limit(relaxation_cpu_hours, float, "--relaxation-cpu-hours"),
        "relaxations": _limit(relaxations, int, "--relaxations"),
        "until": _limit(until, datetime.fromisoformat, "--until"),
        "stop_after_stable": _limit(stop_after_stable, int, "--stop-after-stable"),
        "stop_after_no_discovery": _limit(stop_after_no_discovery, int, "--stop-after-no-discovery"),
    }
    asked = {key: value for key, (is_given, value) in given.items() if is_given}
    out = console()
    if asked:
        changed = change_budget(OpenCampaign.open(*open_for_writing(launchpad), name), asked)
        if not as_json:
            print_plain(out, changed)
    found = budget_report(read_campaign(launchpad, name))
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        print_plain(out, *format_budget(found))


def _limit(text: str | None, read: Callable[[str], Any], option: str) -> tuple[bool, Any]:
    """Return whether a limit was given, and its value; None removes the limit."""
    if text is None or text.lower() == _NONE:
        return text is not None, None
    rights: dict[Any, str] = {int: "a whole number", float: "a number"}
    right = rights.get(read, "a time with time zone, e.g. 2027-03-01T08:00:00Z")
    try:
        value = read(text)
    except ValueError as error:
        raise BudgetOptionError(f"{option}: found {text!r}; right: {right}, or none") from error
    if isinstance(value, datetime) and value.tzinfo is None:
        raise BudgetOptionError(f"{option}: found {text!r}, which has no time zone; right: {right}, or none")
    return True, value

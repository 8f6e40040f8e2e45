"""The command `campaign budget`: what is spent, promised and left, and changing the limits of a running campaign."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from campaign.cli.database import LaunchpadOption, connect
from campaign.cli.options import NameArgument
from campaign.store.campaigns import Campaign, OpenCampaign
from esnet.files.errors import UserError

_NONE = "none"
_KEPT = "default: as it is"


class BudgetOptionError(UserError, ValueError):
    """A limit on the command line is none; the message says what would be right."""


def budget(
    name: NameArgument,
    cpu_hours: Annotated[str | None, typer.Option(help=f"CPU-hours of the whole campaign, or none; {_KEPT}")] = None,
    relaxation_cpu_hours: Annotated[
        str | None,
        typer.Option(help=f"CPU-hours of the relaxations of candidates, or none (the policy's own); {_KEPT}"),
    ] = None,
    relaxations: Annotated[
        str | None, typer.Option(help=f"Number of relaxations of candidates, or none; {_KEPT}")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help=f"Time with its zone, 2027-03-01T08:00:00Z, or none; {_KEPT}")
    ] = None,
    stop_after_stable: Annotated[str | None, typer.Option(help=f"Number of stable materials, or none; {_KEPT}")] = None,
    stop_after_no_discovery: Annotated[
        str | None, typer.Option(help=f"Number of relaxations in a row without a stable one, or none; {_KEPT}")
    ] = None,
    launchpad: LaunchpadOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON")] = False,
) -> None:
    """Show what a campaign has spent and has left; with options: change its limits, and let held candidates go on.

    `none` takes a limit away.

    Example: campaign budget my-alloys --cpu-hours 5000
    """
    import json as json_module

    from campaign.scheduling.change_budget import change_budget
    from campaign.store.collections import CampaignStore
    from campaign.views.budget import budget_report, format_budget
    from esnet.commands.console import console

    given = {
        "cpu_hours": _number(cpu_hours, float, "--cpu-hours"),
        "relaxation_cpu_hours": _number(relaxation_cpu_hours, float, "--relaxation-cpu-hours"),
        "relaxations": _number(relaxations, int, "--relaxations"),
        "until": _time(until),
        "stop_after_stable": _number(stop_after_stable, int, "--stop-after-stable"),
        "stop_after_no_discovery": _number(stop_after_no_discovery, int, "--stop-after-no-discovery"),
    }
    asked = {key: value for key, (is_given, value) in given.items() if is_given}
    connection = connect(launchpad)
    store = CampaignStore(connection.db)
    out = console()
    if asked:
        changed = change_budget(OpenCampaign.open(store, connection, name), asked)
        if not json:
            out.print(changed, highlight=False, markup=False, soft_wrap=True)
    found = budget_report(Campaign.read(store, name))
    if json:
        typer.echo(json_module.dumps(found, indent=1))
        return
    for line in format_budget(found):
        out.print(line, highlight=False, markup=False, soft_wrap=True)


def _number(text: str | None, kind: type[int] | type[float], option: str) -> tuple[bool, Any]:
    if text is None or text.lower() == _NONE:
        return text is not None, None
    try:
        return True, kind(text)
    except ValueError as error:
        right = "a whole number" if kind is int else "a number"
        raise BudgetOptionError(f"{option}: found {text!r}; right: {right}, or none") from error


def _time(text: str | None) -> tuple[bool, datetime | None]:
    if text is None or text.lower() == _NONE:
        return text is not None, None
    right = "right: a time with its zone, e.g. 2027-03-01T08:00:00Z, or none"
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise BudgetOptionError(f"--until: found {text!r}; {right}") from error
    if time.tzinfo is None:
        raise BudgetOptionError(f"--until: found {text!r}, which has no time zone; {right}")
    return True, time

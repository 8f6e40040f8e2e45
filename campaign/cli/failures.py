"""The commands `campaign reconcile`, `failures` and `retry`: what was lost, what failed, and another try."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from campaign.cli.database import LaunchpadOption, connect
from campaign.cli.options import NameArgument
from campaign.store.campaigns import Campaign, OpenCampaign
from esnet.commands.console import console as _console

if TYPE_CHECKING:
    from rich.console import Console

    from campaign.recovery.reconcile_report import Reconciled

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be changed, and change nothing")]


def reconcile(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Name of the campaign; default: all that are not finished")
    ] = None,
    launchpad: LaunchpadOption = None,
    retry: Annotated[
        bool, typer.Option("--retry-failed", help="Also try again what has failed for good, once its cause is mended")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Repair what killed workers and jobs left behind; safe to call at any time, from several places at once.

    Example: campaign reconcile my-alloys --dry-run
    """
    from campaign.recovery.reconcile import reconcile as reconcile_campaign
    from campaign.recovery.retry import failed_calculations, retry_failed
    from campaign.store.collections import CampaignStore

    connection = connect(launchpad)
    store = CampaignStore(connection.db)
    console = _console()
    open_ones = store.campaigns.find({"state": {"$ne": "finished"}}, ["_id"]).sort("_id")
    names = [name] if name is not None else [found["_id"] for found in open_ones]
    if not names:
        console.print("no campaign is under way")
    for each in names:
        done = reconcile_campaign(OpenCampaign.open(store, connection, each), dry_run=dry_run)
        _report_repairs(done, console, prefix="" if name is not None else f"{each}: ", quiet=retry)
        if retry and dry_run:
            number = len(list(failed_calculations(Campaign.read(store, each))))
            console.print(f"{number} failed calculation(s) would be tried again", highlight=False)
        elif retry:
            console.print(
                f"{retry_failed(OpenCampaign.open(store, connection, each))} failed calculation(s) will be tried again"
            )


def _report_repairs(done: Reconciled, console: Console, *, prefix: str, quiet: bool) -> None:
    for line in done.lines():
        console.print(f"{prefix}{line}", highlight=False, markup=False, soft_wrap=True)
    if unknown := done.unknown_line():
        console.print(f"{prefix}{unknown}", highlight=False, markup=False, soft_wrap=True)
    if not done and not quiet:
        console.print(f"{prefix}nothing to repair", markup=False)


def failures(
    name: NameArgument,
    launchpad: LaunchpadOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON")] = False,
) -> None:
    """Show what failed in a campaign: a row for each kind, with an example, its last words, and what to do.

    Example: campaign failures my-alloys
    """
    import json as json_module

    from campaign.store.collections import CampaignStore
    from campaign.views.failures import failure_kinds, failures_table, format_failure

    store = CampaignStore(connect(launchpad).db)
    kinds = failure_kinds(Campaign.read(store, name))
    if json:
        typer.echo(json_module.dumps([kind.to_dict() for kind in kinds], indent=1))
        return
    console = _console()
    if not kinds:
        console.print(f"campaign {name}: nothing has failed", highlight=False)
        return
    console.print(failures_table(kinds, title=f"campaign {name}: failures"))
    for kind in kinds:
        console.print()
        for line in format_failure(kind):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    if any(kind.for_good for kind in kinds):
        console.print(f"\nanother try: campaign retry {name} --kind CAUSE [--set INCAR.ALGO=All]", markup=False)


def retry(
    name: NameArgument,
    kind: Annotated[str, typer.Option(help="A cause as `campaign failures` shows it, science, machine, or all")],
    candidate: Annotated[str | None, typer.Option(help="This one alone: AlPd:B2, or its id; default: all")] = None,
    stage: Annotated[str | None, typer.Option(help="This stage alone: dos, relax or rs_dos; default: all")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SETTING",
            help="INCAR.TAG=value, walltime=HH:MM:SS or memory=8000M; repeatable; default: as before",
        ),
    ] = None,
    launchpad: LaunchpadOption = None,
    dry_run: DryRun = False,
) -> None:
    """Try again what has failed for good, with other settings or resources where some are given.

    Example: campaign retry my-alloys --kind not_converged --set INCAR.ALGO=All --set INCAR.NELM=200
    """
    from campaign.recovery.retry import choose, failed_calculations
    from campaign.recovery.retry import retry as retry_calculations
    from campaign.store.candidates import find_candidate
    from campaign.store.collections import CampaignStore

    connection = connect(launchpad)
    store = CampaignStore(connection.db)
    Campaign.read(store, name)
    only = None if candidate is None else str(find_candidate(Campaign.read(store, name), candidate)["_id"])
    chosen = choose(list(failed_calculations(Campaign.read(store, name))), kind=kind, stage=stage, candidate=only)
    words = [*(f"--set {shlex.quote(word)}" for word in settings or ())]
    words += [f"--candidate {shlex.quote(candidate)}"] if candidate else []
    words += [f"--stage {stage}"] if stage else []
    command = " ".join(["campaign retry", name, "--kind", shlex.quote(kind), *words])
    number, overrides = retry_calculations(
        OpenCampaign.open(store, connection, name), chosen, settings=settings or (), command=command, dry_run=dry_run
    )
    console = _console()
    changed = {**{f"INCAR.{tag}": value for tag, value in overrides.incar.items()}, **overrides.queue}
    with_what = f" with {', '.join(f'{key}={value}' for key, value in changed.items())}" if changed else ""
    will = "would be" if dry_run else "will be"
    console.print(f"{number} failed calculation(s) {will} tried again{with_what}", highlight=False, markup=False)
    for each in chosen[:20]:
        console.print(f"  {each.name}: {each.stage.title}, {each.cause}", highlight=False, markup=False)
    if len(chosen) > 20:
        console.print(f"  ... and {len(chosen) - 20} more", highlight=False)

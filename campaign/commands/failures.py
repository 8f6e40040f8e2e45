"""The commands `campaign reconcile`, `failures` and `retry`: lost jobs, failed calculations, and retries."""

import json
import shlex
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Console

from campaign.attempts.blocked import BLOCKED, blocked
from campaign.commands.connection import open_for_writing, read_campaign
from campaign.commands.errors import is_user_error
from campaign.config.wording import format_count
from campaign.recovery.reconcile import reconcile as reconcile_campaign
from campaign.recovery.reconcile_report import ReconcileReport
from campaign.recovery.removed_workflows import format_removed, removed_workflows
from campaign.recovery.removed_workflows import resubmit as resubmit_workflows
from campaign.recovery.retry import choose, failed_calculations, retry_failed
from campaign.recovery.retry import retry as retry_calculations
from campaign.references.reference_sets import restore_reference_set
from campaign.store.campaigns import OpenCampaign
from campaign.store.candidates import find_candidate
from campaign.store.listings import foreign_campaigns, unfinished_campaigns
from campaign.views.failures import failure_kinds, failures_table, format_failure
from esnet.commands.console import console as _console
from esnet.commands.console import print_labelled, print_plain
from esnet.files.errors import UserError
from launchers.database.errors import DatabaseError


class ResubmitOptionError(UserError, ValueError):
    """Incompatible options of `campaign reconcile`; the message says what would be right."""


def reconcile(
    *,
    name: str | None,
    launchpad: Path | None,
    retry: bool,
    resubmit: bool,
    archived: bool,
    defused: bool,
    dry_run: bool,
) -> None:
    """Recover from killed workers and lost jobs; safe to call at any time, also from several places simultaneously."""
    if (archived or defused) and not resubmit:
        raise ResubmitOptionError("--archived and --defused extend --resubmit; right: give --resubmit too")
    asked = (("deleted", resubmit), ("archived", archived), ("defused", defused))
    kinds = {kind for kind, wanted in asked if wanted}
    store, connection = open_for_writing(launchpad, dry_run=dry_run)
    console = _console()
    if name is not None:
        _reconcile_one(OpenCampaign.open(store, connection, name, dry_run=dry_run), kinds, retry, dry_run, console)
        return
    if foreign := foreign_campaigns(store):
        passed = f"skipped, because they are not campaigns: {', '.join(foreign)} (collection campaigns);"
        print_labelled(console, passed, "use a separate database for campaigns (`name` in my_launchpad.yaml)")
    names = unfinished_campaigns(store)
    if not names:
        console.print("no campaign is running")
    failed = False
    for each in names:
        try:
            campaign = OpenCampaign.open(store, connection, each, dry_run=dry_run)
            _reconcile_one(campaign, kinds, retry, dry_run, console, prefix=f"{each}: ")
        except Exception as error:
            # a problem of one campaign must not prevent the repair of others; database errors concern all
            if not is_user_error(error) or isinstance(error, DatabaseError):
                raise
            print_plain(console, f"{each}: cannot be reconciled: {error}")
            failed = True
    if failed:
        raise typer.Exit(1)


def _reconcile_one(
    campaign: OpenCampaign, resubmitted: Collection[str], retry: bool, dry_run: bool, console: Console, prefix: str = ""
) -> None:
    if not dry_run and (restored := restore_reference_set(campaign)):
        print_plain(console, f"{prefix}{restored}")
    done = reconcile_campaign(campaign, dry_run=dry_run)
    if resubmitted:
        lines = _resubmit(campaign, resubmitted, done, dry_run=dry_run)
        print_plain(console, *(f"{prefix}{line}" for line in lines))
    waits_for = None if retry else blocked(campaign.refresh())
    quiet = retry or bool(resubmitted) or waits_for is not None
    _report_repairs(done, console, prefix=prefix, quiet=quiet)
    if waits_for is not None:
        print_plain(console, f"{prefix}{waits_for}")
    if retry and dry_run:
        number = len(list(failed_calculations(campaign)))
        console.print(f"{format_count(number, 'failed calculation')} would be retried", highlight=False)
    elif retry:
        console.print(f"{format_count(retry_failed(campaign), 'failed calculation')} will be retried")


def _resubmit(campaign: OpenCampaign, kinds: Collection[str], done: ReconcileReport, *, dry_run: bool) -> list[str]:
    """Resubmit workflows removed in one of these ways; ``done`` keeps those removed in another way."""
    removed = removed_workflows(campaign)
    meant = [each for each in removed if each.how in kinds]
    done.removed = list(format_removed(campaign, [each for each in removed if each.how not in kinds]))
    if not meant:
        return ["no removed workflow to submit again"]
    if dry_run:
        return [f"{format_count(len(meant), 'removed workflow')} would be submitted again"]
    number, busy = resubmit_workflows(campaign, meant)
    return [f"{format_count(number, 'removed workflow')} submitted again", *busy]


def _report_repairs(done: ReconcileReport, console: Console, *, prefix: str, quiet: bool) -> None:
    unknown = done.unknown_line()
    lines = [*done.lines(), *done.removed, *([unknown] if unknown else [])]
    print_plain(console, *(f"{prefix}{line}" for line in lines))
    if not done and not done.removed and not quiet:
        console.print(f"{prefix}nothing to repair")


def failures(*, name: str, launchpad: Path | None, as_json: bool) -> None:
    """Show the failures of a campaign: a row for each kind, with an example, its last output, and the remedy."""
    campaign = read_campaign(launchpad, name)
    waits_for = blocked(campaign)
    kinds = failure_kinds(campaign, waits_for)
    if as_json:
        typer.echo(json.dumps([asdict(kind) for kind in kinds], indent=1))
        return
    console = _console()
    if not kinds:
        console.print(f"campaign {name}: nothing has failed", highlight=False)
        return
    console.print(failures_table(kinds, title=f"campaign {name}: failures"))
    for kind in kinds:
        console.print()
        print_plain(console, *format_failure(kind))
    if waits_for is not None:
        console.print()
        print_labelled(console, f"{BLOCKED}:", waits_for.why)
    if sum(kind.for_good for kind in kinds) > (0 if waits_for is None else len(waits_for.ids)):
        console.print(f"\nto retry: campaign retry {name} --kind CAUSE [--set INCAR.NELM=400]")


def retry(
    *,
    name: str,
    kind: str,
    candidate: str | None,
    stage: str | None,
    settings: list[str] | None,
    launchpad: Path | None,
    dry_run: bool,
) -> None:
    """Retry permanently failed calculations, optionally with other settings or resources."""
    store, connection = open_for_writing(launchpad, dry_run=dry_run)
    campaign = OpenCampaign.open(store, connection, name, dry_run=dry_run)
    failed = list(failed_calculations(campaign))
    # a reference is known by its id, or as it is named here: reference Pd
    only = next((each.document["_id"] for each in failed if candidate in (each.document["_id"], each.name)), None)
    if only is None and candidate is not None:
        only = str(find_candidate(campaign, candidate)["_id"])
    chosen = choose(failed, kind=kind, stage=stage, candidate=only)
    words = [*(f"--set {shlex.quote(word)}" for word in settings or ())]
    words += [f"--candidate {shlex.quote(candidate)}"] if candidate else []
    words += [f"--stage {stage}"] if stage else []
    command = " ".join(["campaign retry", name, "--kind", shlex.quote(kind), *words])
    number, overrides = retry_calculations(campaign, chosen, settings=settings or (), command=command, dry_run=dry_run)
    console = _console()
    changed = {**{f"INCAR.{tag}": value for tag, value in overrides.incar.items()}, **overrides.queue}
    with_what = f" with {', '.join(f'{key}={value}' for key, value in changed.items())}" if changed else ""
    will = "would be" if dry_run else "will be"
    console.print(f"{format_count(number, 'failed calculation')} {will} retried{with_what}", highlight=False)
    for each in chosen[:20]:
        console.print(f"  {each.name}: {each.stage.title}, {each.cause}", highlight=False)
    if len(chosen) > 20:
        console.print(f"  ... and {len(chosen) - 20} more", highlight=False)

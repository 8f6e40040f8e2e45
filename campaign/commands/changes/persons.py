"""The commands `campaign promote` and `campaign reject`."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import typer

from campaign.commands.connection import open_for_writing
from campaign.scheduling.persons import PersonReport
from campaign.scheduling.persons import promote as promote_candidates
from campaign.scheduling.persons import reject as reject_candidates
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.candidates import UnknownCandidateError, find_candidate
from esnet.commands.console import console, print_plain
from esnet.files.errors import UserError

_WORDS = {
    "promoted": "promoted",
    "held": "held by the budget",
    "rejected": "rejected",
    "later": "takes effect when the IS-DOS has finished",
    "unchanged": "unchanged",
    "refused": "refused",
}


class CandidateListError(UserError, ValueError):
    """A command cannot accept some candidates; the message lists all of them."""


def promote(
    *,
    name: str,
    reason: str,
    candidates: list[str] | None,
    from_file: Path | None,
    over_budget: bool,
    yes: bool,
    dry_run: bool,
    launchpad: Path | None,
    as_json: bool,
) -> None:
    """Have candidates relaxed on a person's request."""
    campaign = OpenCampaign.open(*open_for_writing(launchpad, dry_run=dry_run), name, dry_run=dry_run)
    ids = _ids(campaign, candidates or [], from_file)
    change = partial(promote_candidates, campaign, ids, reason=reason, over_budget=over_budget)
    _carry_out(campaign, change, yes=yes, dry_run=dry_run, as_json=as_json)


def reject(
    *,
    name: str,
    reason: str,
    candidates: list[str] | None,
    from_file: Path | None,
    yes: bool,
    dry_run: bool,
    launchpad: Path | None,
    as_json: bool,
) -> None:
    """Exclude candidates from relaxation on a person's request."""
    campaign = OpenCampaign.open(*open_for_writing(launchpad, dry_run=dry_run), name, dry_run=dry_run)
    ids = _ids(campaign, candidates or [], from_file)
    change = partial(reject_candidates, campaign, ids, reason=reason)
    _carry_out(campaign, change, yes=yes, dry_run=dry_run, as_json=as_json)


def _ids(campaign: Campaign, named: list[str], from_file: Path | None) -> list[str]:
    """Return the ids of the given candidates, each once; one message lists all that match none or several."""
    if from_file is not None:
        named = [*named, *_lines(from_file)]
    if not named:
        raise CandidateListError("no candidate given; right: AlPd:B2, an id, several of them, or --from FILE")
    ids: dict[str, None] = {}
    problems: list[str] = []
    for wanted in dict.fromkeys(named):
        try:
            ids[find_candidate(campaign, wanted)["_id"]] = None
        except UnknownCandidateError as error:
            problems.append(str(error))
    if problems:
        raise CandidateListError("\n".join(problems))
    return list(ids)


def _lines(file: Path) -> list[str]:
    """Return the candidates in a file, one per line; comments start with #."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CandidateListError(
            f"--from {file}: cannot be read: {error}; right: a text file with one candidate per line"
        ) from error
    return [found for line in text.splitlines() if (found := line.partition("#")[0].strip())]


def _carry_out(
    campaign: OpenCampaign, change: Callable[..., PersonReport], *, yes: bool, dry_run: bool, as_json: bool
) -> None:
    out = console()
    # a script is explicit; a person at a terminal sees the consequences first
    if sys.stdin.isatty() and not (yes or dry_run or as_json):
        print_plain(out, *_format(change(dry_run=True), would=True))
        typer.confirm("Do it?", abort=True)
    report = change(dry_run=dry_run)
    if as_json:
        typer.echo(json.dumps({**asdict(report), "counts": report.counts(), "dry_run": dry_run}, indent=1))
    else:
        print_plain(out, *_format(report, would=dry_run))
        if campaign.refresh().is_halted:
            print_plain(out, f"the campaign is stopped and submits nothing; see campaign status {campaign.name}")
    if report.counts()["refused"]:
        raise typer.Exit(1)


def _format(report: PersonReport, *, would: bool) -> Iterator[str]:
    for each in report.decided:
        yield f"{each.name} ({each.id}): {_WORDS[each.became]}: {each.why}"
    listed = ", ".join(f"{number} {_WORDS[what]}" for what, number in report.counts().items())
    yield f"{'would be' if would else 'in all'}: {listed}"
    if report.relax_cpu_s:
        left = "" if report.left_cpu_s is None else f"; {max(report.left_cpu_s, 0.0) / 3600:.3g} are left in the budget"
        yield f"the relaxations are expected to cost {report.relax_cpu_s / 3600:.3g} CPU-hours{left}"

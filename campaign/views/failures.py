"""Failures of a campaign, one row per kind, with an example, its last output and the remedy."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from campaign.attempts.blocked import Blocked
from campaign.attempts.causes import stored_cause
from campaign.recovery.retry import document_name, failed_calculations
from campaign.store.campaigns import Campaign
from campaign.store.candidates import read_document
from campaign.store.collections import CampaignStore
from campaign.store.documents import StopDocument
from campaign.store.listings import attempts_with_outcome
from campaign.views.failure_output import last_lines

_FAILED = ("science", "machine", "lost")
#: What to do, by cause, or by the part of it before the colon; docs/how-to/failures.md explains them in detail.
_ADVICE = {
    "timeout": "retried with more time (retries.time_factor); otherwise --set walltime=HH:MM:SS",
    "out_of_memory": "retried with more memory (retries.memory_factor); otherwise --set memory=8000M, fewer ranks, or "
    "--set INCAR.KPAR=1",
    "cancelled": "the job was cancelled; retried; after that, use `campaign retry`",
    "node_fail": "the node failed; retried. If one node fails often, report it to the site and exclude it",
    "preempted": "the scheduler needed the node for other jobs; retried without limit",
    "requeued": "the scheduler requeued the job; it runs again, without limit",
    "killed": "the process was killed (kill -9, memory, a node that was rebooted); retried. If it is always the same "
    "candidate: --set memory=8000M",
    "not_started": "the job ended before the calculation started: check modules, environment and database; see its "
    ".error file",
    "interrupted": "rlaunch was interrupted (Ctrl-C); retried",
    "disk_full": "free some disk space or quota, then use `campaign retry`",
    "database": "the database was unavailable; retried. See `campaign db status`",
    "launch_folder_gone": "the launch folder was deleted during the calculation; retried. Find out which program "
    "cleans up that folder",
    "not_found": "a program or file is missing on the node or is not executable: check dft.vasp_command, PATH and "
    "modules there (`campaign cluster check --submit`), then use `campaign retry`",
    "library_missing": "the program does not find a shared library on the node: load the modules with which it was "
    "built (pre_rocket, LD_LIBRARY_PATH), then use `campaign retry`",
    "license_missing": "no licence was available; retried. Check the licence server or file on the node, then use "
    "`campaign retry`",
    "potcar_missing": "set PMG_VASP_PSP_DIR where the jobs run (`pmg config -p`, ~/.pmgrc.yaml), with the set given "
    "by dft.potcar_functional; then use `campaign retry`",
    "potcar_mismatch": "the POTCAR does not match the POSCAR or is truncated: compare TITEL and elements, regenerate "
    "the POTCAR files with `pmg config -p`, then use `campaign retry`",
    "input_changed": "the engine read a different INCAR, KPOINTS or POTCAR than requested: check what "
    "dft.vasp_command starts (a script that edits INCAR?) and PMG_VASP_PSP_DIR on the node, then use `campaign retry`",
    "engine_crash": "see vasp.out and std_err.txt; often a problem of memory or MPI: --set memory=..., --set "
    "INCAR.NCORE=...",
    "incomplete_output": "the engine exited with code 0 but left incomplete files: see vasp.out and std_err.txt, and "
    "check whether the command waits for VASP to finish",
    "input_refused": "the engine rejects this input; its output names the tag, file or element: --set INCAR..., or "
    "`campaign retry` once it is fixed",
    "unusable_output": "see the error: the output is of another engine, or contains no energy",
    "output_lost": "a large output is incomplete in the database (GridFS); recomputed",
    "features_lost": "the DOS is recomputed: its features were lost or damaged in the database",
    "not_converged": "science: --set INCAR.NELM=400; relaxations: INCAR.ALGO=All, INCAR.NSW=200, INCAR.POTIM=0.2",
    "custodian": "science: custodian has no more corrections; see docs/reference/custodian-codes.md, then use "
    "--set INCAR....",
}
_OTHERWISE = "a fault of the machine or the program: fix the cause given by the error, then use `campaign retry`"


@dataclass(frozen=True, kw_only=True)
class FailureKind:
    """One kind of failure.

    Attributes
    ----------
    stage
        ``dos``, ``relax``, ``rs_dos``, ``train``, ``screen`` ...
    kind
        ``science`` or ``machine``.
    cause
        What `campaign retry --kind` takes (`campaign.attempts.causes`).
    attempts
        Number of failed attempts, including those that were repeated.
    for_good
        Number of candidates and references that it failed permanently.
    example
        One of them as typed in commands, ``AlPd:B2``; permanent failures are preferred.
    directory, host, error, lines
        Where that one ran, what it said, and the last lines that matter of its output.
    """

    stage: str
    kind: str
    cause: str
    attempts: int
    for_good: int
    example: str
    directory: str | None
    host: str | None
    error: str | None
    lines: list[str]
    advice: str


def stop_reason(campaign: Campaign) -> str | None:
    """Return why a campaign has stopped submitting and how to proceed; None if it has not, or is only paused."""
    if (archived := campaign.document.get("archived")) is not None:
        return f"archived on {archived:%F}: `campaign archive {campaign.name} --undo` restores it"
    stop = campaign.document.get("stopped")
    if stop is None or campaign.stop_kind == "paused":
        return None
    if campaign.stop_kind == "stopped":
        return f"{_by_person(stop)}: `campaign resume {campaign.name}` continues it"
    said = (stop.get("error") or "").strip().splitlines()
    error = f" ({said[-1][:300]})" if said else ""
    return (
        f"stopped: {stop['number']} consecutive calculations failed in the same way ({stop['cause']}){error}, and "
        f"none has succeeded since; the others are paused. What to do: {advice(stop['cause'])}. "
        f"When it is fixed: `campaign resume {campaign.name}`"
    )


def pause_reason(campaign: Campaign) -> str | None:
    """Return who paused a campaign and how to resume it; None if it is not paused by `campaign pause`."""
    stop = campaign.document.get("stopped")
    if stop is None or campaign.stop_kind != "paused" or campaign.document.get("archived") is not None:
        return None
    return f"{_by_person(stop)}: `campaign resume {campaign.name}` continues it"


def _by_person(stop: StopDocument) -> str:
    """Format the author of a stop: ``paused by anna@node1 on 2026-12-01 10:00 UTC (disk quota)``."""
    reason = f" ({stop['reason']})" if stop.get("reason") else ""
    return f"{stop.get('kind')} by {stop.get('by')} on {stop['time']:%F %H:%M} UTC{reason}"


def advice(cause: str) -> str:
    """Return the recommended action for failures of a cause."""
    return _ADVICE.get(cause) or _ADVICE.get(cause.split(":")[0]) or _OTHERWISE


def failure_kinds(campaign: Campaign, found: Blocked | None) -> list[FailureKind]:
    """Return the kinds of failures of a campaign, those that stopped most candidates first.

    Parameters
    ----------
    found
        What blocks the campaign (`campaign.attempts.blocked.blocked`).
    """
    entries: defaultdict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for entry in attempts_with_outcome(campaign, _FAILED):
        entries[str(entry.get("stage")), stored_cause(entry)].append(entry)
    final: defaultdict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for failed in failed_calculations(campaign):
        final[failed.stage.name, failed.cause].append(failed.document)
    kinds = [_kind(campaign.store, *kind, entries[kind], final[kind], found) for kind in entries.keys() | final.keys()]
    return sorted(kinds, key=lambda kind: (-kind.for_good, -kind.attempts, kind.stage, kind.cause))


def _kind(
    store: CampaignStore,
    stage: str,
    cause: str,
    entries: list[Mapping[str, Any]],
    final: list[Mapping[str, Any]],
    found: Blocked | None,
) -> FailureKind:
    failure = (final[0].get("final_failure") or {}) if final else {}
    entry = next((entry for entry in entries if entry["_id"] == failure.get("attempt")), None)
    # the latest, since files of older ones may have been removed
    entry = entry or (max(entries, key=lambda found: str(found.get("ended"))) if entries and not final else {})
    directory = failure.get("directory") or entry.get("directory")
    host = failure.get("host") or entry.get("host")
    science = failure.get("kind") == "science" or entry.get("outcome") == "science"
    return FailureKind(
        stage=stage,
        kind="science" if science else "machine",
        cause=cause,
        attempts=len(entries),
        for_good=len(final),
        example=document_name(final[0]) if final else _name_of(store, entry.get("document")),
        directory=directory,
        host=host,
        error=failure.get("error") or entry.get("error"),
        lines=last_lines(directory, host=host),
        advice=advice_for(cause, [document["_id"] for document in final], found),
    )


def advice_for(cause: str, ids: Sequence[str], found: Blocked | None) -> str:
    """Return the recommended action; for failures that block the campaign, with the command that retries these.

    A machine's fault has to be mended first, as its cause says.
    """
    if found is None or not set(ids) & set(found.ids):
        return advice(cause)
    said = f"{advice(cause)}. Here: `{found.command}`" if found.needs_mending else found.advice
    return said if set(ids) <= set(found.ids) else f"{said}; for the others: {advice(cause)}"


def _name_of(store: CampaignStore, document_id: str | None) -> str:
    if document_id is None:
        return "the campaign itself"
    found = read_document(store, document_id, ["formula", "prototype", "label"])
    return document_id if found is None else document_name(found)


def failures_table(kinds: Iterable[FailureKind], *, title: str) -> Table:
    """Return the kinds of failures as a table for the terminal."""
    table = Table(title=title, title_justify="left", box=None, show_lines=False, padding=(0, 1))
    for heading in ("stage", "kind", "cause"):
        table.add_column(heading)
    for heading in ("attempts", "for good"):
        table.add_column(heading, justify="right")
    table.add_column("example")
    for kind in kinds:
        table.add_row(kind.stage, kind.kind, kind.cause, str(kind.attempts), str(kind.for_good), kind.example)
    return table


def format_failure(kind: FailureKind) -> list[str]:
    """Format the details of one kind for below the table."""
    lines = [f"{kind.cause} ({kind.stage}), e.g. {kind.example}, in {kind.directory or 'no known directory'}"]
    if kind.error:
        lines.append(f"  {kind.error.strip().splitlines()[-1][:300]}")
    lines += [f"  {line}" for line in kind.lines]
    return [*lines, f"  what to do: {kind.advice}"]

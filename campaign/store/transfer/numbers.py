"""Prepare a campaign's documents for another database: no work is running, and firework ids are renumbered.

A file contains no fireworks, workflows or launches: finished ones are no longer needed, and the others are submitted
again where the campaign continues. Only their ids remain, in documents and in the ledger, and may be in use in the
other database. There they are all shifted by the same number, which preserves their order and distances
(``record_fw_id = fw_id + 1``).
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from campaign.store.collections import Document
from campaign.store.states import STAGES, CandidateState

_FIREWORKS = ("fw_id", "record_fw_id")
#: Sub-documents of candidates and references that refer to a ledger entry (``attempt``).
_NAME_AN_ATTEMPT = (("final_failure",), ("retried_failure",), ("relaxation", "restarted_from"))
EXPORTED = "the campaign was exported while it ran; this is started again where the file is imported"


def put_to_rest(document: Document, *, time: datetime) -> bool:
    """Reset queued or running calculations of a candidate or a reference to not started; return whether there were any.

    They will be submitted again as the same try, as after `campaign.store.candidates.take_back`.
    """
    found = False
    for stage in STAGES.values():
        facts = document.get(stage.fields) or {}
        holder, key = (document, "state") if stage.state_field == "state" else (facts, "state")
        if holder.get(key) == stage.running:
            holder[key] = facts.get("from_state") or CandidateState.NEW
            document.setdefault("history", []).append({"stage": stage.name, "state": holder[key], "time": time})
            found = True
    return found


def close_entry(entry: Document, *, time: datetime) -> None:
    """Close an open ledger entry as stopped, which costs no try; its cost so far is kept."""
    if entry.get("outcome") == "running":
        entry |= {"outcome": "stopped", "cause": "interrupted", "error": EXPORTED, "ended": entry.get("seen") or time}


def fireworks_of(document: Document) -> Iterator[int]:
    """Yield the firework ids in a candidate, a reference, a step or a ledger entry."""
    for part in _parts(document):
        yield from (part[key] for key in _FIREWORKS if isinstance(part.get(key), int))


def raise_numbers(document: Document, by: int) -> None:
    """Shift the firework ids in a document, including those in ids of ledger entries."""
    for part in _parts(document):
        for key in _FIREWORKS:
            if isinstance(part.get(key), int):
                part[key] += by
    for path in _NAME_AN_ATTEMPT:
        named: Any = document
        for key in path:
            named = named.get(key) if isinstance(named, dict) else None
        if isinstance(named, dict) and named.get("attempt") is not None:
            named["attempt"] = raised_id(named["attempt"], by)


def _parts(document: Document) -> Iterator[Document]:
    """Yield a document, and the fields of each of its calculations."""
    yield document
    for stage in STAGES.values():
        if isinstance(facts := document.get(stage.fields), dict):
            yield facts


def raised_id(entry_id: Any, by: int) -> Any:
    """Return a ledger entry's id, ``<fw_id>.<n>``, with its firework id shifted; any other id unchanged."""
    firework, point, number = str(entry_id).partition(".")
    if not point or not number.isdecimal() or not firework.removeprefix("-").isdecimal():
        return entry_id
    return f"{int(firework) + by}.{number}"

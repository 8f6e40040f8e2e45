"""Documents of a campaign away from its database: nothing of it runs, and its fireworks get other numbers.

A file carries no fireworks, workflows or launches: those that are over are not needed any more, and those that are not
are submitted again where the campaign continues. What remains of them are their numbers in documents and in the ledger,
which the other database may have given to others. There they are all raised by the same number, so that their order
and their distances (``record_fw_id = fw_id + 1``) stay.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from campaign.store.collections import Document
from campaign.store.states import STAGES, CandidateState

_FIREWORKS = ("fw_id", "record_fw_id")
#: Sub-documents of candidates and references that name an entry of the ledger (``attempt``).
_NAME_AN_ATTEMPT = (("final_failure",), ("retried_failure",), ("relaxation", "restarted_from"))
EXPORTED = "the campaign was exported while it ran; this is started again where the file is imported"


def put_to_rest(document: Document, *, time: datetime) -> bool:
    """Let a calculation of a candidate or a reference that is queued or runs not be begun; True if there was one.

    It will be submitted again as the same try, as after `campaign.store.candidates.take_back`.
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
    """Close an entry of the ledger that is open: it was stopped, which costs no try; what it has used is counted."""
    if entry.get("outcome") == "running":
        entry |= {"outcome": "stopped", "cause": "interrupted", "error": EXPORTED, "ended": entry.get("seen") or time}


def fireworks_of(document: Document) -> Iterator[int]:
    """Yield the numbers of fireworks in a candidate, a reference, a step or an entry of the ledger."""
    for part in _parts(document):
        yield from (part[key] for key in _FIREWORKS if isinstance(part.get(key), int))


def raise_numbers(document: Document, by: int) -> None:
    """Raise the numbers of fireworks in a document, and in the ids of the entries of the ledger that it names."""
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
    """Yield a document, and what it says of each of its calculations."""
    yield document
    for stage in STAGES.values():
        if isinstance(facts := document.get(stage.fields), dict):
            yield facts


def raised_id(entry_id: Any, by: int) -> Any:
    """Id of a ledger entry, ``<fw_id>.<n>``, with the number of its firework raised; any other id as it is."""
    firework, point, number = str(entry_id).partition(".")
    if not point or not number.isdecimal() or not firework.removeprefix("-").isdecimal():
        return entry_id
    return f"{int(firework) + by}.{number}"

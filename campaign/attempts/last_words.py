"""Record in the launch directory how an attempt ended, if the ledger could not be written.

The cause is found there by whatever process handles the open entry later (the recording firework, `reconcile`, or the
next attempt).
"""

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from campaign.attempts.causes import cause_in_trace
from campaign.attempts.engine_cost import engine_cost
from campaign.attempts.failures import kind_in_trace
from campaign.store.attempts import Outcome, close_attempt
from campaign.store.collections import CampaignStore, Document
from campaign.store.fireworks import launch_error

logger = logging.getLogger(__name__)


def leave_last_words(directory: Path, entry_id: str, ending: Mapping[str, Any]) -> None:
    """Write how an attempt ended into its launch directory, if writable."""
    try:
        _file(directory, entry_id).write_text(json.dumps({"_id": entry_id, **ending}, default=str), encoding="utf-8")
    except OSError as error:
        logger.warning("the outcome of attempt %s cannot be written to %s: %s", entry_id, directory, error)


def forget_last_words(directory: Path, entry_id: str) -> None:
    """Remove the file once the ledger contains its content."""
    with suppress(OSError):
        _file(directory, entry_id).unlink()


def _file(directory: Path, entry_id: str) -> Path:
    return directory / f"attempt-{entry_id}.json"


def last_words(store: CampaignStore, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return how an attempt with an open ledger entry ended, from its directory or otherwise from FireWorks.

    Returns
    -------
    dict
        ``outcome``, ``cause``, ``error``, ``cpu_s``, ``gpu_s``, ``inputs`` and ``ended``, as far as known.
    """
    try:
        said = json.loads(_file(Path(entry["directory"]), entry["_id"]).read_text(encoding="utf-8"))
        if said["_id"] == entry["_id"]:
            ended = datetime.fromisoformat(said["ended"])
            return {
                **{key: said.get(key) for key in ("outcome", "cause", "error", "cpu_s", "gpu_s", "inputs")},
                "ended": ended,
            }
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no file, or a truncated one
    error = launch_error(store, entry["fw_id"], directory=entry.get("directory"))
    return {} if error is None else {"outcome": kind_in_trace(error), "cause": cause_in_trace(error), "error": error}


def close_unclosed(
    store: CampaignStore, entry: Document, *, outcome: Outcome, facts: Mapping[str, Any] | None = None
) -> Document:
    """Close an entry that its own process could not close; return the updated entry.

    Parameters
    ----------
    outcome, facts
        Outcome and details. Cause, error and costs recorded by the attempt itself take precedence, and so does
        ``completed`` or ``science``.
    """
    words = last_words(store, entry)
    own: Outcome = words.pop("outcome", outcome)
    ended = own if own in ("completed", "science") else outcome
    said = {key: value for key, value in words.items() if value is not None}
    ending = {"error": None, **(facts or {}), **said}
    if (used := _engine_cpu_s(store, entry)) > float(ending.get("cpu_s") or entry.get("cpu_s") or 0.0):
        # its last recorded usage does not include an engine that is not a child of the worker
        ending["cpu_s"] = used
    close_attempt(store, entry["_id"], outcome=ended, facts=ending)
    return {**entry, "outcome": ended, **ending}


def _engine_cpu_s(store: CampaignStore, entry: Mapping[str, Any]) -> float:
    """Return the CPU-seconds of an attempt's engine, from itself or the scheduler; 0 if unknown."""
    cost = engine_cost(store, entry) if entry.get("document") is not None else None
    return 0.0 if cost is None else cost.at_end()

"""What FireWorks keeps in the same database: fireworks, launches, workflows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo.database import Database


def fizzled_reason(database: Database[dict[str, Any]], firework: Mapping[str, Any]) -> str:
    """Message of the exception that ended a firework's latest launch."""
    launch = database["launches"].find_one({"launch_id": {"$in": firework["launches"][-1:]}}, ["action"]) or {}
    exception = ((launch.get("action") or {}).get("stored_data") or {}).get("_exception") or {}
    trace = (exception.get("_stacktrace") or "no reason given").strip()
    # what follows the last frame of the stack trace: the error, which may have several lines
    frames = [place for place, line in enumerate(trace.splitlines()) if line.startswith("    ")]
    return "\n".join(trace.splitlines()[(frames[-1] + 1) if frames else 0 :]).strip()

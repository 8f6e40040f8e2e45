"""Which process runs a firework, so that one that was killed can be told from one at work."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from campaign.process_identity import is_alive, this_process
from launchers.worker import process_of

if TYPE_CHECKING:
    from fireworks import LaunchPad
    from pymongo.database import Database


_SILENT = timedelta(seconds=60)


def announce_process(launchpad: LaunchPad, fw_id: int) -> None:
    """Write this process into its firework, together with the launch that it is."""
    firework = launchpad.fireworks.find_one({"fw_id": fw_id}, ["launches"])
    if firework is not None and firework["launches"]:
        process = {**this_process(), "launch": firework["launches"][-1]}
        launchpad.fireworks.update_one({"fw_id": fw_id}, {"$set": {"spec.worker": process}})


def fizzled_query(name: str) -> dict[str, Any]:
    """MongoDB filter of the fizzled fireworks that keep a campaign from going on: steps, and those that record."""
    return {
        "spec.campaign_name": name,
        "state": "FIZZLED",
        "$or": [{"spec.step": {"$exists": True}}, {"spec._allow_fizzled_parents": True}],
    }


def fizzled_reason(database: Database[dict[str, Any]], firework: Mapping[str, Any]) -> str:
    """Message of the exception that ended a firework's latest launch."""
    launch = database["launches"].find_one({"launch_id": {"$in": firework["launches"][-1:]}}, ["action"]) or {}
    exception = ((launch.get("action") or {}).get("stored_data") or {}).get("_exception") or {}
    trace = (exception.get("_stacktrace") or "no reason given").strip()
    # what follows the last frame of the stack trace: the error, which may have several lines
    frames = [place for place, line in enumerate(trace.splitlines()) if line.startswith("    ")]
    return "\n".join(trace.splitlines()[(frames[-1] + 1) if frames else 0 :]).strip()


def is_running(launchpad: LaunchPad, firework: Mapping[str, Any]) -> bool | None:
    """Whether the process of a firework's latest launch still runs.

    Parameters
    ----------
    launchpad
        The database.
    firework
        Document with ``launches`` and ``spec.worker``.

    Returns
    -------
    bool or None
        None where it cannot be told: it runs on another host, or has not said yet who it is.
    """
    if not firework["launches"]:
        return None
    latest = firework["launches"][-1]
    launch = launchpad.launches.find_one({"launch_id": latest}, ["fworker", "host", "time_start"])
    process = None
    if launch is not None:
        process = process_of((launch.get("fworker") or {}).get("name") or "")
    if process is None:
        announced = (firework.get("spec") or {}).get("worker")
        # what an earlier launch announced says nothing about this one
        process = announced if announced is not None and announced["launch"] == latest else None
    if process is not None:
        return is_alive(dict(process))
    if launch is not None and launch.get("host") == socket.gethostname():
        # a process of this host says who it is at once; one that has not was killed before it could
        started = datetime.fromisoformat(launch["time_start"])
        if datetime.now(UTC) - started > _SILENT:
            return False
    return None

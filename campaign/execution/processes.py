"""Which process runs a firework, so that one that was killed can be told from one at work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from campaign.decisions.ledger import is_alive, this_process
from launchers.worker import process_of

if TYPE_CHECKING:
    from fireworks import LaunchPad


def announce_process(launchpad: LaunchPad, fw_id: int) -> None:
    """Write this process into its firework, together with the launch that it is."""
    firework = launchpad.fireworks.find_one({"fw_id": fw_id}, ["launches"])
    if firework is not None and firework["launches"]:
        process = {**this_process(), "launch": firework["launches"][-1]}
        launchpad.fireworks.update_one({"fw_id": fw_id}, {"$set": {"spec.worker": process}})


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
    launch = launchpad.launches.find_one({"launch_id": latest}, ["fworker"])
    process = None
    if launch is not None:
        process = process_of((launch.get("fworker") or {}).get("name") or "")
    if process is None:
        announced = (firework.get("spec") or {}).get("worker")
        # what an earlier launch announced says nothing about this one
        process = announced if announced is not None and announced["launch"] == latest else None
    return None if process is None else is_alive(dict(process))

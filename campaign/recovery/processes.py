"""Record which process runs a firework, so that a killed one can be distinguished from a running one."""

import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from fireworks import LaunchPad

from campaign.store.fireworks import claim_launch, read_firework
from launchers.scheduler.this_job import this_job
from launchers.workers.process_identity import is_alive, this_process
from launchers.workers.worker import process_of

_SILENT = timedelta(seconds=60)


class LaunchIsTakenError(RuntimeError):
    """Another process is working on this launch."""


def announce_process(launchpad: LaunchPad, fw_id: int) -> None:
    """Write this process, its batch job and its launch into its firework.

    Raises
    ------
    LaunchIsTakenError
        If another process was first: two jobs for one firework (``rlaunch singleshot --fw_id``: a requeued job, and one
        submitted meanwhile) may both get it from FireWorks.
    """
    firework = read_firework(launchpad, fw_id, ["launches"])
    if firework is None or not firework["launches"]:
        return
    launch = firework["launches"][-1]
    if not claim_launch(launchpad, fw_id, launch=launch, process=this_process(), job=this_job()):
        raise LaunchIsTakenError(f"launch {launch} of firework {fw_id} is run by another process")


def announced(firework: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the process that announced itself for a firework's latest launch, or None."""
    said = (firework.get("spec") or {}).get("worker")
    return said if said is not None and said["launch"] == firework["launches"][-1] else None


def is_running_here(firework: Mapping[str, Any], launch: Mapping[str, Any] | None) -> bool | None:
    """Whether the process of a firework's latest launch still runs, as far as this machine can see.

    Parameters
    ----------
    firework
        Document with ``launches`` and ``spec.worker``.
    launch
        Its latest launch, with `campaign.store.fireworks.LAUNCH_FIELDS`.

    Returns
    -------
    bool or None
        None if unknown: it runs on another host, or has not identified itself yet.
    """
    if not firework["launches"]:
        return None
    process = process_of((launch.get("fworker") or {}).get("name") or "") if launch is not None else None
    process = process or announced(firework)
    if process is not None:
        return is_alive(dict(process))
    if launch is not None and launch.get("host") == socket.gethostname() and is_silent(launch):
        # a process on this host identifies itself immediately; one that has not was killed before
        return False
    return None


def is_silent(launch: Mapping[str, Any]) -> bool:
    """Whether a launch started so long ago that its process should have identified itself."""
    return datetime.now(UTC) - datetime.fromisoformat(launch["time_start"]) > _SILENT

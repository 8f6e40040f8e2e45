"""Changes of a firework's state, under its workflow's lock and only if it has not changed since it was read.

FireWorks' own functions (`LaunchPad.rerun_fw`, `mark_fizzled`, `cancel_reservation`) check before they take the lock,
so that the second of two callers would reset a firework that a worker has taken meanwhile.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from fireworks import FWAction, LaunchPad
from fireworks.core.launchpad import WFLock

from campaign.store.fireworks import (
    add_completed_launch,
    behind_defused,
    defuse_waiting,
    is_as_seen,
    launch_history,
    refresh_workflow,
    request_queue,
    reserve_launch,
    update_launch,
)

_HELD = ("PAUSED", "DEFUSED")


def run_again(
    launchpad: LaunchPad, fw_id: int, *, state: str, launches: Sequence[int], queue: Mapping[str, str] | None = None
) -> bool:
    """Make a firework ready again; its launches are archived. In a paused or defused workflow it is paused instead.

    Parameters
    ----------
    fw_id, state, launches
        The firework as it was read.
    queue
        Additional resources for its next job (``_queueadapter``).

    Returns
    -------
    bool
        False if another process came first.
    """
    with WFLock(launchpad, fw_id):
        if not is_as_seen(launchpad, fw_id, state=state, launches=launches):
            return False
        if queue:
            request_queue(launchpad, fw_id, queue)
        workflow = launchpad.get_wf_by_fw_id_lzyfw(fw_id)
        held = {other: kept for other, kept in workflow.fw_states.items() if kept in _HELD}
        updated = workflow.rerun_fw(fw_id)
        if held:
            # `lpad pause_wflows` cannot pause running work, but its user meant to, so a job that is then cancelled must
            # not be restarted
            for other, kept in {fw_id: next(iter(held.values())), **held}.items():
                workflow.id_fw[other].state = workflow.fw_states[other] = kept
        launchpad._update_wf(workflow, {*updated, *held})
        return True


def reserve_again(launchpad: LaunchPad, fw_id: int, *, launches: Sequence[int], directory: str | None) -> bool:
    """Return a running firework to its reservation, since its job waits in the queue again.

    A ready firework would get a second job. The requeued job takes its firework by id, reserved or ready.

    Parameters
    ----------
    directory
        Folder in which the job was submitted, from its scheduler. The process may have run elsewhere (its folder was
        renamed or deleted), and the folder distinguishes a reservation from one of another cluster.
    """
    reserved = [entry for entry in launch_history(launchpad, launches[-1]) if entry.get("reservation_id")]
    change = partial(reserve_launch, launchpad, fw_id, launches[-1], history=reserved, directory=directory)
    return bool(reserved) and _change_launch(launchpad, fw_id, state="RUNNING", launches=launches, change=change)


def end(
    launchpad: LaunchPad, fw_id: int, *, state: str, launches: Sequence[int], as_state: str, reason: str | None = None
) -> bool:
    """End a firework's latest launch as FIZZLED or COMPLETED; its children become ready."""
    changes: dict[str, Any] = {"state": as_state, "time_end": datetime.now(UTC).isoformat()}
    if as_state == "COMPLETED":
        changes["action"] = FWAction().to_dict()
    elif reason is not None:
        # where FireWorks' own commands, and `fizzled_reason`, look for it
        changes["action"] = FWAction().to_dict() | {"stored_data": {"_exception": {"_stacktrace": reason}}}
    change = partial(update_launch, launchpad, launches[-1], state=state, changes=changes)
    return _change_launch(launchpad, fw_id, state=state, launches=launches, change=change)


def complete_unlaunched(launchpad: LaunchPad, fw_id: int, *, directory: str, note: str) -> bool:
    """Complete a waiting or ready firework whose work was done elsewhere; return False if it was taken.

    One that waits for another is shown as COMPLETED once that one has ended.
    """
    with WFLock(launchpad, fw_id):
        completed = add_completed_launch(launchpad, fw_id, directory=directory, note=note)
    return completed


def defuse_recorder(launchpad: LaunchPad, fw_id: int) -> bool:
    """Defuse a recording firework that waits for a defused one and has nothing to record; return False if it does not
    wait.
    """
    with WFLock(launchpad, fw_id):
        changed = bool(behind_defused(launchpad, [fw_id])) and defuse_waiting(launchpad, fw_id)
    if changed:
        refresh_workflow(launchpad, fw_id)
    return changed


def _change_launch(
    launchpad: LaunchPad, fw_id: int, *, state: str, launches: Sequence[int], change: Callable[[], bool]
) -> bool:
    with WFLock(launchpad, fw_id):
        changed = is_as_seen(launchpad, fw_id, state=state, launches=launches) and change()
    if changed:
        refresh_workflow(launchpad, fw_id)  # takes the lock itself
    return changed

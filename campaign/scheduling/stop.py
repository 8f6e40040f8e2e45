"""Stop a campaign from submitting, after similar failures or on a person's request."""

import logging
from itertools import takewhile

from campaign.attempts.causes import ENVIRONMENT, FROM_ELSEWHERE
from campaign.scheduling.advance import advance
from campaign.scheduling.submit import submit_step_again
from campaign.store.attempts import failures_since_success, has_ever_worked
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.collections import now
from campaign.store.documents import StopDocument, StopKind
from campaign.store.lifecycle.stops import clear_archived, clear_stop, write_pause, write_stop
from campaign.store.lifecycle.waiting_fireworks import (
    CALCULATION,
    STEP,
    archive_waiting,
    pause_waiting,
    restore_archived,
    resume_waiting,
)
from campaign.store.states import STAGES
from campaign.store.steps import read_step

logger = logging.getLogger(__name__)

#: Each calculation may have failed several times.
_TRIES = 10


def stop_if_alike(campaign: Campaign) -> bool:
    """Stop a campaign if `retries.stop_after` consecutive calculations failed alike; return whether it was stopped.

    Only machine failures count, and only as long as no calculation has succeeded since the first of them. Failures of
    the environment (a missing program, library, licence or POTCAR) count at any time, others only until the engine has
    worked once, since later crashes are due to single crystals. External causes (time limits, memory, disks, kills)
    never count: another job follows, with more time or memory.
    """
    enough = campaign.spec.retries.stop_after
    if not enough:
        return False
    latest = failures_since_success(campaign, STAGES.values(), limit=enough * _TRIES)
    latest = [entry for entry in latest if entry.get("cause") not in FROM_ELSEWHERE]
    if not latest:
        return False
    cause = str(latest[0].get("cause"))
    alike = list(takewhile(lambda entry: entry.get("cause") == cause, latest))
    number = len({entry.get("document") for entry in alike})
    if number < enough or (cause not in ENVIRONMENT and has_ever_worked(campaign, STAGES.values())):
        return False
    stop: StopDocument = {
        "cause": cause,
        "number": number,
        **{key: latest[0].get(key) for key in ("error", "directory", "host")},  # type: ignore[typeddict-item]
        "time": now(),
    }
    if not write_stop(campaign, stop):
        return False
    paused = pause_waiting(campaign, CALCULATION)
    logger.warning("campaign %s is stopped after %d failures (%s); %d paused", campaign.name, number, cause, paused)
    return True


def pause(campaign: OpenCampaign, kind: StopKind, *, reason: str | None = None) -> tuple[bool, int]:
    """Pause or stop a campaign on a person's request, so that it submits no more work.

    Running work is completed and recorded. A repeated call completes an interrupted one.

    Returns
    -------
    bool, int
        Whether the state is new, and the number of paused calculations and steps.
    """
    done = write_pause(campaign, kind, reason=reason)
    campaign = campaign.refresh()
    return done, pause_again(campaign)


def pause_again(campaign: Campaign) -> int:
    """Pause or archive fireworks that became ready in a paused or stopped campaign; return their number."""
    if campaign.document.get("archived"):
        return archive_waiting(campaign)
    if campaign.stop_kind is None:
        return 0
    # failures of calculations do not concern trainings and Screens
    return pause_waiting(campaign, CALCULATION, *([] if campaign.stop_kind == "failures" else [STEP]))


def put_step_back(campaign: OpenCampaign, step_id: str, *, fw_id: int) -> bool:
    """Replace the firework of a step whose job was already queued by a waiting one; return False if the step
    may start.
    """
    if campaign.stop_kind not in ("paused", "stopped") and not campaign.document.get("archived"):
        return False
    submit_step_again(campaign, read_step(campaign, step_id), fw_id=fw_id)
    pause_again(campaign)
    logger.warning("%s is not started: the campaign is paused, stopped or archived", step_id)
    return True


def show_again(campaign: OpenCampaign) -> tuple[bool, int]:
    """Restore an archived campaign; return whether it was archived, and the number of restored fireworks."""
    shown = clear_archived(campaign)
    restored = restore_archived(campaign)
    if shown or restored:
        advance(campaign)
    return shown, restored


def go_on(campaign: OpenCampaign) -> tuple[StopDocument | None, int]:
    """Resume submission and paused fireworks; return why the campaign was stopped, and the number of paused fireworks.

    A repeated call completes an interrupted one.
    """
    stop = clear_stop(campaign)
    resumed = resume_waiting(campaign)
    if stop is not None or resumed:
        advance(campaign)
    return stop, resumed

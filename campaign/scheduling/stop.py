"""Stops a campaign from submitting, because its calculations fail in the same way or a person asks for it."""

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
    """Stop a campaign if `retries.stop_after` calculations in a row have failed alike; return whether it was stopped.

    Only machine failures count, and only as long as no calculation has succeeded since the first of them. What points
    to the environment (a missing program, library, licence or POTCAR) counts at any time, everything else until the
    engine has done its work once: later, a crash is that of single crystals. What comes from elsewhere (time limits,
    memory, disks, kills) never counts: it is another job's turn then, with more time or memory.
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
    """Let a campaign submit nothing more because a person says so: paused, or stopped until it is taken up again.

    What runs comes to its end and is recorded. Called again after it was cut short, it does the rest.

    Returns
    -------
    bool, int
        Whether it was not so before, and how many calculations and steps that waited for a worker are paused now.
    """
    done = write_pause(campaign, kind, reason=reason)
    campaign = campaign.refresh()
    return done, pause_again(campaign)


def pause_again(campaign: Campaign) -> int:
    """Pause or archive fireworks that have meanwhile become ready in a paused or stopped campaign; return how many."""
    if campaign.document.get("archived"):
        return archive_waiting(campaign)
    if campaign.stop_kind is None:
        return 0
    # a training or a Screen has no part in failures of calculations
    return pause_waiting(campaign, CALCULATION, *([] if campaign.stop_kind == "failures" else [STEP]))


def put_step_back(campaign: OpenCampaign, step_id: str, *, fw_id: int) -> bool:
    """Give a step whose job was in a queue already another firework, which waits; False: it may begin."""
    if campaign.stop_kind not in ("paused", "stopped") and not campaign.document.get("archived"):
        return False
    submit_step_again(campaign, read_step(campaign, step_id), fw_id=fw_id)
    pause_again(campaign)
    logger.warning("%s is not started: the campaign is paused, stopped or archived", step_id)
    return True


def show_again(campaign: OpenCampaign) -> tuple[bool, int]:
    """Take an archived campaign out of its archive; return whether it was in one, and how many fireworks are back."""
    shown = clear_archived(campaign)
    restored = restore_archived(campaign)
    if shown or restored:
        advance(campaign)
    return shown, restored


def go_on(campaign: OpenCampaign) -> tuple[StopDocument | None, int]:
    """Let a campaign submit again and its paused fireworks run; return why it was stopped, and how many were paused.

    Called again after it was cut short, it does the rest.
    """
    stop = clear_stop(campaign)
    resumed = resume_waiting(campaign)
    if stop is not None or resumed:
        advance(campaign)
    return stop, resumed

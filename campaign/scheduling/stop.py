"""A campaign stops submitting when its calculations fail alike, one after the other: something must be mended first."""

import logging
from itertools import takewhile

from campaign.attempts.causes import ENVIRONMENT, FROM_ELSEWHERE
from campaign.scheduling.advance import advance
from campaign.store.attempts import failures_since_success, has_ever_worked
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.collections import now
from campaign.store.documents import StopDocument
from campaign.store.held import clear_stop, pause_calculations, resume_calculations, write_stop
from campaign.store.states import STAGES

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
    paused = pause_calculations(campaign)
    logger.warning("campaign %s is stopped after %d failures (%s); %d paused", campaign.name, number, cause, paused)
    return True


def go_on(campaign: OpenCampaign) -> tuple[StopDocument | None, int]:
    """Let a stopped campaign submit again, and what it has paused run; return why it was stopped, and how many.

    Called again after it was cut short, it does the rest.
    """
    stop = clear_stop(campaign)
    resumed = resume_calculations(campaign)
    if stop is not None or resumed:
        advance(campaign)
    return stop, resumed

"""Looks at campaigns and sends what is new of them, each once, whoever else looks at them."""

import logging
import time
from datetime import timedelta
from typing import Protocol

from pymongo.errors import PyMongoError

from campaign.notify.message import Message, finished_message, found_message, stuck_message
from campaign.notify.settings import Event, NotifySettings
from campaign.store.campaigns import Campaign
from campaign.store.changes.events import who
from campaign.store.collections import in_utc, now
from campaign.store.notices.notices import (
    FINISHED,
    RUNNING,
    STUCK,
    begin_notices,
    claim_discoveries,
    claim_notice,
    note_idle,
    notice_of,
)
from campaign.views.status.counts import Status
from campaign.views.status.recent_events import discovery_of

logger = logging.getLogger(__name__)

#: How long nothing may be ready or running before a campaign counts as stuck.
_IDLE = timedelta(seconds=60)


class Outlet(Protocol):
    """Where messages go: `campaign.notify.sending.Sender`."""

    def put(self, message: Message) -> None:
        """Take a message."""


class Notifier:
    """Sends what is new of campaigns, one look after the other.

    Parameters
    ----------
    settings
        The user's.
    outlet
        Where messages go.
    """

    def __init__(self, settings: NotifySettings, outlet: Outlet) -> None:
        self._settings = settings
        self._outlet = outlet
        self._user = who()["user"]
        self._stable: dict[str, int] = {}
        self._found_at: dict[str, float] = {}

    def look(self, campaign: Campaign, status: Status, *, is_over: bool = False, collect: bool = True) -> None:
        """Send what is new; a database that is away is asked again at the next look.

        Parameters
        ----------
        is_over
            Whether whoever runs the campaign has found that nothing of it is left to run.
        collect
            Wait for more where something was found; False: this process looks once.
        """
        try:
            self._look(campaign, status, is_over=is_over, collect=collect)
        except PyMongoError as error:
            logger.debug("no notification now: %s", type(error).__name__)

    def _look(self, campaign: Campaign, status: Status, *, is_over: bool, collect: bool) -> None:
        if (notice := notice_of(campaign, self._user)) is None:
            if status.is_finished:
                return  # over before anyone was to be told
            begin_notices(campaign, self._user)
        said = RUNNING if notice is None else notice["said"]
        standing = self._standing(campaign, status, is_over=is_over)
        self._look_for_discoveries(campaign, status, collect=collect and standing == RUNNING)
        if standing == said or not claim_notice(campaign, self._user, standing):
            return
        if standing == FINISHED:
            self._put("finished", finished_message(status))
        elif standing == STUCK:
            self._put("stuck", stuck_message(status))

    def _put(self, event: Event, message: Message) -> None:
        if event in self._settings.events:
            self._outlet.put(message)

    def _standing(self, campaign: Campaign, status: Status, *, is_over: bool) -> str:
        """What there is to say: that of the last look where nothing can run for a moment only."""
        if status.is_finished:
            return FINISHED
        if campaign.stop_kind == "failures":
            return STUCK
        if campaign.is_halted or status.is_paused:
            return RUNNING  # a person has stopped it, and knows
        notice = notice_of(campaign, self._user)
        idle_since = None if notice is None else notice.get("idle_since")
        if status.can_go_on:
            if idle_since is not None:
                note_idle(campaign, self._user, None)
            return RUNNING
        if is_over or (notice is not None and notice["said"] == STUCK):
            return STUCK
        if idle_since is None:
            note_idle(campaign, self._user, now())
            return RUNNING
        return STUCK if now() - in_utc(idle_since) >= _IDLE else RUNNING

    def _look_for_discoveries(self, campaign: Campaign, status: Status, *, collect: bool) -> None:
        name = campaign.name
        if "found" not in self._settings.events:
            return
        if status.stable > self._stable.get(name, 0):
            self._found_at.setdefault(name, time.monotonic())
        self._stable[name] = status.stable
        if (since := self._found_at.get(name)) is None:
            return
        if collect and time.monotonic() - since < self._settings.collect_s:
            return
        del self._found_at[name]
        if found := claim_discoveries(campaign, self._user):
            self._put("found", found_message(status, [discovery_of(document) for document in found]))

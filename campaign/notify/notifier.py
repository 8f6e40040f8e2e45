"""Check campaigns and send their news, each item once, even if other processes check them too."""

import logging
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from pymongo.errors import PyMongoError

from campaign.notify.message import Message, finished_message, found_message, stuck_message
from campaign.notify.settings import Event, NotifySettings
from campaign.recovery.stuck_workflows import awaits_a_try
from campaign.store.campaigns import Campaign
from campaign.store.changes.events import who
from campaign.store.collections import in_utc, now
from campaign.store.documents import NoticeDocument
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

#: Time without ready or running fireworks after which a campaign counts as stuck.
_IDLE = timedelta(seconds=60)


class Outlet(Protocol):
    """Destination of messages: `campaign.notify.sending.Sender`."""

    def put(self, message: Message) -> None:
        """Take a message."""


class Notifier:
    """Sends news of campaigns on repeated checks.

    Parameters
    ----------
    settings
        The user's settings.
    outlet
        Destination of messages.
    on_problem
        Called with a sentence, once per campaign, if it cannot be checked.
    """

    def __init__(self, settings: NotifySettings, outlet: Outlet, on_problem: Callable[[str], None]) -> None:
        self._settings = settings
        self._outlet = outlet
        self._on_problem = on_problem
        self._said_of: set[str] = set()
        self._user = who()["user"]
        self._stable: dict[str, int] = {}
        self._found: dict[str, tuple[float, str]] = {}  # time, and the word of the claim

    def look(self, campaign: Campaign, status: Status, *, is_over: bool = False, collect: bool = True) -> None:
        """Send news; an unavailable database is queried again at the next check. Never raises.

        Parameters
        ----------
        is_over
            Whether the runner of the campaign has found that nothing is left to run.
        collect
            Whether to wait for more discoveries; False for a process that checks once.
        """
        try:
            self._look(campaign, status, is_over=is_over, collect=collect)
        except PyMongoError as error:
            logger.debug("no notification now: %s", type(error).__name__)
        except Exception as error:  # noqa: BLE001 whatever is wrong with a document, a notification must not end a run
            self.say_damaged(campaign.name, error)

    def say_damaged(self, name: str, error: Exception) -> None:
        """Report once that a campaign cannot be checked, with the error's type only, since its message may contain
        anything.
        """
        if name not in self._said_of:
            self._said_of.add(name)
            what = f"{name}: its data cannot be reported ({type(error).__name__})"
            self._on_problem(f"{what}; the campaign continues. See `campaign status {name}`")

    def _look(self, campaign: Campaign, status: Status, *, is_over: bool, collect: bool) -> None:
        if (notice := notice_of(campaign, self._user)) is None:
            if status.is_finished:
                return  # finished before notifications were requested
            begin_notices(campaign, self._user)
        said = RUNNING if notice is None else notice["said"]
        standing = self._standing(campaign, status, notice, is_over=is_over)
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

    def _standing(self, campaign: Campaign, status: Status, notice: NoticeDocument | None, *, is_over: bool) -> str:
        """Return the state to report; the previous one if work is interrupted only briefly."""
        if status.is_finished:
            return FINISHED
        if campaign.stop_kind == "failures":
            return STUCK
        if campaign.is_halted or status.is_paused:
            return self._running(campaign, notice)  # a person has stopped it, and knows
        if status.can_go_on or (not is_over and awaits_a_try(campaign)):
            return self._running(campaign, notice)
        idle_since = None if notice is None else notice.get("idle_since")
        if is_over or (notice is not None and notice["said"] == STUCK):
            return STUCK
        if idle_since is None:
            note_idle(campaign, self._user, now())
            return RUNNING
        return STUCK if now() - in_utc(idle_since) >= _IDLE else RUNNING

    def _running(self, campaign: Campaign, notice: NoticeDocument | None) -> str:
        """Record that the campaign is, or could be, running; the minute after which it counts as stuck starts again."""
        if notice is not None and notice.get("idle_since") is not None:
            note_idle(campaign, self._user, None)
        return RUNNING

    def _look_for_discoveries(self, campaign: Campaign, status: Status, *, collect: bool) -> None:
        name = campaign.name
        if "found" not in self._settings.events:
            return
        if status.stable > self._stable.get(name, 0):
            self._found.setdefault(name, (time.monotonic(), uuid.uuid4().hex))
        self._stable[name] = status.stable
        if name not in self._found:
            return
        since, claim = self._found[name]
        if collect and time.monotonic() - since < self._settings.collect_s:
            return
        documents = claim_discoveries(campaign, self._user, claim)
        del self._found[name]  # only now, so that after a database outage the next check tries again
        found = []
        for document in documents:
            try:
                found.append(discovery_of(document))
            except (LookupError, TypeError, ValueError) as error:  # the others are reported
                self.say_damaged(name, error)
        if found:
            self._put("found", found_message(status, found))

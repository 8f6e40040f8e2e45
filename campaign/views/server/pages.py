"""Pages of campaigns, made when something has changed and kept until something changes again."""

import hashlib
import json
import threading
import time
from collections import defaultdict
from dataclasses import dataclass

from campaign.store.campaigns import Campaign, campaign_exists
from campaign.store.collections import CampaignStore
from campaign.store.counts import count_attempts, count_candidates, count_completed_steps
from campaign.views.report.data import build_report
from campaign.views.report.page import LivePage, render_html

#: A page is not made again before so many times the time that making it took: a large campaign changes all the time.
_REST = 10.0


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page as it was made.

    Attributes
    ----------
    html
        The page.
    revision
        What the campaign was then; see `campaign_revision`.
    """

    html: str
    revision: str


@dataclass(frozen=True)
class _Kept:
    page: Page
    not_before: float


class CampaignPages:
    """Pages by campaign; safe in threads. One thread makes a page while others wait for it.

    Parameters
    ----------
    refresh_s
        Seconds after which a browser asks whether there is another page.
    """

    def __init__(self, store: CampaignStore, *, refresh_s: float) -> None:
        self.store = store
        self.refresh_s = refresh_s
        self._kept: dict[str, _Kept] = {}
        self._making: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def page(self, name: str) -> Page:
        """Return the page of a campaign, made anew where it has changed.

        Raises
        ------
        UnknownCampaignError
            If there is none of that name.
        """
        if not campaign_exists(self.store, name):
            # no lock, and nothing kept, for names that anybody may think of; and why it is not there is said below
            return self._make(name, "")
        with self._making[name]:
            kept = self._kept.get(name)
            if kept is not None and time.monotonic() < kept.not_before:
                return kept.page
            revision = _campaign_revision(Campaign.read(self.store, name))
            if kept is not None and kept.page.revision == revision:
                return kept.page
            began = time.monotonic()
            page = self._make(name, revision)
            ended = time.monotonic()
            self._kept[name] = _Kept(page, ended + _REST * (ended - began))
            return page

    def _make(self, name: str, revision: str) -> Page:
        # the map of the DOS costs half a minute each time another DOS is there: `campaign report` has it
        data = build_report(Campaign.read(self.store, name), map_of_dos=False)
        live = LivePage(refresh_s=self.refresh_s, revision=revision)
        return Page(html=render_html(data, live=live), revision=revision)


def _campaign_revision(campaign: Campaign) -> str:
    """Return a text that changes when what a page says has changed; counted on indexes, no document is read."""
    fields = ("state", "problem", "reference_set")
    facts = [
        {**{key: str(campaign.document.get(key)) for key in fields}, "model": campaign.model_checksum},
        campaign.store.state_counts(campaign.name),
        [count_candidates(campaign, stable=stable) for stable in (True, False)],
        [count_attempts(campaign), count_attempts(campaign, outcome="running")],
        count_completed_steps(campaign),
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

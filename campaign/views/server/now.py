"""What changes on an open page while its campaign runs: the first screen and the figures of what happens."""

import json
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from campaign.store.campaigns import Campaign, campaign_exists
from campaign.store.collections import CampaignStore, now
from campaign.views.figures.discoveries import discoveries
from campaign.views.figures.timeline import timeline
from campaign.views.report.activity_figures import discoveries_figure, timeline_figure
from campaign.views.report.html import first_screen_html, state_word
from campaign.views.status.report import status_report

#: Not made again before so many times the time that making it took, and not more than once a second.
_REST, _LEAST_S = 10.0, 1.0


@dataclass(frozen=True)
class _Kept:
    content: dict[str, Any]
    not_before: float


class FirstScreens:
    """First screens by campaign; safe in threads. One thread makes one while others wait for it."""

    def __init__(self, store: CampaignStore) -> None:
        self.store = store
        self._kept: dict[str, _Kept] = {}
        self._making: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def content(self, name: str) -> dict[str, Any]:
        """Return what the page's script puts in place of what it shows, as JSON types.

        Returns
        -------
        dict
            ``at`` (UTC), ``state``, ``html`` of the first screen, and ``figures`` by their ids.

        Raises
        ------
        UnknownCampaignError
            If there is no campaign of that name.
        """
        if not campaign_exists(self.store, name):
            # no lock, and nothing kept, for names that anybody may think of
            return _content(Campaign.read(self.store, name))
        with self._making[name]:
            kept = self._kept.get(name)
            if kept is not None and time.monotonic() < kept.not_before:
                return kept.content
            began = time.monotonic()
            content = _content(Campaign.read(self.store, name))
            ended = time.monotonic()
            self._kept[name] = _Kept(content, ended + max(_REST * (ended - began), _LEAST_S))
            return content


def _content(campaign: Campaign) -> dict[str, Any]:
    at = now()
    report = status_report(campaign, at=at)
    figures = [discoveries_figure(discoveries(campaign, at=at)), timeline_figure(timeline(campaign, at=at))]
    return {
        "at": f"{at:%Y-%m-%d %H:%M:%S}",
        "state": state_word(report),
        "html": first_screen_html(report, is_live=True),
        "figures": {figure.id: json.loads(figure.json) for figure in figures if figure.json is not None},
    }

"""Parts of an open page that change while its campaign runs: the first screen and the activity figures."""

import json
from typing import Any

from campaign.store.campaigns import Campaign
from campaign.store.collections import CampaignStore, now
from campaign.views.figures.discoveries import discoveries
from campaign.views.figures.timeline import timeline
from campaign.views.report.activity_figures import discoveries_figure, timeline_figure
from campaign.views.report.html import first_screen_html, state_word
from campaign.views.server.kept import KeptByCampaign
from campaign.views.status.report import status_report

_LEAST_S = 1.0


class FirstScreens:
    """First screens by campaign, each made at most once a second; thread-safe."""

    def __init__(self, store: CampaignStore) -> None:
        self._kept = KeptByCampaign(store, lambda name, _before: _content(Campaign.read(store, name)), least_s=_LEAST_S)

    def content(self, name: str) -> dict[str, Any]:
        """Return the new content for the page's script, as JSON types.

        Returns
        -------
        dict
            ``at`` (UTC), ``state``, ``html`` of the first screen; by their ids ``figures``, and ``beside`` them the
        ``notes`` under each and its ``height`` in pixels.

        Raises
        ------
        UnknownCampaignError
            If there is no campaign of that name.
        """
        return self._kept.get(name)


def _content(campaign: Campaign) -> dict[str, Any]:
    at = now()
    report = status_report(campaign, at=at)
    figures = [discoveries_figure(discoveries(campaign, at=at)), timeline_figure(timeline(campaign, at=at))]
    drawn = [figure for figure in figures if figure.json is not None]
    return {
        "at": f"{at:%Y-%m-%d %H:%M:%S}",
        "state": state_word(report),
        "html": first_screen_html(report, is_live=True),
        "figures": {figure.id: json.loads(str(figure.json)) for figure in drawn},
        "beside": {figure.id: {"notes": figure.notes, "height": figure.height} for figure in drawn},
    }

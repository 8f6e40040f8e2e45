"""Pages of campaigns, rebuilt only when something has changed."""

import hashlib
import json
from dataclasses import dataclass

from campaign.store.campaigns import Campaign
from campaign.store.collections import CampaignStore
from campaign.store.counts import count_attempts, count_candidates, count_completed_steps
from campaign.views.report.data import build_report
from campaign.views.report.page import LivePage, render_html
from campaign.views.server.kept import KeptByCampaign

#: How long a browser waits for a page before it gets the first screen alone.
_PATIENCE_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page of a campaign.

    Attributes
    ----------
    html
        The page.
    revision
        Revision of the campaign for which the page was made.
    """

    html: str
    revision: str


class CampaignPages:
    """Pages by campaign; thread-safe.

    Parameters
    ----------
    refresh_s
        Seconds between a browser's requests for a new page.
    """

    def __init__(self, store: CampaignStore, *, refresh_s: float) -> None:
        self.store = store
        self.refresh_s = refresh_s
        self._kept = KeptByCampaign(store, self._make)

    def page_soon(self, name: str) -> Page | None:
        """Return the page of a campaign, or the previous one if a new one takes a while; None if there is none yet.

        Raises
        ------
        UnknownCampaignError
            If there is no campaign of that name.
        """
        return self._kept.get_soon(name, wait_s=_PATIENCE_S)

    def _make(self, name: str, before: Page | None) -> Page:
        revision = _campaign_revision(Campaign.read(self.store, name))
        if before is not None and before.revision == revision:
            return before
        # the map of the DOS costs half a minute each time another DOS is there: `campaign report` has it
        data = build_report(Campaign.read(self.store, name), map_of_dos=False)
        live = LivePage(refresh_s=self.refresh_s, revision=revision)
        return Page(html=render_html(data, live=live), revision=revision)


def _campaign_revision(campaign: Campaign) -> str:
    """Return a text that changes with the content of the page, from index counts without reading documents."""
    fields = ("state", "problem", "reference_set")
    facts = [
        {**{key: str(campaign.document.get(key)) for key in fields}, "model": campaign.model_checksum},
        campaign.store.state_counts(campaign.name),
        [count_candidates(campaign, stable=stable) for stable in (True, False)],
        [count_attempts(campaign), count_attempts(campaign, outcome="running")],
        count_completed_steps(campaign),
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

"""Screenshots of the report: each shows something; with REPORT_OF they are those of the documentation.

The pictures in docs/images are made of the quickstart's report, after `make quickstart`, by

    REPORT_OF=quickstart REPORT_LAUNCHPAD=my_launchpad.yaml python -m pytest tests/campaign/test_report_screenshots.py
"""

import os
from pathlib import Path

import pytest
from browser import Page, chromium
from report_campaign import SECTIONS, finished
from test_server import served

from campaign.store.campaigns import Campaign
from campaign.store.collections import CampaignStore
from campaign.views.candidate.page import candidate_address
from campaign.views.report.data import build_report
from campaign.views.report.page import render_html
from campaign.views.results import result_rows
from launchers.database.settings import DatabaseSettings

pytestmark = [pytest.mark.mongo, pytest.mark.browser]

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
#: Picture, width, dark or not, and what it begins with; None: the top of the page.
PICTURES = (
    ("report-top.png", 1200, False, None),
    ("report-candidates.png", 1200, False, "#candidates-section"),
    ("report-phone.png", 400, True, None),
)
#: The page of the most stable candidate.
CANDIDATE = "candidate.png"


@pytest.fixture
def shown(request, tmp_path) -> tuple[CampaignStore, str, Path]:
    """Campaign whose report is shown, and where the pictures go."""
    name = os.environ.get("REPORT_OF")
    if name is not None:
        settings = DatabaseSettings.from_file(Path(os.environ["REPORT_LAUNCHPAD"]))
        return CampaignStore(settings.database()), name, IMAGES
    store, launchpad, small_spec = map(request.getfixturevalue, ("store", "launchpad", "small_spec"))
    return store, finished(store, launchpad, small_spec(**SECTIONS)), tmp_path


def test_no_picture_of_the_report_is_empty(shown, tmp_path):
    store, name, folder = shown
    page_file = tmp_path / "report.html"
    page_file.write_text(render_html(build_report(Campaign.read(store, name), map_of_dos=False)))
    folder.mkdir(exist_ok=True)
    with chromium() as browser:
        for picture, width, dark, beginning in PICTURES:
            page = Page(browser, page_file.as_uri(), width=width, dark=dark)
            page.draw_all()
            place = f"document.querySelector('{beginning or 'body'}').getBoundingClientRect().top + window.scrollY"
            page.evaluate(f"window.scrollTo({{top: {place}, behavior: 'instant'}})")
            page.page.wait_for_timeout(500)  # what is drawn is on the screen a frame later
            page.page.screenshot(path=folder / picture)
            assert page.errors == []
            # a page of one colour takes some 5 kB
            assert (folder / picture).stat().st_size > 20_000


def test_no_picture_of_a_candidate_is_empty(shown):
    store, name, folder = shown
    best = result_rows(Campaign.read(store, name))[0].id
    with served(store) as port, chromium() as browser:
        page = Page(browser, f"http://127.0.0.1:{port}{candidate_address(name, best)}", width=1200)
        page.wait_for("document.querySelector('.crystal').dataset.drawn")
        page.page.screenshot(path=folder / CANDIDATE)
        assert page.errors == []
    assert (folder / CANDIDATE).stat().st_size > 20_000

"""The report in a real browser: figures, tables, crystals, on a phone and a laptop, light and dark, hostile names."""

import csv
import json

import pytest
from browser import Page, chromium
from report_campaign import HOSTILE, SECTIONS, finished

from campaign.store.campaigns import Campaign
from campaign.views.report.data import build_report
from campaign.views.report.page import render_html
from campaign.views.results import result_rows, rows_as_json

pytestmark = [pytest.mark.mongo, pytest.mark.browser]


@pytest.fixture
def page_file(store, launchpad, small_spec, tmp_path):
    """The report of a finished campaign, one of whose prototypes has a hostile name."""
    name = finished(store, launchpad, small_spec(**SECTIONS))
    store.candidates.update_many({"prototype": "B1"}, {"$set": {"prototype": HOSTILE}})
    file = tmp_path / "report.html"
    file.write_text(render_html(build_report(Campaign.read(store, name), map_of_dos=False)))
    return file


CELLS = "[...document.querySelectorAll('#table-candidates tbody tr')].map((row) => row.cells[%d]?.textContent)"


def wait_for_cells(page, column, expected):
    """Wait until a column of the table shows this: DataTables sorts and searches after the event has returned."""
    page.wait_for(f"JSON.stringify({CELLS % column}) === JSON.stringify({json.dumps(expected)})")


def wait_for_only(page, column, word):
    """Wait until every row that is shown has this in a column."""
    page.wait_for(f"{CELLS % column}.every((text) => text === {json.dumps(word)})")


def test_the_page_works_in_a_browser(page_file, store):
    rows = json.loads(rows_as_json(result_rows(Campaign.read(store, "small"))))
    with chromium() as browser:
        for width, dark in ((1400, False), (400, True)):
            page = Page(browser, page_file.as_uri(), width=width, dark=dark)
            _figures(page)
            _tables(page, rows)
            _crystal(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            lightness = sum(int(part) for part in background.strip("rgb()").split(","))
            assert (lightness < 200) == dark
            ink = page.evaluate("document.querySelector('#plot-parity .xtick text').style.fill")
            assert (sum(int(part) for part in ink.strip("rgb()").split(",")) > 400) == dark
            assert page.evaluate("window.injected") is None
            assert page.errors == []
            # nothing is fetched: the file, and what it makes itself
            assert {url.split(":")[0] for url in page.requests} <= {"file", "blob", "data"}
        # the mode may change while the page is open
        page.page.emulate_media(color_scheme="light")
        page.wait_for("document.querySelector('#plot-parity .xtick text')?.style.fill === 'rgb(28, 30, 33)'")


def _figures(page):
    drawn = page.draw_all()
    assert set(drawn) >= {"funnel", "parity", "calibration", "precision-recall", "f1-surface", "c-eff", "hull", "pair"}
    assert all(drawn.values())
    counts = page.evaluate(
        "Object.fromEntries(['parity', 'funnel', 'hull', 'pair', 'f1-surface'].map((id) => [id, "
        "document.querySelectorAll(`#plot-${id} .point, #plot-${id} .hm image, #plot-${id} .lines path`).length]))"
    )
    assert min(counts.values()) > 0
    points = page.evaluate("document.querySelectorAll('#plot-parity .point').length")
    assert points == len(page.evaluate("report.figures.parity.data.flatMap((trace) => trace.text || [])"))
    systems = page.evaluate("report.hulls.map((hull) => hull.system.join('-'))")
    page.page.select_option("#choose-hull", str(len(systems) - 1))
    page.wait_for(f"document.querySelector('#plot-hull').dataset.drawn === {json.dumps(systems[-1])}")


def _tables(page, rows):
    wait_for_cells(page, 0, [str(row["rank"]) for row in rows[:10]])
    # no server, no pages of candidates
    assert page.evaluate("document.querySelectorAll('#table-candidates a').length") == 0
    wait_for_cells(page, 8, [f"{row['e_hull_dft']:+.3f}" for row in rows[:10]])
    # by E_f(ML), rising, then falling: without one come last when rising
    head = "#table-candidates thead th >> nth=4"
    page.page.click(head)
    known = sorted(row["e_form_ml"] for row in rows if row["e_form_ml"] is not None)
    wait_for_cells(page, 4, [f"{value:+.3f}" for value in known[:10]])
    page.page.fill("#candidates-section input[type=search]", "L1_2")
    wait_for_only(page, 2, "L1_2")
    with page.page.expect_download() as download:
        page.page.click("#candidates-section button.buttons-csv")
    with open(download.value.path(), encoding="utf-8-sig") as stream:
        written = list(csv.DictReader(stream))
    chosen = [row for row in rows if row["prototype"] == "L1_2"]
    assert {row["id"] for row in written} == {row["id"] for row in chosen}
    exported = {row["id"]: next(value for key, value in row.items() if key.startswith("E_f(ML)")) for row in written}
    for row in chosen:
        assert exported[row["id"]] == ("" if row["e_form_ml"] is None else json.dumps(row["e_form_ml"]))
    page.page.fill("#candidates-section input[type=search]", "script")
    wait_for_only(page, 2, HOSTILE)
    page.page.fill("#candidates-section input[type=search]", "")
    page.page.click("#candidates-section .dt-buttons button >> nth=1")
    page.page.click(".dtsb-searchBuilder .dtsb-add >> nth=0")
    for part, chosen in (("data", "decision"), ("condition", "Equals"), ("value", "audit")):
        page.page.select_option(f".dtsb-searchBuilder .dtsb-criteria select.dtsb-{part} >> nth=0", label=chosen)
    wait_for_only(page, 6, "audit")
    page.page.keyboard.press("Escape")


def _crystal(page):
    page.page.evaluate("document.querySelector('button.view').click()")
    page.wait_for("document.querySelector('#viewer-plot').dataset.drawn")
    assert page.evaluate("document.querySelectorAll('#viewer-plot canvas').length") > 0
    shown = json.dumps(page.evaluate("document.querySelector('#viewer-plot').dataset.shown"))
    species = page.evaluate(f"report.structures[{shown}].s")
    assert set(page.page.inner_text("#viewer-plot .legend").split()) == set(species)
    # colours of atoms, bonds and the cell
    colours = page.evaluate(
        "(() => { const canvas = document.querySelector('#viewer-plot canvas'); const data = "
        "canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data; "
        "return new Set(new Uint32Array(data.buffer)).size; })()"
    )
    assert colours > 100
    assert int(page.evaluate("document.querySelector('#viewer-plot').dataset.atoms")) >= len(species)
    assert "Å" in page.page.inner_text("#viewer-note")
    page.page.click("#viewer-close")
    assert not page.evaluate("document.querySelector('#viewer').open")

"""Hulls and periodic table in a real browser: triangle and tetrahedron with labels, hover, hostile names."""

import os
from pathlib import Path

import pytest
import ternary_campaign
from browser import Page, chromium
from report_campaign import HOSTILE

from campaign.store.campaigns import Campaign
from campaign.views.report.data import build_report
from campaign.views.report.page import render_html

pytestmark = [pytest.mark.mongo, pytest.mark.browser]

#: With REPORT_IMAGES=1 the pictures are those of the documentation.
IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
LABELS = "[...document.querySelectorAll('#plot-hull .textpoint text')].map((text) => text.textContent)"
HOVER = "[...document.querySelectorAll('#plot-%s .hoverlayer .hovertext')].map((text) => text.textContent).join(' ')"
ROWS = (
    "[...document.querySelectorAll('#rows-hull tr')].slice(1)"
    ".map((row) => [...row.cells].map((cell) => cell.textContent))"
)
#: The words at the ticks of each axis and colour bar, with the figure that it belongs to.
TICKS = """[...document.querySelectorAll('.plot')].flatMap((plot) =>
  [...plot.querySelectorAll('.xaxislayer-above, .yaxislayer-above, .cbaxis')].map((axis) =>
    [plot.dataset.figure, [...axis.querySelectorAll('text')].map((text) => text.textContent)]))"""
PLACE = """([figure, name]) => {
  for (const trace of document.querySelectorAll(`#plot-${figure} .scatterlayer .trace`)) {
    if (!trace.__data__[0].trace.name.startsWith(name) || !trace.querySelector('.point')) continue;
    const { x, y, width, height } = trace.querySelector('.point').getBoundingClientRect();
    return [x + width / 2, y + height / 2];
  }
}"""


def choose(page, system):
    """Choose a system and wait until it is drawn; return its numbers."""
    systems = page.evaluate("report.hulls.map((hull) => hull.system.join('-'))")
    page.page.select_option("#choose-hull", str(systems.index(system)))
    page.wait_for(f"document.querySelector('#plot-hull').dataset.drawn === '{system}'")
    return page.evaluate(f"report.hulls[{systems.index(system)}]")


def point_at(page, figure, name):
    """Point at the first mark of a kind and return what the page says of it, without blanks."""
    page.page.query_selector(f"#figure-{figure} .plot").scroll_into_view_if_needed()
    page.page.mouse.move(0, 0)
    page.wait_for(f"{HOVER % figure} === ''")
    page.page.mouse.move(*page.page.evaluate(PLACE, [figure, name]))
    page.wait_for(f"{HOVER % figure} !== ''")
    return page.evaluate(HOVER % figure).replace(" ", "")


def signed(value):
    return f"{value:+.3f}".replace("-", "−")


def test_hulls_are_drawn_with_labels_and_hover_and_hostile_names_stay_text(store, launchpad, small_spec, tmp_path):
    name = ternary_campaign.finished(store, launchpad, small_spec, tmp_path, hostile=HOSTILE)
    ternary_campaign.make_quaternary(store, name)
    store.candidates.update_many({"prototype": "B2"}, {"$set": {"prototype": HOSTILE, "formula": HOSTILE}})
    file = tmp_path / "report.html"
    file.write_text(render_html(build_report(Campaign.read(store, name), map_of_dos=False)))
    folder = IMAGES if os.environ.get("REPORT_IMAGES") else tmp_path
    with chromium() as browser:
        for width, dark in ((1400, False), (400, True)):
            page = Page(browser, file.as_uri(), width=width, dark=dark)
            page.draw_all()
            ticks = page.evaluate(TICKS)
            assert {figure for figure, words in ticks if words} >= {"parity", "precision-recall", "saving", "elements"}
            assert [(figure, words) for figure, words in ticks if len(set(words)) < len(words)] == []
            _triangle(page)
            point_at(page, "hull", "known, not stable")
            _picture(page, "hull", folder if width == 1400 else tmp_path)
            choose(page, "Al-Cu")
            assert {"Al", "Cu", "Al2Cu", "AlCu"} <= set(page.evaluate(LABELS))
            assert "E_f+0.000,onthehull" in point_at(page, "hull", "known, stable")
            choose(page, "Al-Cu-Mg-Pd")
            assert page.evaluate("document.querySelectorAll('#plot-hull canvas').length") > 0
            assert "MgAl2CuPd L2_1" in {row[0] for row in page.evaluate(ROWS)}
            _periodic_table(page)
            _picture(page, "elements", folder if width == 1400 else tmp_path)
            # the mode may change while the page is open
            page.page.emulate_media(color_scheme="light" if dark else "dark")
            choose(page, "Al-Cu-Mg")
            ink = page.evaluate("getComputedStyle(document.querySelector('#plot-hull .legendtext')).fill")
            assert (sum(int(part) for part in ink.strip("rgb()").split(",")) > 400) != dark
            assert page.evaluate("window.injected") is None
            assert page.evaluate("document.querySelectorAll('figure img, figure script').length") == 0
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.errors == []


def _picture(page, figure, folder):
    page.page.wait_for_timeout(300)  # what is drawn is on the screen a frame later
    picture = folder / f"report-{figure}.png"
    page.page.query_selector(f"#figure-{figure}").screenshot(path=picture)
    assert picture.stat().st_size > 10_000  # one of one colour takes some 5 kB


def _triangle(page):
    hull = choose(page, "Al-Cu-Mg")
    assert page.evaluate("document.querySelectorAll('#plot-hull .ternary').length") == 1
    compounds = {point["formula"] for point in hull["phases"] if point["d"] <= 1e-6 and max(point["x"]) < 1}
    assert len(compounds) == 8
    assert compounds <= set(page.evaluate(LABELS))
    corners = page.evaluate(
        "[...document.querySelectorAll('#plot-hull .infolayer text')].map((text) => text.textContent)"
    )
    assert set(hull["system"]) <= set(corners)
    best = next(point for point in hull["candidates"] if point["kind"] == "stable")
    said = point_at(page, "hull", "relaxed, stable")
    for part in (best["name"], best["id"], f"E_f(DFT) {signed(best['e'])}, {signed(best['d'])} above", best["parts"]):
        assert part.replace(" ", "") in said
    # the known phase of the same composition, by the name that it has in the user's file
    assert "</script><script>window" in said
    rows = page.evaluate(ROWS)
    assert [row[5] for row in rows] == [point["id"] for point in hull["candidates"] + hull["phases"]]
    assert [row[2:4] for row in rows] == [
        [signed(point["e"]), signed(point["d"])] for point in hull["candidates"] + hull["phases"]
    ]


def _periodic_table(page):
    fewest, shown = page.evaluate("[report.table.fewest, report.table.shown]")
    first = next(one for one in shown if one[4] >= fewest)
    said = point_at(page, "elements", "stable")
    assert f"{first[0]}:in{first[3]}candidates{first[5]}of{first[4]}relaxedarestable" in said

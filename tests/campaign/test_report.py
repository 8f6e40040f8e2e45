"""`campaign report`: its numbers are those of the other commands, whatever state the campaign is in or is called."""

import csv
import json
import math
import re
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest
from report_campaign import HOSTILE, SECTIONS, add_many, begin, finished, predict, relax
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.metrics.metrics import effective_cost, screening_metrics
from campaign.store.campaigns import Campaign
from campaign.store.collections import now
from campaign.views.figures import thresholds
from campaign.views.figures.documents import read_candidates
from campaign.views.figures.thresholds import f1_isoline
from campaign.views.metrics.campaign_metrics import campaign_metrics
from campaign.views.report.browser_data import script_json
from campaign.views.report.data import build_report
from campaign.views.report.page import render_html
from campaign.views.report.tables import MOST_ROWS
from campaign.views.results import result_rows, rows_as_json
from esnet.evaluation.metrics import regression_metrics


class _Elements(HTMLParser):
    """Elements of a page as a browser would find them, and the text of each script."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.scripts, self._script = [], {}, None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._script = dict(attributes).get("id", len(self.scripts)) if tag == "script" else None

    def handle_data(self, data):
        if self._script is not None:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data

    def handle_endtag(self, tag):
        self._script = None if tag == "script" else self._script


def page_data(html):
    return json.loads(_Elements(html).scripts["report-data"])


def test_text_for_a_script_element_cannot_end_it():
    hostile = {"a": HOSTILE, HOSTILE: ["<!--", "]]>", "\u2028"]}
    written = script_json(hostile)
    assert not re.search("[<>&\u2028\u2029]", written)
    assert json.loads(written) == hostile
    with pytest.raises(ValueError, match="JSON"):
        script_json({"x": math.nan})


@pytest.mark.parametrize("f1", [0.2, 0.8])
def test_the_lines_of_equal_f1_have_that_f1(f1):
    recall, precision = f1_isoline(f1)
    assert 2 * precision * recall / (precision + recall) == pytest.approx(np.full(len(recall), f1))
    assert precision.max() == pytest.approx(1.0)


@pytest.mark.mongo
def test_thresholds_that_let_a_few_crystals_through_have_no_f1_and_no_c_eff(store, launchpad, small_spec, monkeypatch):
    name = finished(store, launchpad, small_spec(**SECTIONS))
    fewest = int(build_report(Campaign.read(store, name), map_of_dos=False).thresholds.sweep.sweep.promoted.max())
    monkeypatch.setattr(thresholds, "FEWEST_LET_THROUGH", fewest)
    found = build_report(Campaign.read(store, name), map_of_dos=False).thresholds
    few = found.sweep.sweep.promoted < fewest
    assert 0 < few.sum() < few.size
    assert (np.isnan(found.f1) == few).all()
    assert (found.f1 == found.sweep.sweep.f1)[~few].all()
    j = np.searchsorted(found.sweep.sweep.max_hull_energy, found.chosen[1])
    assert np.isnan(found.c_eff[0]).tolist() == few[:, j].tolist()


@pytest.mark.mongo
def test_a_finished_campaign_says_what_the_other_commands_say(store, launchpad, small_spec, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    name = finished(store, launchpad, small_spec(**SECTIONS))
    data = build_report(Campaign.read(store, name), map_of_dos=False)
    html = render_html(data)
    shown = page_data(html)

    rows = json.loads(rows_as_json(result_rows(Campaign.read(store, name))))
    titles = [column["title"] for column in shown["tables"]["candidates"]["columns"]]
    keys = {"#": "rank", "E_f(ML)": "e_form_ml", "E_hull(ML)": "e_hull_ml", "E_f(DFT)": "e_form_dft"}
    keys |= {"E_hull(DFT)": "e_hull_dft", "cost": "cpu_s"}
    for found, row in zip(shown["tables"]["candidates"]["rows"], rows, strict=True):
        for title, value in zip(titles, found, strict=True):
            near = title == "decision" and row["near_threshold"]
            if title != "3D":
                expected = row[keys.get(title, title)]
                assert value == (f"{expected}?" if near else expected), title
    # every candidate has a decision and its reason, in the same order
    reasons = {found["_id"]: (found.get("decision") or {}).get("reason") for found in store.candidates.find()}
    decided = [row["id"] for row in rows if reasons[row["id"]]]
    assert [row[3] for row in shown["tables"]["decisions"]["rows"]] == [reasons[key] for key in decided]

    metrics = campaign_metrics(Campaign.read(store, name), sweep=True)
    text = unescape(re.sub(r"<[^>]+>", " ", html[: html.index('id="report-data"')]))
    assert metrics.metrics.saving > 0
    for number in (
        f"{100 * metrics.metrics.saving:.1f} %",
        f"{metrics.metrics.success_ratio:.3f}",
        f"{metrics.metrics.discoverability:.3f}",
        f"{metrics.metrics.c_eff:.0f}",
        f"{metrics.costs.c_opt:.1f}",
    ):
        assert number in text
    left = list(data.funnel.values())
    assert left[-1] == metrics.estimate.counts.stable == metrics.metrics.tp
    assert left[0] == metrics.candidates.screened
    assert left == sorted(left, reverse=True)
    card = re.search(r'id="card-found".*?class="value">(\d+) ', html, re.S)
    assert int(card[1]) == sum(bool(row["stable"]) for row in rows) == metrics.n_stable

    columns = read_candidates(Campaign.read(store, name))
    both = columns.has_result & columns.predicted
    expected = regression_metrics(columns.e_form_dft[both], columns.e_form_ml[both])
    assert data.parity.metrics == expected
    assert f"MAE {expected.mae:.3f} eV/atom, RMSE {expected.rmse:.3f} eV/atom" in text

    found = data.thresholds
    known = columns.decided & columns.has_result
    assert found.at_chosen == screening_metrics(
        columns.promoted[known], columns.stable[known], costs=metrics.costs.costs
    )
    i, j = (
        np.searchsorted(found.sweep.sweep.max_formation_energy, -0.02),
        np.searchsorted(found.sweep.sweep.max_hull_energy, 0.13),
    )
    assert found.c_eff[0][i] == found.c_eff[1][j] == found.sweep.sweep.c_eff[i, j]
    assert found.c_eff[0][i] == effective_cost(
        found.at_chosen.ppcr, found.at_chosen.discoverability, metrics.costs.costs
    )
    assert np.isfinite(found.f1).all()
    # nobody is audited in it, and the candidate without a prediction is among all
    chosen = metrics.candidates.promoted / metrics.candidates.decided
    saved = 1 - chosen - metrics.costs.c_pre / metrics.costs.c_opt
    assert found.saving[0][i] == pytest.approx(saved)

    spent = sum(entry["cpu_s"] for entry in store.attempts.find({"campaign": name}))
    assert data.costs.cpu_s == pytest.approx(spent)
    assert data.dos_pairs.similarity.about["pairs"] == data.dos_pairs.n_pairs == 6
    assert {hull.system for hull in data.hulls.systems} == {
        tuple(system.split("-")) for system in store.candidates.distinct("chemsys")
    }
    for hull in data.hulls.systems:
        assert {phase.formula for phase in hull.phases if phase.is_on_hull} >= set(hull.system)
        assert hull.n_candidates == len(hull.candidates)
    assert "max_hull_energy: 0.13" in data.reproduction.campaign_file


@pytest.mark.mongo
def test_the_command_writes_page_figures_and_tables_and_nothing_half(
    store, launchpad, small_spec, launchpad_file, tmp_path, monkeypatch
):
    monkeypatch.chdir(launchpad_file.parent)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    name = finished(store, launchpad, small_spec(**SECTIONS))

    def report(*options):
        return CliRunner().invoke(app, ["report", name, "--no-map", *map(str, options)])

    figures, tables = tmp_path / "figures", tmp_path / "tables"
    done = report("--output", "r.html", "--figures", figures, "--csv", tables)
    assert done.exit_code == 0, done.output
    html = (tmp_path / "r.html").read_text()
    assert html.startswith("<!doctype html>")
    assert html.endswith("</html>")
    wanted = {"funnel", "precision-recall", "three-metrics", "f1-surface", "parity", "calibration", "cost-by-stage"}
    wanted |= {"c-eff", "saving", "dos-pair", "dos-similarity", "hull-Ag-Al"}
    assert {path.stem for path in figures.glob("*.png")} >= wanted
    assert {path.stem for path in figures.glob("*.png")} == {path.stem for path in figures.glob("*.svg")}
    assert (figures / "parity.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "E_f(DFT) (eV/atom)" in (figures / "parity.svg").read_text()
    with (tables / "results.csv").open() as stream:
        written = list(csv.DictReader(stream))
    assert [row["id"] for row in written] == [row.id for row in result_rows(Campaign.read(store, name))]
    assert {path.name for path in tables.iterdir()} >= {"decisions.csv", "metrics.csv", "costs.csv", "failures.csv"}

    # what cannot be written leaves the former page as it was, and no part of a new one
    missing = report("--output", tmp_path / "nowhere" / "r.html")
    assert "does not exist" in str(missing.exception)
    monkeypatch.setattr("campaign.views.report.files.render_html", lambda data: 1 / 0)
    assert isinstance(report("--output", "r.html").exception, ZeroDivisionError)
    assert (tmp_path / "r.html").read_text() == html
    assert not list(tmp_path.glob(".*part"))


@pytest.mark.mongo
def test_the_map_of_the_dos_is_made_once_or_says_why_not(store, launchpad, small_spec, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    sections = SECTIONS | {"candidates": {"prototypes": ["B1", "B2", "L1_2"], "elements": ["Al", "Cu", "Pd", "Ag"]}}
    name = begin(store, launchpad, small_spec(**sections))
    assert "at least 15 candidates" in build_report(Campaign.read(store, name)).dos_map
    relax(store, name, predict(store, name))
    found = build_report(Campaign.read(store, name)).dos_map
    assert [title for title, _ in found.panels] == [
        *("all with a prediction", "E_f(ML) ≤ -0.02 eV/atom", "promoted", "stable (DFT)")
    ]
    assert len(found.x) == found.n_all == 17
    assert np.isfinite(found.x).all()
    (kept,) = (tmp_path / "esnet-campaign" / "maps").iterdir()
    np.save(kept, np.arange(34.0).reshape(17, 2))
    assert build_report(Campaign.read(store, name)).dos_map.x.tolist() == list(np.arange(0.0, 34.0, 2.0))
    # damaged features are named, and the others are drawn
    pairs = build_report(Campaign.read(store, name)).dos_pairs.n_pairs
    damaged = store.features.find_one(
        {"kind": "dos", "document": store.candidates.find_one({"rs_dos.state": "done"})["_id"]}
    )
    store.features.update_one({"_id": damaged["_id"]}, {"$set": {"sha256": "0" * 64}})
    report = build_report(Campaign.read(store, name))
    assert np.isfinite(report.dos_map.x).sum() == 16
    assert len(report.dos_pairs.shown) == pairs - 1
    assert f"features {damaged['_id']}: DOS features are damaged" in caplog.text
    assert f"`campaign reconcile {name}` repairs them" in caplog.text
    # another DOS is another map
    store.features.delete_many({"kind": "dos"})
    assert "there are 0" in build_report(Campaign.read(store, name)).dos_map


@pytest.mark.mongo
def test_names_from_files_stay_text(store, launchpad, small_spec):
    name = finished(store, launchpad, small_spec(**SECTIONS))
    # a state that is none is not that of a finished campaign either
    store.campaigns.update_one({"_id": name}, {"$set": {"state": "running"}})
    clean = _Elements(render_html(build_report(Campaign.read(store, name), map_of_dos=False)))
    hostile = {"prototype": HOSTILE, "parent": {"source": HOSTILE}, "formula": f"Al{HOSTILE}"}
    store.candidates.update_many({}, {"$set": hostile})
    store.candidates.update_many({"decision": {"$ne": None}}, {"$set": {"decision.reason": HOSTILE}})
    failure = {"stage": HOSTILE, "kind": HOSTILE, "error": HOSTILE, "time": now()}
    store.candidates.update_many({"state": "relax_failed"}, {"$set": {"final_failure": failure}})
    store.campaigns.update_one({"_id": name}, {"$set": {"engine": HOSTILE, "state": HOSTILE, "quality": HOSTILE}})
    store.reference_sets.update_many({}, {"$set": {"file_name": HOSTILE}})
    store.attempts.insert_one({"_id": "x", "campaign": name, "document": None, "stage": HOSTILE, "cpu_s": 1.0})
    found = _Elements(render_html(build_report(Campaign.read(store, name), map_of_dos=False)))
    # the page has the same elements as before: none more, and none with a handler
    assert [tag for tag, _ in found.tags] == [tag for tag, _ in clean.tags]
    assert not [attribute for _, attributes in found.tags for attribute in attributes if attribute.startswith("on")]
    shown = json.loads(found.scripts["report-data"])
    assert shown["tables"]["candidates"]["rows"][0][2] == HOSTILE
    assert shown["tables"]["failures"]["rows"][0][3] == HOSTILE
    assert shown["tables"]["decisions"]["rows"][0][3] == HOSTILE
    # Plotly reads tags in its texts
    texts = [text for trace in shown["figures"]["parity"]["data"] for text in trace.get("text", ())]
    assert texts
    assert not [text for text in texts if "<" in text]


@pytest.mark.mongo
@pytest.mark.parametrize("state", ["new", "predicted", "failed", "training_set"])
def test_a_campaign_in_any_state_gives_a_page(store, launchpad, small_spec, state):
    sections = {"candidates": {"prototypes": ["B1", "B2"], "elements": ["Al", "Cu", "Ag"]}}
    if state == "training_set":
        name = begin(store, launchpad, small_spec(**sections, purpose="training_set"))
        store.candidates.update_many({}, {"$set": {"state": "relaxed"}})
    else:
        name = begin(store, launchpad, small_spec(**sections))
    if state == "predicted":
        predict(store, name)
    if state == "failed":
        failure = {"stage": "dos", "kind": "machine", "error": "killed", "time": now()}
        store.candidates.update_many({}, {"$set": {"state": "dos_failed", "final_failure": failure}})
    data = build_report(Campaign.read(store, name), map_of_dos=False)
    html = render_html(data)
    shown = page_data(html)
    assert "cost-by-stage" not in shown["figures"] or state == "predicted"
    assert len(shown["tables"]["candidates"]["rows"]) == len(data.rows)
    if state == "failed":
        assert len(shown["tables"]["failures"]["rows"]) == len(data.rows)
        assert f"{len(data.rows)} calculations failed permanently" in html
    if state in ("new", "predicted", "failed"):
        assert "Nothing is relaxed yet" in html
        assert "No candidate with a prediction is relaxed yet" in html
    if state == "training_set":
        assert list(data.funnel) == ["candidates", "relaxed", "stable"]
        assert "Quality of the decisions" not in html


@pytest.mark.mongo
def test_a_hundred_thousand_candidates_make_a_page_of_less_than_10_mb(store, launchpad, small_spec):
    name = finished(store, launchpad, small_spec(**SECTIONS))
    add_many(store, name, 100_000, charged=False)
    data = build_report(Campaign.read(store, name), map_of_dos=False)
    html = render_html(data)
    assert len(html.encode()) < 10e6
    shown = page_data(html)
    assert len(data.rows) == 100_060
    rows = shown["tables"]["candidates"]["rows"]
    assert [row[0] for row in rows] == list(range(1, MOST_ROWS + 1))
    assert "The first 2000 of 100060 rows" in html
    assert [trace["type"] for trace in shown["figures"]["parity"]["data"]] == ["scatter", "heatmap"]
    assert data.parity.metrics.n > 3000
    assert len(shown["structures"]) == 1000
    assert "(for the first 1,000 only)" in html
    assert max(len(hull["candidates"]) for hull in shown["hulls"]) == 80

"""The live page is about now: the first screen says what the commands say, and changes while the campaign runs.

Its picture in docs/images is made by

    LIVE_PICTURES=docs/images python -m pytest tests/campaign/test_live_page.py -k follows
"""

import json
import os
import re
from datetime import datetime, timedelta
from html import unescape
from itertools import pairwise
from pathlib import Path

import pytest
from browser import Page, chromium
from report_campaign import HOSTILE, SECTIONS, finished
from test_server import ask, served
from typer.testing import CliRunner
from under_way import find_one_more, under_way

from campaign.cli.app import app
from campaign.store.campaigns import Campaign
from campaign.store.collections import now
from campaign.views.metrics.campaign_metrics import campaign_metrics
from campaign.views.metrics.text import metrics_notes
from campaign.views.report.data import build_report
from campaign.views.report.page import render_html

pytestmark = pytest.mark.mongo


@pytest.fixture
def said(monkeypatch, launchpad_file):
    """Function that returns what a command prints as JSON."""
    monkeypatch.chdir(launchpad_file.parent)

    def call(*arguments):
        done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads(done.output)

    return call


@pytest.fixture
def running(store, launchpad, small_spec):
    """Campaign collections with the campaign `small`, which is under way."""
    under_way(store, launchpad, small_spec(**SECTIONS), relaxed=14)
    return store


def card(html, name):
    """Value and text of one of the large numbers."""
    found = re.search(
        rf'id="card-{name}".*?class="value">(.*?) <small>.*?</p>(?:<progress[^>]*></progress>)?<p>(.*?)</p>', html, re.S
    )
    return unescape(found[1]), unescape(found[2])


def panel(html, name):
    """Text of one part of the first screen."""
    found = re.search(rf'id="now-{name}"><h2>(.*?)(?=<div class="panel|$)', html, re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", found[1])).split())


def test_the_first_screen_says_what_the_commands_say(running, said):
    running.campaigns.insert_one({**running.campaigns.find_one(), "_id": "hidden", "archived": now()})
    with served(running) as port:
        found = json.loads(ask(port, "/campaigns/small/now")[2])
        listed = ask(port, "/")[2]
    _first_screen(found["html"], said)
    _figures(found["figures"], running, said)
    _list_with_bars(listed, running, said)
    # what has succeeded since is not tried again
    (lost,) = said("status", "small", "--json")["newest_retried"]
    again = {
        "campaign": "small",
        "document": lost["id"],
        "stage": lost["stage"],
        "outcome": "completed",
        "ended": now(),
    }
    done = running.attempts.insert_one({**again, "_id": "again", "started": now()}).inserted_id
    assert said("status", "small", "--json")["newest_retried"] == []
    running.attempts.delete_one({"_id": done})
    # outputs that cannot be used end a candidate, and no attempt is named then
    (retried,) = said("status", "small", "--json")["newest_retried"]
    failure = {"stage": "relax", "kind": "machine", "cause": "unusable_output", "error": "no energy", "time": now()}
    ended = {"state": "relax_failed", "final_failure": failure}
    running.candidates.update_one({"_id": retried["id"]}, {"$set": ended})
    assert said("status", "small", "--json")["newest_retried"] == []


def _first_screen(html, said):
    status, rows = said("status", "small", "--json"), said("results", "small", "--format", "json")
    stable = [row for row in rows if row["stable"]]
    assert card(html, "found")[0] == str(len(stable)) == str(status["stable"])
    assert (
        f"among {len(rows)} candidates, {sum(row['e_form_dft'] is not None for row in rows)} of them"
        in (card(html, "found")[1])
    )
    assert card(html, "running")[0] == str(sum(queue["running"] for queue in status["queues"])) == "3"
    ready = sum(queue["ready"] for queue in status["queues"])
    assert f"{ready:,} jobs waiting for a worker" in card(html, "running")[1]
    assert card(html, "cost")[0] == f"{status['budget']['spent_cpu_hours']:,.3g}"
    assert card(html, "failed")[0] == str(sum(count["number"] for count in status["failures_by_stage"])) == "1"
    by_id = {row["id"]: row for row in rows}
    shown = re.findall(r'href="/campaigns/small/candidate/([^"]+)">([^<]+)</a>.*?>([+-][\d.]+)<.*?>([+-][\d.]+)<', html)
    assert len(shown) == len(status["discoveries"]) == 5
    for (quoted, name, e_form, e_hull), found in zip(shown, status["discoveries"], strict=True):
        row = by_id[found["id"]]
        assert quoted == found["id"].replace("/", "%2F")
        assert name == f"{row['formula']} {row['prototype']}"
        assert (e_form, e_hull) == (f"{row['e_form_dft']:+.3f}", f"{row['e_hull_dft']:+.3f}")
    (failure,), (retried,) = status["newest_failures"], status["newest_retried"]
    assert f"{retried['name']} relaxation, license_missing; retried {retried['error']}" in panel(html, "failed")
    assert "the relaxation did not converge" in panel(html, "failed")
    assert failure["name"] in panel(html, "failed")
    assert "campaign failures small" in panel(html, "next")
    assert "node1 (2), node2 (1)" in panel(html, "jobs")
    assert "30 min on node1" in panel(html, "jobs")
    for stage in status["stages"]:
        assert f"{stage['title']} {stage['done']} / {stage['whole']}" in panel(html, "stages")


def _figures(figures, running, said):
    """The curve ends at what the status says; no two bars of a row are at work at the same time."""
    status = said("status", "small", "--json")
    (curve,) = figures["discoveries"]["data"]
    assert curve["x"][-1] == pytest.approx(status["budget"]["spent_cpu_hours"], abs=1e-5)
    assert curve["y"][-1] == status["stable"]
    assert curve["x"] == sorted(curve["x"])
    assert curve["y"] == sorted(curve["y"])
    names = {trace["name"] for trace in figures["timeline"]["data"]}
    assert names == {
        f"completed ({running.attempts.count_documents({'outcome': 'completed'})})",
        "running (3)",
        "failed (machine) (1)",
    }
    rows = {}
    for trace in figures["timeline"]["data"]:
        for row, base, milliseconds in zip(trace["y"], trace["base"], trace["x"], strict=True):
            start = datetime.fromisoformat(base)
            rows.setdefault(row, []).append((start, start + timedelta(milliseconds=milliseconds)))
    assert len(rows) > 2
    for bars in rows.values():
        ordered = sorted(bars)
        assert all(end <= later for (_, end), (later, _) in pairwise(ordered))


def _list_with_bars(html, running, said):
    (row,) = said("list", "--json")
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())
    stages = {stage["key"]: (stage["done"], stage["whole"]) for stage in said("status", "small", "--json")["stages"]}
    assert (row["after_dos"], row["to_screen"]) == stages["dos"]
    assert (row["after_relaxation"], row["to_relax"]) == stages["relaxed"]
    ended = {"role": "screened", "state": {"$in": ["relaxed", "relax_failed"]}}
    assert row["after_relaxation"] == running.candidates.count_documents(ended)
    assert f"IS-DOS {row['after_dos']} / {row['to_screen']}" in text
    assert f"relaxations {row['after_relaxation']} / {row['to_relax']}" in text
    assert f"{row['stable']} stable of {row['candidates']} candidates" in text
    assert html.count("<progress") == 2
    assert "hidden" not in html


def test_limits_are_shown_and_stored_words_stay_text(running, said):
    running.campaigns.update_one({"_id": "small"}, {"$set": {"budget": {"cpu_hours": 0.001, "stop_after_stable": 1}}})
    with served(running) as port:
        html = json.loads(ask(port, "/campaigns/small/now")[2])["html"]
    status = said("status", "small", "--json")
    assert status["budget"]["closed"]
    assert "of 0.001: 0 left" in card(html, "cost")[1]
    assert f"nothing more is submitted: {status['budget']['closed']}" in panel(html, "next")
    assert "all CPU-hours of the budget are spent" in panel(html, "next")

    clean = html
    running.candidates.update_many({}, {"$set": {"prototype": HOSTILE, "formula": HOSTILE}})
    failure = {"stage": HOSTILE, "kind": HOSTILE, "cause": "not_converged", "error": f"`{HOSTILE}`", "time": now()}
    running.candidates.update_many({"state": "relax_failed"}, {"$set": {"final_failure": failure}})
    running.database["launches"].update_many({}, {"$set": {"fworker.name": HOSTILE}})
    running.database["fireworks"].update_many({"state": "RUNNING"}, {"$set": {"name": HOSTILE}})
    running.attempts.update_many({}, {"$set": {"host": HOSTILE, "cause": HOSTILE}})
    with served(running) as port:
        found = json.loads(ask(port, "/campaigns/small/now")[2])
    tags = re.compile(r"</?(\w+)")
    assert tags.findall(found["html"]) == tags.findall(clean)
    assert unescape(found["html"]).count(HOSTILE) > 5
    texts = [text for trace in found["figures"]["timeline"]["data"] for text in trace["text"]]
    assert any("window.injected" in text for text in texts)
    assert not [text for text in texts if "<" in text]


def test_few_results_make_no_claims(store, launchpad, small_spec):
    name = under_way(store, launchpad, small_spec(**SECTIONS), relaxed=4)
    store.candidates.update_many({"role": "bootstrap"}, {"$unset": {"prediction": ""}})
    html = render_html(build_report(Campaign.read(store, name), map_of_dos=False))
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", html[: html.index('id="report-data"')])).split())
    assert "Mean errors: too few yet: 4 of at least 10 relaxed candidates with a prediction." in text
    assert "Too few yet: 4 of at least 20 relaxed candidates with an uncertainty." in text
    assert "Too few yet: 4 of at least 10 relaxed candidates that were promoted." in text
    assert text.count("Too few yet: 4 of at least 20 relaxed candidates that were decided on") == 3
    assert "too few yet: 4 of at least 10 relaxed ones" in text
    assert not re.search(r"\b100 %|MAE \d|hold \d+ ?%", text)
    assert "no audit" not in text.lower()
    # where the share is so small that nothing has been drawn yet, there is an audit nevertheless
    none_drawn = {"decision.audit": False, "decision.policy.audit": 1e-9}
    store.candidates.update_many({"decision": {"$ne": None}}, {"$set": none_drawn})
    (note, *_) = metrics_notes(campaign_metrics(Campaign.read(store, name)))
    assert "The audit has not drawn any" in note


def test_a_finished_campaign_begins_with_what_was_found(store, launchpad, small_spec):
    name = finished(store, launchpad, small_spec(**SECTIONS))
    html = render_html(build_report(Campaign.read(store, name), map_of_dos=False))
    ids = re.findall(r'<div class="(?:card|panel)[^"]*" id="([^"]+)"', html)
    assert ids[:3] == ["card-found", "card-cost", "card-failed"]
    assert not {"card-running", "card-time"} & set(ids)
    assert {"card-model", "card-saving", "now-failed"} <= set(ids)
    # it has no rate any more
    assert "Rates:" not in html
    assert "campaign results small" in panel(html, "next")
    # a file has no other pages beside it
    assert "/candidate/" not in html[: html.index('id="report-data"')]


@pytest.mark.browser
def test_the_first_screen_answers_and_follows_without_losing_the_place(running, tmp_path):
    pictures = Path(os.environ.get("LIVE_PICTURES") or tmp_path)
    with served(running) as port, chromium() as browser:
        address = f"http://127.0.0.1:{port}/campaigns/small"
        wide = Page(browser, address)
        # found, running, time left, cost, failed, what to do: on the screen without scrolling
        lowest = wide.evaluate("document.getElementById('now').getBoundingClientRect().bottom + window.scrollY")
        assert lowest <= 900
        assert wide.evaluate("document.documentElement.scrollWidth") <= 1400
        wide.page.screenshot(path=pictures / "live-top.png")
        # a page of one colour takes some 5 kB
        assert (pictures / "live-top.png").stat().st_size > 20_000
        assert all(wide.draw_all().values())
        narrow = Page(browser, address, width=400, dark=True)
        assert narrow.evaluate("document.documentElement.scrollWidth") <= 400

        # the reader of the wide page is at work in the table, that of the narrow one only looks
        wide.page.fill("#candidates-section input[type=search]", "L1_2")
        wide.evaluate("document.getElementById('candidates-section').scrollIntoView({ behavior: 'instant' })")
        narrow.evaluate("window.scrollTo({ top: 300, behavior: 'instant' })")
        for page in (wide, narrow):
            page.evaluate("void (window.sameDocument = true)")
        place = wide.evaluate("document.getElementById('candidates-section').getBoundingClientRect().top")
        before = int(wide.evaluate("document.querySelector('#card-found .value').textContent"))
        running.candidates.update_many({"state": "relax_failed"}, {"$set": {"final_failure.error": HOSTILE}})
        formula = find_one_more(running, "small")
        wide.wait_for(f"document.querySelector('#card-found .value').textContent.trim() === '{before + 1}'")
        assert wide.evaluate("document.querySelector('.words').textContent") == HOSTILE.splitlines()[0]
        assert formula in wide.evaluate("document.querySelector('#now-found td').textContent")
        wide.wait_for(f"report.figures.discoveries.data[0].y.at(-1) === {before + 1}")
        # a page is not made again before ten times as long as it took to make, minutes on a busy machine
        wide.wait_for("!document.getElementById('renew').hidden", seconds=600)
        assert wide.evaluate("window.sameDocument") is True
        assert wide.evaluate("document.querySelector('#candidates-section input[type=search]').value") == "L1_2"
        after = wide.evaluate("document.getElementById('candidates-section').getBoundingClientRect().top")
        assert after == pytest.approx(place, abs=2.0)
        narrow.wait_for("window.sameDocument === undefined && window.scrollY === 300", seconds=600)
        assert [page.evaluate("window.injected") for page in (wide, narrow)] == [None, None]
        assert wide.errors + narrow.errors == []


@pytest.mark.browser
def test_a_report_that_takes_a_while_is_preceded_by_the_first_screen(running, monkeypatch):
    monkeypatch.setattr("campaign.views.server.pages._PATIENCE_S", 0.0)
    with served(running) as port, chromium() as browser:
        _, headers, html = ask(port, "/campaigns/small")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert 'id="waiting"' in html
        assert card(html, "running")[0] == "3"
        page = Page(browser, f"http://127.0.0.1:{port}/campaigns/small")  # which waits for the report
        assert page.evaluate("document.getElementById('table-candidates') !== null")
        assert page.errors == []

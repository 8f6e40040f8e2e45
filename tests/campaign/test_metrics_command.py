"""`campaign metrics`: a campaign's documents and ledger give the numbers of `campaign.metrics`."""

import json
import math

import pytest
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.metrics.audit import AuditCounts, estimate_discoverability
from campaign.metrics.metrics import metrics_of_counts
from campaign.policies.base import Prediction
from campaign.policies.decide import audit_draw, decide
from campaign.policies.thresholds import Thresholds
from campaign.store.collections import SCHEMA_VERSION

pytestmark = pytest.mark.mongo


@pytest.fixture
def metrics(monkeypatch, launchpad_file):
    """Function that runs the command and returns what it prints, JSON as objects."""
    monkeypatch.chdir(launchpad_file.parent)

    def run(*options):
        done = CliRunner().invoke(app, ["metrics", "small", *options], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads(done.output) if "--json" in options else " ".join(done.output.split())

    return run


@pytest.fixture
def insert(store, small_spec):
    """Function that stores the small campaign with given candidates, and what their calculations cost."""

    def write(candidates, attempts=(), **changes):
        spec = small_spec(**changes)
        campaign = {"_id": "small", "spec": spec.model_dump(mode="json"), "state": "running", "engine": "gpaw"}
        campaign |= {"quality": "fast", "n_screened": len(candidates), "schema_version": SCHEMA_VERSION}
        store.insert_missing(store.campaigns, [campaign])
        store.insert_missing(store.candidates, [{"campaign": "small", "role": "screened", **one} for one in candidates])
        entries = [
            {"_id": f"{n}.1", "campaign": "small", "document": document, "stage": stage, "cpu_s": cpu_s}
            for n, (document, stage, cpu_s) in enumerate(attempts)
        ]
        store.insert_missing(store.attempts, entries)

    return write


def decided(name, state, *, promoted=False, audit=False, stable=None, e_form=-0.1, outcome=None, share=0.0):
    outcome = outcome or ("promoted" if promoted else "rejected")
    document = {
        "_id": name,
        "state": state,
        "prediction": {"e_form_per_atom": e_form, "e_above_hull": e_form},
        "decision": {"promoted": promoted, "audit": audit, "outcome": outcome, "policy": {"audit": share}},
    }
    return document | (
        {} if stable is None else {"result": {"e_form_per_atom": -0.2, "e_above_hull": 0.0, "stable": stable}}
    )


def finished_candidates():
    """Ten promoted (six stable, one failed), forty not promoted, ten of these audited (one stable, one failed)."""
    return [
        *(decided(f"p{n}", "relaxed", promoted=True, stable=n < 6, e_form=-0.2) for n in range(9)),
        decided("p9", "relax_failed", promoted=True),
        *(decided(f"a{n}", "relaxed", audit=True, stable=n == 0, e_form=0.3) for n in range(9)),
        decided("a9", "relax_failed", audit=True, e_form=math.nan),
        *(decided(f"r{n}", "rejected", e_form=0.5) for n in range(30)),
        # none of these is part of any metric
        {"_id": "late", "state": "dos_running"},
        {"_id": "lost", "state": "dos_failed"},
        {"_id": "boot", "state": "relaxed", "role": "bootstrap", "result": {"stable": True}},
    ]


def ledger():
    """IS-DOS: 10 CPU-s, one tried twice, one killed; relaxations: 100 CPU-s; what is open or no candidate is apart."""
    names = [one["_id"] for one in finished_candidates()]
    yield from ((name, "dos", 10.0) for name in names if name not in ("late", "boot"))
    yield ("r0", "dos", 51.0)
    yield ("r1", "dos", None)
    yield ("late", "dos", 1e6)
    yield from ((name, "relax", 100.0) for name in names if name[0] in "pa")
    yield from [("boot", "relax", 1e6), ("small/reference/Al", "relax", 1e6), (None, "train", 1e6)]


def test_the_command_prints_the_numbers_of_the_decision_core(insert, metrics):
    insert(finished_candidates(), ledger())
    found = metrics("--json")
    audit = AuditCounts(
        stable=6, promoted_ended=10, promoted_failed=1, not_promoted=40, audited=10, audit_stable=1, audit_failed=1
    )
    estimate = estimate_discoverability(audit)
    assert found["audit"] == json.loads(json.dumps(estimate.to_dict()))
    assert estimate.discoverability == 6 / (6 + 4)
    costs = found["costs"]
    assert costs == {
        "c_pre": pytest.approx((51 * 10 + 51) / 51),
        "c_opt": pytest.approx(100.0),
        "n_dos": 51,
        "n_relaxations": 20,
        "n_unknown": 1,
        # the same keys in every campaign: without a prefilter every candidate gets its IS-DOS
        "c_prefilter": 0.0,
        "dos_share": 1.0,
    }
    expected = metrics_of_counts(n_candidates=50, n_promoted=10, tp=6, fp=3, fn=4.0, n_audited=10)
    for name, value in expected.to_dict().items():
        if not name.startswith("c_") and name not in ("cpu_s_per_stable", "saving"):
            assert found["metrics"][name] == value, name
    assert found["metrics"]["c_eff"] == pytest.approx((100 * 0.2 + 11) / 0.6)
    assert found["metrics"]["saving"] == pytest.approx(1 - (20 * 100 + 50 * 11) / (50 * 100))
    low, high = estimate.interval
    assert found["c_eff_interval"] == pytest.approx([31 / high, 31 / low])
    counts = found["candidates"]
    assert (counts["decided"], counts["waiting"], counts["dos_failed"], counts["training"]) == (50, 1, 1, 1)
    assert counts["without_prediction"] == 1
    said = metrics()
    assert f"discoverability 0.600 TP / (TP + FN), 95% interval {low:.3f} to {high:.3f}" in said
    assert "Missed: about 4 stable materials" in said
    assert "2 failed relaxations: neither in the success ratio" in said


def test_without_an_audit_it_says_what_cannot_be_said(insert, metrics):
    insert([one for one in finished_candidates() if one["_id"][0] != "a"], ledger())
    found = metrics("--json")
    assert found["audit"]["discoverability"] is None
    assert found["audit"]["interval"] == [pytest.approx(6 / 36), 1.0]
    assert found["metrics"]["success_ratio"] == pytest.approx(6 / 9)
    unknown = ("fn", "discoverability", "f1", "prevalence", "daf", "c_eff")
    assert {found["metrics"][name] for name in unknown} == {None}
    said = metrics()
    assert "No audit: 6 stable materials were found, but it is unknown how many of the 30" in said
    assert "discoverability unknown" in said


def test_open_relaxations_widen_the_interval_and_are_reported(insert, metrics):
    candidates = finished_candidates()
    for one in candidates:
        if one["_id"] in ("p0", "p8", "a0", "a8"):
            one["state"] = "relax_running"
            del one["result"]
    insert(candidates, ledger())
    found = metrics("--json")
    counts = found["audit"]["counts"]
    assert (counts["promoted_open"], counts["audit_open"]) == (2, 2)
    assert found["metrics"]["tp"] == pytest.approx(5 * 10 / 8)  # as those that have ended
    assert found["metrics"]["success_ratio"] == pytest.approx(5 / 7)
    low, high = found["audit"]["interval"]
    assert low < found["audit"]["interval_as_ended"][0]
    assert high >= found["audit"]["interval_as_ended"][1]
    assert "Open: 2 promoted, 2 of the audit" in metrics()
    assert found["costs"]["n_relaxations"] == 16


def test_candidates_drawn_for_the_audit_that_the_budget_refused_are_not_forgotten(insert, store, metrics, small_spec):
    seed = small_spec().seed
    drawn = [f"d{n}" for n in range(400) if audit_draw(f"d{n}", seed) < 0.25]
    predictions = [Prediction(id=f"d{n}", e_form=0.5, e_hull=0.5) for n in range(400)]
    chosen = {one.candidate: one.audit for one in decide(Thresholds(audit=0.25), predictions, seed=seed)}
    assert [name for name, audit in chosen.items() if audit] == drawn
    refused = set(drawn[:7])
    insert(
        [decided(f"d{n}", "rejected", audit=chosen[f"d{n}"] and f"d{n}" not in refused, share=0.25) for n in range(400)]
    )
    found = metrics("--json")
    assert found["candidates"]["audit_refused"] == 7
    assert found["audit"]["counts"]["audit_open"] == len(drawn)
    assert "Not relaxed because of the budget: 7 candidates drawn for the audit" in metrics()


def test_held_candidates_are_not_promoted(insert, metrics):
    insert([*finished_candidates(), *(decided(f"h{n}", "held", outcome="held") for n in range(5))], ledger())
    found = metrics("--json")
    assert (found["candidates"]["held"], found["candidates"]["rejected"]) == (5, 40)
    assert found["audit"]["counts"]["not_promoted"] == 45


def test_a_sweep_is_of_the_relaxed_and_says_that_it_is_biased(insert, metrics):
    insert(finished_candidates(), ledger())
    sweep = metrics("--json", "--sweep", "--cpu-hours", "1")["sweep"]
    assert (sweep["n_relaxed"], sweep["n_decided"], sweep["is_biased"]) == (18, 50, True)
    best = {optimum["criterion"]: optimum for optimum in sweep["optima"]}
    # nine promoted ones at -0.2, six of them stable; the stable audited one at 0.3 lies beyond the grid
    assert best["f1"]["metrics"]["tp"] == 6
    assert best["f1"]["metrics"]["fn"] == 1
    assert best["budget"]["cpu_s"] <= 3600
    assert "biased towards it" in metrics("--sweep")


def test_a_campaign_in_which_everything_was_relaxed_is_measured_exactly(insert, metrics):
    insert([one for one in finished_candidates() if one["_id"][0] in "pa" and one.get("result")], ledger())
    found = metrics("--json", "--sweep")
    assert found["audit"]["is_exact"]
    assert found["audit"]["interval"] == [found["metrics"]["discoverability"]] * 2 == [6 / 7, 6 / 7]
    assert not found["sweep"]["is_biased"]
    assert "nothing is estimated" in metrics()


def test_a_training_set_and_an_undecided_campaign_have_nothing_to_measure(insert, store, metrics):
    relaxed = {"_id": "t", "state": "relaxed", "role": "training", "result": {"stable": True}}
    insert([relaxed], purpose="training_set")
    found = metrics("--json", "--sweep")
    assert (found["metrics"], found["audit"], found["sweep"]) == (None, None, None)
    assert (found["n_results"], found["n_stable"]) == (1, 1)
    assert "everything is relaxed and nothing is predicted" in metrics()
    store.campaigns.delete_one({"_id": "small"})
    store.candidates.delete_many({})
    insert([{"_id": "x", "state": "new"}])
    assert "Nothing has been decided yet" in metrics()


def test_a_campaign_whose_relaxations_are_all_open_says_what_is_unknown(insert, metrics):
    insert([decided("p", "promoted", promoted=True), decided("a", "rejected", audit=True), decided("r", "rejected")])
    found = metrics("--json", "--sweep")
    assert found["metrics"]["tp"] is None
    assert found["audit"]["interval"] == [0.0, 1.0]
    assert found["costs"]["c_opt"] is None
    assert "No relaxation of the audit has finished yet" in metrics("--sweep")

"""A finished campaign is replayed with what it knows, and says what it does not know."""

import json
import math

import pytest
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.replay.campaign import read_replay_campaign
from campaign.replay.data import ReplayDataError
from campaign.running_campaign import start_campaign
from campaign.store.campaigns import Campaign, UnknownCampaignError

pytestmark = pytest.mark.mongo

WIDE = {"max_formation_energy": 0.0, "max_hull_energy": 0.3}


@pytest.fixture
def ids(store, launchpad, small_spec) -> list[str]:
    """A campaign with 16 screened candidates, which has done nothing yet."""
    start_campaign(
        store,
        launchpad,
        small_spec(
            candidates={"prototypes": ["B1", "B2", "B3", "L1_0", "L1_2"], "elements": ["Al", "Cu", "Ag"]}, stable=WIDE
        ),
    )
    return [found["_id"] for found in store.candidates.find({"role": "screened"}).sort("_id")]


def predict(store, name, e_form, **more):
    prediction = {"e_form_per_atom": e_form, "e_above_hull": e_form + 0.1, "uncertainty": None, "novel": None, **more}
    store.candidates.update_one({"_id": name}, {"$set": {"state": "rejected", "prediction": prediction}})


def relax(store, name, e_form):
    result = {"e_form_per_atom": e_form, "e_above_hull": e_form + 0.1, "stable": e_form <= 0.0}
    store.candidates.update_one({"_id": name}, {"$set": {"state": "relaxed", "result": result}})


def pay(store, name, stage, *seconds):
    rows = [
        {"_id": f"{name}{stage}{n}", "campaign": "small", "document": name, "stage": stage, "cpu_s": cpu_s}
        for n, cpu_s in enumerate(seconds)
    ]
    store.attempts.insert_many(rows)


@pytest.fixture
def finished(store, ids):
    """Two relaxed (one after a machine failure), one failed, one relaxed without a prediction; two rejected."""
    for place, name in enumerate(ids[:5]):
        predict(store, name, -0.3 + 0.1 * place, uncertainty=0.2 if place == 0 else None)
    relax(store, ids[0], -0.2)
    relax(store, ids[1], -0.1)
    store.candidates.update_one(
        {"_id": ids[2]}, {"$set": {"state": "relax_failed", "final_failure": {"stage": "relax"}}}
    )
    relax(store, ids[5], -0.4)
    pay(store, ids[0], "dos", 10.0)
    pay(store, ids[0], "relax", 100.0, None, 50.0)
    pay(store, ids[1], "dos", 11.0)
    pay(store, ids[1], "relax", 200.0)
    pay(store, ids[2], "dos", 12.0)
    pay(store, ids[2], "relax", None)
    store.campaigns.update_one({"_id": "small"}, {"$set": {"state": "finished"}})
    return ids


def test_predictions_results_and_the_ledgers_costs_are_what_is_replayed(store, finished):
    data = read_replay_campaign(Campaign.read(store, "small"))
    first, second, failed = data.candidates
    assert [found.id for found in data.candidates] == finished[:3]
    assert (first.e_form_ml, first.e_hull_ml, first.uncertainty) == (-0.3, pytest.approx(-0.2), 0.2)
    assert (first.e_form, first.e_hull) == (-0.2, pytest.approx(-0.1))
    assert (first.dos_cpu_s, first.relax_cpu_s) == (10.0, 150.0)
    assert second.uncertainty is None
    assert failed.relaxation_failed
    assert math.isnan(failed.e_form)
    assert failed.relax_cpu_s == 3107.0  # killed: nobody knows
    assert data.stable.max_hull_energy == 0.3
    notes = " ".join(data.notes)
    assert "2 of 5 predicted candidates were left out" in notes
    assert "biased" in notes
    assert "1 costs are not in the ledger" in notes
    assert "not finished" not in notes


def test_a_campaign_that_has_relaxed_nothing_it_predicted_is_refused(store, ids):
    predict(store, ids[0], -0.3)
    with pytest.raises(
        ReplayDataError, match=r"campaign small: 1 problem.*\n.*1 candidates have a prediction, but none"
    ):
        read_replay_campaign(Campaign.read(store, "small"))
    with pytest.raises(UnknownCampaignError):
        read_replay_campaign(Campaign.read(store, "smal"))


def test_the_command_takes_a_campaign_with_its_own_limits_of_stability(finished, launchpad_file):
    words = ["replay", "--campaign", "small", "--launchpad", str(launchpad_file), "--json"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["source"] == "campaign small"
    assert found["settings"]["stable"] == WIDE
    (totals,) = found["policies"]["thresholds"]["seeds"]
    assert (totals["promoted"], totals["stable"], totals["failed"], totals["n_candidates"]) == (3, 2, 1, 3)

"""A campaign's model is trained on once for each n relaxations; what was decided stays, what waits is asked again."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from predicted import store_predictions
from test_steps import MODEL, finish_dos, relax_references, steps
from test_training_data import give_features

from campaign.running_campaign import start_campaign
from campaign.scheduling.advance import advance
from campaign.steps.decide import make_decisions
from campaign.steps.rescore import rescore_waiting, screen_again, with_model_of_step
from campaign.steps.retrain import retrain_step
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.collections import CampaignStore
from campaign.views.results import format_model
from campaign.views.status.counts import campaign_status
from esnet.representation.features import Representation
from esnet.training.train import TrainingSettings, train

pytestmark = pytest.mark.mongo

#: 18 candidates, 16 of them screened in batches of 5, 5, 5 and 1; a new model after every two relaxations.
SECTIONS = {
    "candidates": {"prototypes": ["B1", "B2", "B3", "L1_0", "L1_2"], "elements": ["Al", "Cu", "Ag"]},
    "screening": {"batch_size": 5, "min_completed_fraction": 0.8, "retrain_every": 2},
    "policy": {"max_formation_energy": -0.02, "max_hull_energy": 0.13},
}
FIRST = MODEL | {"step": "small/train"}
SECOND = FIRST | {"checksum": "1" * 64, "source": "retrained", "step": "small/retrain/0", "n_relaxed": 2}


@pytest.fixture
def campaign(store, launchpad, small_spec):
    """A campaign with a model, whose first batch has been screened: four promoted, one rejected."""
    start_campaign(store, launchpad, small_spec(**SECTIONS))
    relax_references(store)
    store.candidates.update_many(
        {"role": "bootstrap"}, {"$set": {"state": "relaxed", "relaxation.energy": -8.0, "rs_dos.state": "done"}}
    )
    store.references.update_many({}, {"$set": {"rs_dos.state": "done"}})
    store.campaigns.update_one({"_id": "small"}, {"$set": {"model": FIRST, "models": [FIRST]}})
    advance(OpenCampaign.open(store, launchpad, "small"))
    screen(store, launchpad, finish_dos(store, batch=0, number=5), "small/screen/0")
    return "small"


def screen(store, launchpad, ids, step_id, *, energies=(-0.5, -0.5, -0.5, -0.5, 0.4)):
    """What a Screen does once Ray has answered."""
    advance(OpenCampaign.open(store, launchpad, "small"))
    campaign = with_model_of_step(OpenCampaign.open(store, launchpad, "small"), step_id)
    store_predictions(campaign, step_id, sorted(ids), dict(zip(sorted(ids), energies, strict=False)))
    make_decisions(campaign, step_id)
    store.close_step(step_id)
    screen_again(OpenCampaign.open(store, launchpad, "small"), after=step_id)
    advance(OpenCampaign.open(store, launchpad, "small"))


def relax(store, number, *, rs_dos="done"):
    found = store.candidates.find({"role": "screened", "state": "relax_running"}).sort("_id").limit(number)
    ids = [document["_id"] for document in found]
    facts = {"state": "relaxed", "relaxation.energy": -9.0, "rs_dos.state": rs_dos}
    store.candidates.update_many({"_id": {"$in": ids}}, {"$set": facts})
    return ids


def retrainings(store):
    return [step for step in steps(store) if "/retrain/" in step]


def register_second(store):
    """What a retraining does to the campaign's document."""
    store.campaigns.update_one({"_id": "small"}, {"$set": {"model": SECOND}, "$push": {"models": SECOND}})


def test_a_retraining_is_submitted_once_for_each_so_many_relaxations(store, launchpad, campaign, database):
    relax(store, 1)
    advance(OpenCampaign.open(store, launchpad, campaign))
    assert retrainings(store) == []
    relax(store, 1, rs_dos="running")
    advance(OpenCampaign.open(store, launchpad, campaign))
    assert retrainings(store) == []  # the RS-DOS of the second is still to come
    store.candidates.update_many({"rs_dos.state": "running"}, {"$set": {"rs_dos.state": "failed"}})

    def advance_too(_):
        own = database.launchpad()
        advance(OpenCampaign.open(CampaignStore(own.db), own, campaign))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(advance_too, range(3)))
    assert retrainings(store) == ["small/retrain/0"]
    (firework,) = launchpad.fireworks.find({"spec.step": "small/retrain/0"})
    assert firework["spec"]["_category"] == "train"
    relax(store, 1)
    advance(OpenCampaign.open(store, launchpad, campaign))
    assert retrainings(store) == ["small/retrain/0"]  # one at a time
    store.close_step("small/retrain/0", {"n_relaxed": 2})
    advance(OpenCampaign.open(store, launchpad, campaign))
    assert retrainings(store) == ["small/retrain/0"]  # one new relaxation since
    relax(store, 1)
    advance(OpenCampaign.open(store, launchpad, campaign))
    assert retrainings(store) == ["small/retrain/0", "small/retrain/1"]


def test_nobody_is_trained_for_when_nobody_waits(store, launchpad, campaign):
    store.candidates.update_many({"state": {"$in": ["new", "dos_running"]}}, {"$set": {"state": "dos_failed"}})
    relax(store, 4)
    advance(OpenCampaign.open(store, launchpad, campaign))
    assert retrainings(store) == []


def test_promoted_candidates_get_an_rs_dos_that_the_report_waits_for(store, launchpad, campaign):
    store.candidates.update_many({"state": {"$in": ["new", "dos_running"]}}, {"$set": {"state": "dos_failed"}})
    (last, *_) = relax(store, 4)
    store.candidates.update_one({"_id": last}, {"$set": {"rs_dos.state": "new"}})
    for batch in range(1, 4):
        advance(OpenCampaign.open(store, launchpad, campaign))
        store.close_step(f"small/screen/{batch}")
    advance(OpenCampaign.open(store, launchpad, campaign))
    assert launchpad.workflows.count_documents({"metadata.document": last, "metadata.stage": "rs_dos"}) == 1
    assert "small/report" not in steps(store)
    store.candidates.update_one({"_id": last}, {"$set": {"rs_dos.state": "done"}})
    advance(OpenCampaign.open(store, launchpad, campaign))
    assert "small/report" in steps(store)


def test_the_report_waits_for_a_retraining(store, launchpad, campaign):
    relax(store, 4)
    held = {"state": "held", "prediction": {"model": FIRST["checksum"], "step": "small/screen/1"}}
    store.candidates.update_many({"state": {"$in": ["new", "dos_running"]}}, {"$set": held})
    advance(OpenCampaign.open(store, launchpad, campaign))
    assert retrainings(store) == ["small/retrain/0"]
    assert "small/report" not in steps(store)


def test_a_new_model_is_asked_about_those_who_wait_and_about_no_others(store, launchpad, campaign):
    decided = {found["_id"]: found for found in store.candidates.find({"decision": {"$exists": True}})}
    assert len(decided) == 5
    old = {"e_form_per_atom": -0.1, "e_above_hull": -0.1, "model": FIRST["checksum"], "step": "small/screen/1"}
    held, undecided, before_dos, fresh = (
        found["_id"] for found in store.candidates.find({"state": "dos_running"}).sort("_id").limit(4)
    )
    decision = {"outcome": "held", "promoted": False, "audit": False, "model": FIRST["checksum"]}
    for name, facts in {
        held: {"state": "held", "prediction": old, "decision": decision},
        undecided: {"state": "dos_done", "prediction": old},
        before_dos: {"state": "held"},
        fresh: {"state": "dos_done", "prediction": old | {"model": SECOND["checksum"]}},
    }.items():
        store.candidates.update_one({"_id": name}, {"$set": facts})
    register_second(store)
    assert rescore_waiting(Campaign.read(store, campaign)) == 2
    assert rescore_waiting(Campaign.read(store, campaign)) == 0
    for name in (held, undecided):
        found = store.candidates.find_one({"_id": name})
        assert (found["state"], found["prediction"], found["previous_predictions"]) == ("dos_done", None, [old])
        assert "decision" not in found
    again = store.candidates.find_one({"_id": held})
    assert again["previous_decisions"] == [decision]
    assert again["history"][-1]["state"] == "dos_done"
    assert store.candidates.find_one({"_id": before_dos})["state"] == "held"
    assert store.candidates.find_one({"_id": fresh})["prediction"]["model"] == SECOND["checksum"]
    assert {found["_id"]: found for found in store.candidates.find({"_id": {"$in": list(decided)}})} == decided
    # killed here and run again: the Screen that decides on them is submitted all the same, once
    for _ in range(2):
        screen_again(OpenCampaign.open(store, launchpad, campaign), after="small/retrain/0")
    assert "small/screen/after-retrain-0" in steps(store)


def test_a_screen_during_a_retraining_uses_one_model(store, launchpad, campaign):
    ids = sorted(finish_dos(store, batch=1, number=5))
    advance(OpenCampaign.open(store, launchpad, campaign))
    before = Campaign.read(store, campaign)
    store_predictions(before, "small/screen/1", ids[:2], dict.fromkeys(ids[:2], -0.5))
    # killed here; meanwhile there is a new model
    register_second(store)
    assert rescore_waiting(Campaign.read(store, campaign)) == 0  # a Screen is at them
    screen(store, launchpad, ids, "small/screen/1")
    found = list(store.candidates.find({"_id": {"$in": ids}}))
    assert {document["prediction"]["model"] for document in found} == {FIRST["checksum"]}
    assert {document["decision"]["model"] for document in found} == {FIRST["checksum"]}
    # the next one begins with the new model
    later = finish_dos(store, batch=2, number=5)
    screen(store, launchpad, later, "small/screen/2")
    said = store.candidates.find({"_id": {"$in": later}})
    assert {document["prediction"]["model"] for document in said} == {SECOND["checksum"]}


def test_a_training_set_has_no_model_to_train_on(small_spec):
    with pytest.raises(ValueError, match=r"screening\.retrain_every is 5"):
        small_spec(purpose="training_set", screening={"retrain_every": 5})


def give_learnt_model(store, tmp_path, campaign):
    """A first model as the campaign's training step leaves it, of the features that are there."""
    from campaign.steps.train import rs_dos_targets
    from campaign.store.models import model_summary, register_bundle

    ids = sorted(rs_dos_targets(Campaign.read(store, campaign)))
    dos, vectors = zip(*(features_of(store, name) for name in ids), strict=True)
    result = train(
        dos,
        vectors,
        [-0.1 * place for place in range(len(ids))],
        ids=ids,
        settings=TrainingSettings(widths=(4, 4, 8, 8), max_epochs=2, batch_size=4, validation_fraction=0, seed=1),
        representation=Representation(),
    )
    result.save(tmp_path / "first")
    checksum = register_bundle(store, tmp_path / "first")
    model = model_summary(store, checksum, source="bootstrap") | {"step": "small/train"}
    store.campaigns.update_one({"_id": campaign}, {"$set": {"model": model, "models": [model]}})
    store.candidates.update_many({"prediction": {"$exists": True}}, {"$set": {"prediction.model": checksum}})
    return checksum


def features_of(store, name):
    from esnet.representation.composition import composition_vector
    from workflows.dos import DosFeatures

    stored = store.features.find_one({"_id": f"{name}:rs_dos"})
    return DosFeatures.from_document(stored).decode(), composition_vector(stored["composition"])


@pytest.fixture
def learnt(store, launchpad, campaign, tmp_path, monkeypatch):
    """The campaign with a real model, four relaxed candidates with all their features, and a retraining that is due."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    relaxed = relax(store, 4)
    others = [found["_id"] for found in store.candidates.find({"role": "bootstrap"})]
    others += [found["_id"] for found in store.references.find()]
    for name in others:
        give_features(store, name, "rs_dos")
    for name in relaxed:
        give_features(store, name, "rs_dos")
        give_features(store, name, "dos")
    advance(OpenCampaign.open(store, launchpad, campaign))
    first = give_learnt_model(store, tmp_path, campaign)
    assert retrainings(store) == ["small/retrain/0"]
    return first


@pytest.mark.keras
@pytest.mark.ray
def test_a_retraining_that_is_killed_and_run_again_makes_one_new_model(store, launchpad, learnt, database):
    (held,) = (found["_id"] for found in store.candidates.find({"state": "dos_running"}).limit(1))
    prediction = {"e_form_per_atom": -0.1, "e_above_hull": -0.1, "model": learnt, "step": "small/screen/0"}
    store.candidates.update_one(
        {"_id": held}, {"$set": {"state": "held", "prediction": prediction, "decision": {"outcome": "held"}}}
    )
    retrain_step(OpenCampaign.open(store, launchpad, "small"), database, "small/retrain/0", fw_id=900)
    document = store.campaigns.find_one({"_id": "small"})
    first, second = document["models"]
    assert first["checksum"] == second["initial"] == learnt
    assert document["model"] == second
    assert second["step"] == "small/retrain/0"
    assert second["trained_on"]["is_dos"] == 4
    assert second["trained_on"]["rs_dos"] == 9  # four found, two of the bootstrap sample, three references
    assert store.models.find_one({"_id": second["checksum"]})["record"]["initial"]["checksum"] == learnt
    assert store.candidates.find_one({"_id": held})["previous_predictions"] == [prediction]
    step = store.steps.find_one({"_id": "small/retrain/0"})
    assert (step["state"], step["n_relaxed"], step["model"]) == ("done", 4, second["checksum"])
    # killed before the step was closed, and before FireWorks was told
    for state in ("submitted", "done"):
        store.steps.update_one({"_id": "small/retrain/0"}, {"$set": {"state": state}})
        retrain_step(OpenCampaign.open(store, launchpad, "small"), database, "small/retrain/0", fw_id=900)
    assert store.campaigns.find_one({"_id": "small"})["models"] == document["models"]
    assert store.models.count_documents({}) == 2
    assert retrainings(store) == ["small/retrain/0"]
    assert "small/screen/after-retrain-0" in steps(store)
    assert campaign_status(Campaign.read(store, "small")).model["number"] == 2
    assert "model 2 of 2" in format_model(Campaign.read(store, "small"))


@pytest.mark.keras
@pytest.mark.ray
def test_a_retraining_with_too_little_leaves_the_old_model_and_the_campaign_goes_on(store, launchpad, learnt, database):
    # nothing new to learn from: the RS-DOS have failed, and the IS-DOS, once decided on, are not computed again
    screened = {"role": "screened", "rs_dos.state": "done"}
    ids = [found["_id"] for found in store.candidates.find(screened)]
    store.candidates.update_many(screened, {"$set": {"rs_dos.state": "failed"}})
    store.features.delete_many({"document": {"$in": ids}})
    retrain_step(OpenCampaign.open(store, launchpad, "small"), database, "small/retrain/0", fw_id=900)
    step = store.steps.find_one({"_id": "small/retrain/0"})
    assert (step["state"], step["outcome"]) == ("done", "no model")
    assert "is new to" in step["reason"]
    document = store.campaigns.find_one({"_id": "small"})
    assert document["model"]["checksum"] == learnt
    assert len(document["models"]) == 1
    assert store.attempts.find_one({"fw_id": 900})["outcome"] == "completed"
    advance(OpenCampaign.open(store, launchpad, "small"))
    assert retrainings(store) == ["small/retrain/0"]  # not again before there is more to learn from

"""Features that are lost or damaged are taken from the JobStore or computed again; no candidate is judged without."""

import numpy as np
import pytest
from prepared import BATCHES, with_model

from campaign.attempts.outputs import flow_key
from campaign.references.reference_sets import freeze_reference_set
from campaign.scorers.esnet import Esnet, Score
from campaign.steps.record import record_calculation
from campaign.steps.screen import screen_step
from campaign.steps.train import train_step
from campaign.store.campaigns import OpenCampaign
from campaign.store.documents import stage_fields
from campaign.store.features import unusable_features
from campaign.store.states import STAGES
from campaign.views.failures import failure_kinds
from launchers.database.job_store import open_job_store
from workflows.dos import DosFeatures
from workflows.identity import job_uuid

pytestmark = pytest.mark.mongo


def compute(store, database, document, stage):
    """Leave what a DOS leaves: an attempt, the output of its features job, and the features."""
    dos = DosFeatures.encode(
        np.ones((2, 1500, 9), np.float32), spacing=0.02, efermi=1.0, normalisation="atom", energy_reference="absolute"
    )
    facts = stage_fields(document, stage)
    key = flow_key(document["_id"], stage, facts.get("attempt") or 0)
    with open_job_store(database) as job_store:
        output = {"uuid": job_uuid(f"{key}:features"), "index": 1, "output": dos.to_json()}
        job_store.update([output], key=["uuid", "index"])
    of_what = {"document": document["_id"], "composition": document["composition"], "campaign": "small"}
    store.features.insert_one({"_id": f"{document['_id']}:{stage.name}", **of_what, **dos.to_document()})
    entry = {"campaign": "small", "document": document["_id"], "stage": stage.name, "fw_id": facts.get("fw_id")}
    store.attempts.insert_one({"_id": f"{document['_id']}.1", **entry, "outcome": "completed", "cpu_s": 9.0})


@pytest.fixture
def computed(store, database, launchpad, small_spec, monkeypatch):
    """A campaign whose first batch of five candidates has its IS-DOS; its scorer reads them in this process."""
    with_model(store, launchpad, small_spec(**BATCHES))
    ids = [found["_id"] for found in store.candidates.find({"batch": 0}).sort("_id")]
    for document in store.candidates.find({"batch": 0}):
        compute(store, database, document, STAGES["dos"])
    store.candidates.update_many({"batch": 0}, {"$set": {"state": "dos_done"}})
    model = {"representation.composition": "presence"}
    store.campaigns.update_one({}, {"$set": {f"model.{field}": value for field, value in model.items()}})

    def score(self, asked, context):
        found, _, _ = context.feature_reader()(asked)
        return [Score(name, 0.5 if name in found else None, "no features") for name in asked]

    monkeypatch.setattr(Esnet, "score", score)
    freeze_reference_set(OpenCampaign.open(store, launchpad, "small"))
    store.steps.insert_one(
        {"_id": "small/screen/0", "campaign": "small", "kind": "screen", "batch": 0, "state": "submitted"}
        | {"number": None, "after": None, "fw_id": 900}
    )
    return ids


def lose(store, features_id):
    store.features.delete_one({"_id": features_id})


def flip(store, features_id):
    data = bytearray(store.features.find_one({"_id": features_id})["data"])
    data[len(data) // 2] ^= 1
    store.features.update_one({"_id": features_id}, {"$set": {"data": bytes(data)}})


def empty(store, features_id):
    store.features.replace_one({"_id": features_id}, {"foo": 1})


def other_composition(store, features_id):
    store.features.update_one({"_id": features_id}, {"$set": {"composition": {"Xx": 1.0}}})


def test_damaged_features_are_taken_from_the_jobstore_and_hold_up_nobody(store, database, launchpad, computed, caplog):
    for name, damage in zip(computed, (lose, flip, empty, other_composition), strict=False):
        damage(store, f"{name}:dos")
    screen_step(OpenCampaign.open(store, launchpad, "small"), database, "small/screen/0", fw_id=900)
    predicted = {found["_id"]: found["prediction"]["e_form_per_atom"] for found in store.candidates.find({"batch": 0})}
    assert predicted == dict.fromkeys(computed, 0.5)
    assert unusable_features(store, computed, "dos") == {}
    assert [f"{name}:dos" in caplog.text for name in computed] == [True] * 4 + [False]


def test_features_that_are_nowhere_are_computed_again_until_the_tries_are_used_up(store, database, launchpad, computed):
    lost = computed[2]
    flip(store, f"{lost}:dos")
    store.database["outputs"].update_many({}, {"$set": {"output.data": "no base64"}})
    campaign = OpenCampaign.open(store, launchpad, "small")
    screen_step(campaign, database, "small/screen/0", fw_id=900)
    others = store.candidates.count_documents({"batch": 0, "state": "rejected", "prediction.e_form_per_atom": 0.5})
    document = store.candidates.find_one({"_id": lost})
    assert others == 4
    assert (document["state"], document["is_dos"]["attempt"], document.get("decision")) == ("new", 1, None)
    (kind,) = failure_kinds(campaign, None)
    assert (kind.stage, kind.cause, kind.attempts, kind.for_good) == ("dos", "features_lost", 1, 0)
    assert f"{lost}:dos" in kind.error
    store.candidates.update_one({"_id": lost}, {"$set": {"state": "dos_done", "is_dos.attempt": 2}})
    store.steps.update_one({"_id": "small/screen/0"}, {"$set": {"state": "submitted"}})
    screen_step(campaign, database, "small/screen/0", fw_id=900)
    document = store.candidates.find_one({"_id": lost})
    assert (document["state"], document["final_failure"]["cause"]) == ("dos_failed", "features_lost")


def test_a_training_waits_for_an_rs_dos_whose_features_are_lost(store, database, launchpad, computed):
    store.campaigns.update_one({}, {"$set": {"model": None}})
    reference = store.references.find_one({})
    compute(store, database, reference, STAGES["rs_dos"])
    for document in store.references.find({"_id": {"$ne": reference["_id"]}}):
        compute(store, database, document, STAGES["rs_dos"])
    lose(store, f"{reference['_id']}:rs_dos")
    store.database["outputs"].delete_many({})
    store.steps.insert_one({"_id": "small/train", "campaign": "small", "kind": "train", "state": "submitted"})
    train_step(OpenCampaign.open(store, launchpad, "small"), database, "small/train", fw_id=901)
    found = store.references.find_one({"_id": reference["_id"]})["rs_dos"]
    assert (found["state"], found["attempt"]) == ("running", 1)  # submitted again
    assert store.steps.find_one({"_id": "small/train"}) is None  # and due again when it is there


def test_a_damaged_output_of_a_calculation_is_computed_again(store, database, launchpad, computed):
    """A record took it for an output that is the same every time, and ended the candidate."""
    document = store.candidates.find_one({"batch": 1, "state": "dos_running"})
    compute(store, database, document, STAGES["dos"])
    key = flow_key(document["_id"], STAGES["dos"], 0)
    task = {"state": "successful", "output": {}}
    store.database["outputs"].insert_one({"uuid": job_uuid(f"{key}:static"), "index": 1, "output": task})
    damaged = {"$set": {"output.sha256": "0" * 64}}
    store.database["outputs"].update_one({"uuid": job_uuid(f"{key}:features")}, damaged)
    campaign = OpenCampaign.open(store, launchpad, "small")
    fw_id = document["is_dos"]["record_fw_id"]
    record_calculation(campaign, database, document_id=document["_id"], stage=STAGES["dos"], fw_id=fw_id)
    found = store.candidates.find_one({"_id": document["_id"]})
    assert (found["state"], found["is_dos"]["attempt"]) == ("new", 1)
    assert document["_id"] in found["retried_failure"]["error"]

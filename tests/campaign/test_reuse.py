"""A calculation that one campaign has done is taken over by another one at no cost, unless that asks otherwise."""

import copy
import math
import socket
import uuid

import pytest
import yaml
from finished_campaign import NAME, Finished
from old_formats.restore import OLD_FORMATS, restore
from pymatgen.core import Lattice, Structure
from typer.testing import CliRunner

from campaign.attempts.outputs import output_uuids
from campaign.budget.limits import expected_costs
from campaign.budget.spent import usage
from campaign.candidates.same_cell import same_cell
from campaign.cli.app import app
from campaign.metrics.measured_costs import measured_costs
from campaign.steps.features import compute_features_again, restore_features
from campaign.store.campaigns import Campaign
from campaign.store.collections import CampaignStore
from campaign.store.migration import migrate
from campaign.store.states import STAGES
from campaign.store.usage import count_sent_to_relaxation
from campaign.views.explanation import explanation, format_explanation
from campaign.views.results import result_rows
from campaign.views.status.report import status_report
from launchers.database.settings import DatabaseSettings

LENIENT = {"max_formation_energy": 5.0, "max_hull_energy": 10.0}


@pytest.fixture(scope="module")
def first(mongo_settings, write_launchpad, tmp_path_factory):
    """A campaign at its end that has relaxed everything, in a database of its own."""
    folder = tmp_path_factory.mktemp("reuse")
    name = f"test_reuse_{uuid.uuid4().hex[:8]}"
    file = write_launchpad(folder, port=mongo_settings.seeds[0][1], name=name)
    campaign = Finished(DatabaseSettings.from_file(file), folder, policy=LENIENT)
    campaign.failing = None
    campaign.run()
    yield campaign
    campaign.launchpad.connection.drop_database(name)


@pytest.fixture
def again(first):
    """Starts campaigns on the same candidates; they are gone after the test."""
    names = []

    def start(name, **sections):
        names.append(name)
        second = Finished(first.database, first.folder, name=name, **sections)
        second.failing = None
        return second

    yield start
    store = first.store
    for name in names:
        for collection in (*store.structures, store.features, store.attempts, store.steps):
            collection.delete_many({"campaign": name})
        store.campaigns.delete_one({"_id": name})
        for collection, field in (("fireworks", "spec.campaign_name"), ("workflows", "metadata.campaign")):
            store.database[collection].delete_many({field: name})


def outcomes(store, name):
    return {entry["outcome"] for entry in store.attempts.find({"campaign": name, "document": {"$ne": None}})}


@pytest.mark.mongo
def test_a_second_campaign_with_other_thresholds_computes_nothing_anew(first, again):
    second = again("stricter", policy={"max_formation_energy": 0.1})
    second.run()
    store, campaign = second.store, Campaign.read(second.store, "stricter")
    assert campaign.document["state"] == "finished"
    assert second.computed == []
    assert (
        store.database["fireworks"].count_documents({"spec.campaign_name": "stricter", "spec.document": {"$ne": None}})
        == 0
    )
    entries = list(store.attempts.find({"campaign": "stricter", "document": {"$ne": None}}))
    assert {(each["outcome"], each["cpu_s"], each["reused_from"]["campaign"]) for each in entries} == {
        ("reused", 0.0, NAME)
    }
    originals = {each["_id"]: each for each in store.attempts.find({"campaign": NAME})}
    for each in entries:
        origin = originals[each["reused_from"]["entry"]]
        assert (origin["document"], origin["stage"], origin["outcome"]) == (
            each["reused_from"]["document"],
            each["stage"],
            "completed",
        )
        assert each["reused_from"]["cpu_s"] == origin["cpu_s"]
    relaxed = list(store.candidates.find({"campaign": "stricter", "role": "screened", "state": "relaxed"}))
    assert 0 < len(relaxed) < store.candidates.count_documents({"campaign": NAME, "state": "relaxed"})
    for candidate in relaxed:
        original = store.candidates.find_one({"_id": candidate["_id"].replace("stricter", NAME)})
        assert candidate["result"]["e_form_per_atom"] == original["result"]["e_form_per_atom"]
        assert candidate["relaxation"]["structure"] == original["relaxation"]["structure"]
        assert candidate["relaxation"]["corrections"] == original["relaxation"]["corrections"]
        assert store.features.find_one({"_id": f"{candidate['_id']}:dos"})["data"]
    assert set(campaign.document["summary"]["cpu_s"]) == {"train", "screen"}


@pytest.mark.mongo
def test_what_was_taken_over_is_said_and_counts_for_no_cost(first, again):
    second = again("stricter", policy={"max_formation_energy": 0.1}, budget={"relaxations": 1})
    second.run()
    campaign = Campaign.read(second.store, "stricter")
    costs = measured_costs(campaign)
    assert math.isnan(costs.c_pre)
    assert math.isnan(costs.c_opt)
    assert expected_costs(campaign).dos_cpu_s == campaign.spec.budget.dos_cpu_s
    assert count_sent_to_relaxation(campaign) == 0
    # more than the budget allows to compute: what is taken over costs nothing
    relaxed = list(second.store.candidates.find({"campaign": "stricter", "role": "screened", "state": "relaxed"}))
    assert len(relaxed) > 1
    assert usage(campaign, expected_costs(campaign)).relaxations == 0
    said = "\n".join(format_explanation(explanation(campaign, relaxed[0])))
    assert f"relaxation reused from campaign {NAME}" in said
    assert {row.reused_from for row in result_rows(campaign)} == {NAME}
    reused = status_report(campaign).reused
    assert reused.startswith(f"reused from {NAME}: ")
    assert "CPU-hours saved" in reused


@pytest.mark.mongo
def test_without_reuse_everything_is_computed(first, again):
    second = again("anew", reuse=False)
    assert second.store.attempts.count_documents({"campaign": "anew"}) == 0
    assert second.store.candidates.count_documents({"campaign": "anew", "state": "dos_running"}) > 0


@pytest.mark.mongo
@pytest.mark.parametrize(
    "sections", [{"dft": {"engine": "gpaw", "encut": 401.0}}, {"dft": {"engine": "gpaw", "magmom": {"Pd": 2.0}}}]
)
def test_other_settings_or_initial_moments_are_computed(first, again, sections):
    second = again("other", **sections)
    assert second.store.attempts.count_documents({"campaign": "other"}) == 0


@pytest.mark.mongo
def test_another_representation_takes_over_relaxations_alone(first, again):
    second = again(
        "elements", model={"bundle": None, "bootstrap_size": 2, "representation": {"normalisation": "element"}}
    )
    stages = second.store.attempts.distinct("stage", {"campaign": "elements", "outcome": "reused"})
    assert stages == ["relax"]


@pytest.mark.mongo
@pytest.mark.parametrize("damage", ["overrides", "version", "features", "outputs", "ledger", "moments"])
def test_what_is_not_whole_or_not_equal_is_computed(first, again, damage):
    store = first.store
    source = store.candidates.find_one({"campaign": NAME, "role": "screened", "state": "relaxed"})
    entry = store.attempts.find_one({"document": source["_id"], "stage": "dos"})
    features = store.features.find_one({"_id": f"{source['_id']}:dos"})
    uuid_ = output_uuids(source["_id"], STAGES["dos"], source["is_dos"])["static"]
    output = store.database["outputs"].find_one({"uuid": uuid_})
    changed = copy.deepcopy(source)
    try:
        if damage == "overrides":
            changed["overrides"] = [{"stage": "dos", "incar": {"ALGO": "All"}, "queue": {}}]
        elif damage == "version":
            changed["is_dos"]["vasp_version"] = "6.9.9-gpaw-1.0.0"
        elif damage == "moments":
            changed["structure"]["sites"][0]["properties"]["magmom"] = 3.0
        elif damage == "features":
            store.features.update_one({"_id": features["_id"]}, {"$set": {"data": b"cut"}})
        elif damage == "outputs":
            store.database["outputs"].delete_one({"_id": output["_id"]})
        else:
            store.attempts.delete_one({"_id": entry["_id"]})
        store.candidates.replace_one({"_id": source["_id"]}, changed)
        again("second")
        found = store.candidates.find_one({"_id": source["_id"].replace(NAME, "second", 1)})
        assert found["state"] == "dos_running"
        others = {"campaign": "second", "role": "screened", "_id": {"$ne": found["_id"]}}
        assert store.candidates.distinct("state", others) == ["dos_done"]
    finally:
        store.candidates.replace_one({"_id": source["_id"]}, source)
        store.features.replace_one({"_id": features["_id"]}, features)
        store.database["outputs"].replace_one({"_id": output["_id"]}, output, upsert=True)
        store.attempts.replace_one({"_id": entry["_id"]}, entry, upsert=True)


@pytest.mark.mongo
def test_a_third_campaign_names_where_it_was_computed_and_lost_features_come_back(first, again):
    again("second")
    first.store.campaigns.update_one({"_id": NAME}, {"$set": {"settings_hash": "of others"}})
    try:
        third = again("third")
    finally:
        hash_ = Campaign.read(first.store, NAME).spec.settings_hash
        first.store.campaigns.update_one({"_id": NAME}, {"$set": {"settings_hash": hash_}})
    store, campaign = third.store, Campaign.read(third.store, "third")
    assert store.attempts.distinct("reused_from.campaign", {"campaign": "third"}) == [NAME]
    ids = [found["_id"] for found in store.candidates.find({"campaign": "third", "state": "dos_done"})]
    assert ids
    store.features.delete_many({"_id": {"$in": [f"{name}:dos" for name in ids]}})
    assert restore_features(campaign, third.database, ids, STAGES["dos"]) == {}
    assert store.features.count_documents({"_id": {"$in": [f"{name}:dos" for name in ids]}}) == len(ids)
    # gone from the JobStore too: it is computed, as a new try
    assert compute_features_again(campaign, {ids[0]: "gone"}, STAGES["dos"]) == 1
    assert store.attempts.find_one({"document": ids[0], "stage": "dos"})["outcome"] == "machine"


@pytest.fixture
def old(launchpad_file):
    """A database in which an earlier version has computed two campaigns with GPAW."""
    settings = DatabaseSettings.from_file(launchpad_file)
    launchpad = settings.launchpad(strm_lvl="ERROR")
    restore(launchpad.db, OLD_FORMATS / "finished.jsonl.gz", host=socket.gethostname(), folder=launchpad_file.parent)
    store = CampaignStore(launchpad.db)
    for name in store.campaigns.distinct("_id"):
        migrate(store, name)
    return store, launchpad


def campaign_file(folder, name):
    content = yaml.safe_load((OLD_FORMATS / "finished.yaml").read_text())
    content["name"] = name
    content["spec"]["campaign"]["screening"] = {"batch_size": 256}
    content["spec"]["campaign"]["policy"] = {"max_formation_energy": 9.0, "max_hull_energy": 9.0}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.mongo
def test_submit_takes_over_what_an_earlier_version_has_computed_and_verify_is_clean(old, launchpad_file):
    store, _ = old
    file = campaign_file(launchpad_file.parent, "later")
    arguments = ["submit", str(file), "--launchpad", str(launchpad_file)]
    said = CliRunner().invoke(app, arguments)
    assert said.exit_code == 0, said.output
    # two references and two of the bootstrap sample with both, six IS-DOS
    assert "reused from finished, probable: 6 IS-DOS, 4 relaxations, 4 RS-DOS" in " ".join(said.output.split())
    assert store.database["fireworks"].distinct("spec._category", {"spec.campaign_name": "later"}) == ["train"]
    for name in ("later", "finished", "probable"):
        verified = CliRunner().invoke(app, ["verify", name, "--features", "--launchpad", str(launchpad_file)])
        assert verified.exit_code == 0, verified.output
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 0
    assert "nothing was added" in again.output
    anew = campaign_file(launchpad_file.parent, "anew")
    said = CliRunner().invoke(app, ["submit", str(anew), "--no-reuse", "--launchpad", str(launchpad_file)])
    assert said.exit_code == 0
    assert "reused from" not in said.output
    assert store.attempts.count_documents({"campaign": "anew"}) == 0
    assert store.campaigns.find_one({"_id": "anew"})["spec"]["reuse"] is False
    # the option is not needed to go on
    said = CliRunner().invoke(app, ["submit", str(anew), "--launchpad", str(launchpad_file)])
    assert said.exit_code == 0
    assert store.attempts.count_documents({"campaign": "anew"}) == 0


def crystal(lattice, species, positions, **properties):
    return Structure(lattice, species, positions, site_properties=properties or None).as_dict()


NACL = Lattice.from_parameters(3, 4, 5, 90, 95, 90)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (crystal(NACL, ["Na", "Cl", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.2, 0, 0.1]]), True),
        (crystal(NACL, ["Cl", "Cl", "Na"], [[0.2, 0, 0.1], [0.5, 0.5, 0.5], [0, 1, 0]]), True),
        (crystal(NACL, ["Na", "Cl", "Cl"], [[0.3, 0.1, 0], [0.8, 0.6, 0.5], [0.5, 0.1, 0.1]]), True),
        (crystal(NACL, ["Na", "Cl", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.2, 0, 0.11]]), False),
        (crystal(NACL, ["Na", "Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.2, 0, 0.1]]), False),
        (crystal(NACL.scale(61), ["Na", "Cl", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.2, 0, 0.1]]), False),
        (crystal(NACL, ["Na", "Cl", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.2, 0, 0.1]], magmom=[1, 0, 0]), False),
        (crystal(NACL, ["Na+", "Cl-", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.2, 0, 0.1]]), False),
    ],
)
def test_the_same_cell_has_the_same_sites_in_any_order_from_any_origin(other, same):
    one = crystal(NACL, ["Na", "Cl", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.2, 0, 0.1]])
    assert same_cell(one, other) is same
    assert same_cell(other, one) is same


def test_a_rotated_cell_is_another_one():
    along_z = crystal(Lattice.cubic(4), ["Al", "Cu"], [[0, 0, 0], [0, 0, 0.5]])
    along_x = crystal(Lattice.cubic(4), ["Al", "Cu"], [[0, 0, 0], [0.5, 0, 0]])
    assert not same_cell(along_z, along_x)

"""A campaign deleted for good: nothing of it is left, and nothing of another one is touched."""

import json

import pytest
from finished_campaign import Finished
from gridfs import GridFSBucket
from killed_commands import killed_at_every_write
from small_campaign import write_campaign
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.commands.confirm import NotConfirmedError
from campaign.running_campaign import start_campaign
from campaign.store.campaigns import CampaignIsDeletedError, UnknownCampaignError

pytestmark = pytest.mark.mongo

NAME = "quickstart"


@pytest.fixture
def run(launchpad_file):
    """Function that runs a command and returns its output on one line."""

    def command(*words, code=0, typed=None):
        done = CliRunner().invoke(app, [*map(str, words), "--launchpad", str(launchpad_file)], input=typed)
        assert done.exit_code == code, (done.output, done.exception)
        return " ".join(done.output.split())

    return command


@pytest.fixture
def two(database, tmp_path, store, launchpad, small_spec):
    """A finished campaign with outputs and features, and another one that has begun."""
    finished = Finished(database, tmp_path)
    finished.run()
    start_campaign(store, launchpad, small_spec())
    # a large object, as an engine's DOS is
    output = store.database["outputs"].find_one({"name": "static"})
    GridFSBucket(store.database, "data").upload_from_stream("dos", b"0", metadata={"job_uuid": output["uuid"]})
    return finished


def counts(store):
    """Number of documents of each collection."""
    names = set(store.database.list_collection_names()) - {"fw_id_assigner"}
    return {name: number for name in names if (number := store.database[name].count_documents({}))}


def test_killed_before_each_write_it_is_completed_and_leaves_the_other_campaign(
    store, launchpad, two, launchpad_file, run, small_spec
):
    kills, said = killed_at_every_write("delete", NAME, "--yes", "--launchpad", launchpad_file)
    assert kills > 10
    assert f"campaign {NAME} deleted" in said
    assert "no problems found" in run("verify", "small")
    with pytest.raises(UnknownCampaignError, match="this database has small"):
        CliRunner().invoke(app, ["status", NAME, "-l", str(launchpad_file)], catch_exceptions=False)
    run("delete", "small", "--yes")
    assert counts(store) == {}


def test_what_another_campaign_has_taken_over_stays(store, two, run):
    source = store.candidates.find_one({"campaign": NAME, "state": "relaxed", "role": "screened"})
    origin = {"campaign": NAME, "document": source["_id"], "attempt": source["is_dos"]["attempt"]}
    taken = {"_id": "taken", "campaign": "small", "stage": "dos", "outcome": "reused", "reused_from": origin}
    store.attempts.insert_one(taken)
    run("delete", NAME, "--yes")
    assert counts(store)["outputs"] == 2  # the IS-DOS and its features
    # with the last one that uses them they go
    run("delete", "small", "--yes")
    assert counts(store) == {}


def test_half_deleted_it_can_only_be_deleted(store, two, launchpad_file, run):
    store.campaigns.update_one(
        {"_id": NAME}, {"$set": {"state": "deleting", "deletion": {"outputs": True, "features": True}}}
    )
    for words in (["status", NAME], ["results", NAME], ["resume", NAME], ["reconcile", NAME], ["archive", NAME]):
        with pytest.raises(CampaignIsDeletedError, match=f"`campaign delete {NAME}` completes the deletion"):
            CliRunner().invoke(app, [*words, "-l", str(launchpad_file)], catch_exceptions=False)
    assert {row["name"]: row["state"] for row in json.loads(run("list", "--json"))}[NAME] == "deleting"
    assert "nothing to repair" in run("reconcile")
    # without the options of the first call it deletes what that one would have deleted
    run("delete", NAME, "--no-outputs", "--no-features", typed=f"{NAME}\n")
    run("delete", "small", "--yes")
    assert counts(store) == {}


def test_it_asks_for_the_name_and_keeps_what_is_not_meant(store, two, launchpad_file, run):
    before = counts(store)
    for typed in ("yes\n", ""):
        with pytest.raises(NotConfirmedError):
            CliRunner().invoke(app, ["delete", NAME, "-l", str(launchpad_file)], input=typed, catch_exceptions=False)
    assert counts(store) == before
    assert "outputs and stored DOS are kept" in run("delete", NAME, "--no-outputs", "--no-features", typed=f"{NAME}\n")
    left = counts(store)
    assert {kind: left[kind] for kind in ("outputs", "features")} == {
        kind: before[kind] for kind in ("outputs", "features")
    }


def test_completed_without_options_it_keeps_what_the_first_call_was_to_keep_and_remains_can_be_deleted(store, two, run):
    before = counts(store)
    chosen = {"outputs": False, "features": False, "files": False}
    store.campaigns.update_one({"_id": NAME}, {"$set": {"state": "deleting", "deletion": chosen}})
    assert "outputs and stored DOS are kept" in run("delete", NAME, typed=f"{NAME}\n")
    assert counts(store)["outputs"] == before["outputs"]
    assert "stored DOS" in run("delete", NAME, "--yes")
    assert "features" not in counts(store)


def test_launch_folders_go_only_where_they_are_the_campaigns_own(store, launchpad, small_spec, tmp_path, run):
    start_campaign(store, launchpad, small_spec())
    home = tmp_path / "runs" / "small"
    folders = {name: home / f"launcher_2026-12-01-10-00-00-00000{name}" for name in "12345"}
    fireworks = [found["fw_id"] for found in launchpad.fireworks.find().limit(6)]
    for name, owner in {"1": "small", "2": "small", "3": "other", "4": None}.items():
        folders[name].mkdir(parents=True)
        if owner:
            (folders[name] / "FW.json").write_text(json.dumps({"spec": {"campaign_name": owner}}))
    elsewhere = tmp_path / "elsewhere" / folders["5"].name
    elsewhere.mkdir(parents=True)
    (elsewhere / "FW.json").write_text(json.dumps({"spec": {"campaign_name": "small"}}))
    folders["5"].symlink_to(elsewhere)
    (folders["1"] / "link").symlink_to(elsewhere)
    (home / "worker-12-1.log").write_text("log")
    places = [*folders.values(), tmp_path]
    for number, (fw_id, place) in enumerate(zip(fireworks, places, strict=True), start=1):
        launchpad.launches.insert_one({"launch_id": number, "fw_id": fw_id, "launch_dir": str(place)})
    said = run("delete", "small", "--files", "--yes")
    assert "2 launch folders" in said
    assert not folders["1"].exists()
    assert not folders["2"].exists()
    for name, why in {"3": "FW.json in it is of other", "4": "no FW.json", "5": "a symbolic link"}.items():
        assert folders[name].is_dir()
        assert why in said
    assert f"{tmp_path}: others may work there" in said
    assert (elsewhere / "FW.json").exists()


def test_the_folder_of_campaign_run_goes_with_its_last_launch_folder(store, launchpad, small_spec, tmp_path, run):
    start_campaign(store, launchpad, small_spec())
    home = tmp_path / "runs" / "small"
    folder = home / "launcher_2026-12-01-10-00-00-000001"
    folder.mkdir(parents=True)
    (folder / "FW.json").write_text(json.dumps({"spec": {"campaign_name": "small"}}))
    for name in ("worker-12-1.log", "ray-token", "ray-dashboard"):
        (home / name).write_text("of a run that was killed")
    entry = {"_id": "1.1", "campaign": "small", "directory": str(folder / "calculation_0123456789ab")}
    store.attempts.insert_one(entry)
    run("delete", "small", "--files", "--yes")
    assert not home.exists()
    assert home.parent.exists()


def test_a_campaign_whose_workflows_were_deleted_with_lpad_is_not_burnt(store, launchpad, tmp_path, run):
    """The FireWorks user's way of giving up: `lpad delete_wflows -q '{"metadata.campaign": ...}'`."""
    file = write_campaign(tmp_path / "heusler.yaml", name="heusler")

    def submit():
        return run("submit", file, "--engine-elsewhere")

    submit()
    number = launchpad.workflows.count_documents({})
    first = [workflow["nodes"][0] for workflow in launchpad.workflows.find({"metadata.campaign": "heusler"})]
    for _ in range(2):
        for fw_id in [node["nodes"][0] for node in launchpad.workflows.find()]:
            launchpad.delete_wf(fw_id)
        for said in (submit(), run("reconcile", "heusler"), run("status", "heusler")):
            assert f"the campaign waits for {number} deleted workflow" in said
            assert "`campaign reconcile heusler --resubmit` submits them again" in said
            assert "`campaign delete heusler` deletes the campaign" in said
        run("reconcile", "heusler", "--resubmit")
        assert launchpad.workflows.count_documents({}) == number
    assert "no problems found" in run("verify", "heusler")
    for fw_id in [node["nodes"][0] for node in launchpad.workflows.find()]:
        launchpad.delete_wf(fw_id)
    run("delete", "heusler", "--yes")
    assert counts(store) == {}
    assert "candidates added" in submit()
    assert launchpad.workflows.count_documents({}) == number
    assert min(workflow["nodes"][0] for workflow in launchpad.workflows.find()) > max(first)
    assert "no problems found" in run("verify", "heusler")

"""What earlier versions have stored is read: campaigns show the same and go on, models predict the same."""

import json
import os
import shutil
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest
from old_formats.restore import FOLDER, HOST, OLD_FORMATS, restore
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.store.campaigns import Campaign, OpenCampaign, SchemaVersionError
from campaign.store.collections import CampaignStore
from campaign.store.migration import migrate
from esnet.bundle.bundle import Bundle
from esnet.dataset.dataset import Dataset
from launchers.database.settings import DatabaseSettings

BIN = Path(sys.executable).parent
LIMIT_S = 1200
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"}

#: What must be as it was, by its names in the stored outputs and in those of the code under test.
ROW = {name: name for name in ("id", "formula", "prototype", "decision", "stable")}
ROW_ENERGIES = {name: name for name in ("e_form_ml", "e_hull_ml", "e_form_dft", "e_hull_dft")}
#: Columns of `campaign results` that came later.
ADDED = (
    *("corrections", "dos_changed", "state", "uncertainty", "novel", "chemsys", "n_sites", "reason", "space_group"),
    *("space_group_number", "relaxed_space_group", "relaxed_space_group_number", "decomposition", "name"),
    *("columns", "structure", "relaxed_structure", "reused_from"),
    *("e_form_raw", "e_hull_raw", "recalibration", "e_form_prefilter", "e_hull_prefilter", "parts", "near_threshold"),
)
TOLD = ("state", "decision.outcome", "decision.audit", "decision.rank", "decision.promoted", "result.stable")
TOLD_ENERGIES = ("prediction.e_form", "prediction.e_hull", "prediction.uncertainty", "result.e_form", "result.e_hull")


class OldCampaign:
    """A stored database put back, and the commands on it."""

    def __init__(self, folder, launchpad_file, what):
        self.folder, self.launchpad_file = folder, launchpad_file
        for path in OLD_FORMATS.glob("*.yaml"):
            shutil.copy(path, folder)
        unpack_bundle(folder)
        self.settings = DatabaseSettings.from_file(launchpad_file)
        # the processes of the ledger were on this host, and have ended since
        path = OLD_FORMATS / f"{what}.jsonl.gz"
        self.counts = restore(self.settings.database(), path, host=socket.gethostname(), folder=folder)

    def say(self, *words):
        done = subprocess.run(
            [BIN / "campaign", *words],
            cwd=self.folder,
            # the model comes out of the database, not out of a cache
            env=ENVIRONMENT | {"XDG_CACHE_HOME": str(self.folder / "cache")},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def say_here(self, *words):
        """Call a command in this process: a new one takes longer to begin than the command does."""
        words = [*words, "--launchpad", str(self.launchpad_file)]
        result = CliRunner().invoke(app, words, env={"XDG_CACHE_HOME": str(self.folder / "cache")})
        assert result.exit_code == 0, result.output
        return result.stdout

    def migrate(self):
        """Open every campaign for writing, which migrates it."""
        self.say("reconcile", "finished")
        self.say("reconcile", "probable")

    def documents(self):
        database = self.settings.database()
        names = [*database.list_collection_names(filter={"name": {"$not": {"$regex": "chunks$"}}})]
        return {name: sorted(database[name].find(), key=lambda document: str(document["_id"])) for name in names}

    def results(self, name):
        return json.loads(self.say("results", name, "--format", "json"))

    def explanations(self, name):
        ids = [row["id"] for row in self.results(name)]
        return {candidate: json.loads(self.say_here("explain", name, candidate, "--json")) for candidate in ids}

    def stored(self, what):
        text = (OLD_FORMATS / f"{what}.json").read_text()
        return json.loads(text.replace(FOLDER, str(self.folder)).replace(HOST, socket.gethostname()))


@pytest.fixture(scope="module")
def finished(mongo_settings, write_launchpad, tmp_path_factory):
    """The database with two finished campaigns, which tests only read."""
    folder = tmp_path_factory.mktemp("old_finished")
    file = write_launchpad(folder, port=mongo_settings.seeds[0][1], name=f"test_{uuid.uuid4().hex[:12]}")
    old = OldCampaign(folder, file, "finished")
    old.migrate()
    yield old
    with mongo_settings.client() as client:
        client.drop_database(DatabaseSettings.from_file(file).name)


@pytest.fixture
def bundle(tmp_path):
    return Bundle.load(unpack_bundle(tmp_path))


@pytest.fixture(scope="module")
def predictions():
    return json.loads((OLD_FORMATS / "predictions.json").read_text())


def unpack_bundle(folder):
    shutil.unpack_archive(OLD_FORMATS / "bundle.tar.xz", folder, filter="data")
    return folder / "bundle"


def near(value, tolerance):
    """Copy of JSON that equals another one whose numbers differ by so much."""
    if isinstance(value, dict):
        return {key: near(part, tolerance) for key, part in value.items()}
    if isinstance(value, list):
        return [near(part, tolerance) for part in value]
    return pytest.approx(value, rel=tolerance, abs=tolerance) if isinstance(value, float) else value


def part_of(told, path):
    for key in path.split("."):
        told = (told or {}).get(key)
    return told


def assert_same_rows(found, stored, *, tolerance):
    """Rows may change places where their energies are equal within the tolerance."""
    by_id = {row["id"]: row for row in found}
    assert len(by_id) == len(stored)
    for row in stored:
        now = by_id[row["id"]]
        assert [now[name] for name in ROW.values()] == [row[name] for name in ROW]
        assert [now[name] for name in ROW_ENERGIES.values()] == near([row[name] for name in ROW_ENERGIES], tolerance)


#: Names of version 0.1, and what they are called in documents now.
RENAMED = {
    "prediction.e_form": "prediction.e_form_per_atom",
    "prediction.e_hull": "prediction.e_above_hull",
    "result.e_form": "result.e_form_per_atom",
    "result.e_hull": "result.e_above_hull",
}


def assert_same_told(found, stored, *, tolerance):
    assert found.keys() == stored.keys()
    for candidate, then in stored.items():
        now = found[candidate]
        assert [part_of(now, path) for path in TOLD] == [part_of(then, path) for path in TOLD], candidate
        energies = near([part_of(then, path) for path in TOLD_ENERGIES], tolerance)
        assert [part_of(now, RENAMED.get(path, path)) for path in TOLD_ENERGIES] == energies, candidate


@pytest.fixture
def unmigrated(mongo_settings, write_launchpad, tmp_path):
    file = write_launchpad(tmp_path, port=mongo_settings.seeds[0][1], name=f"test_{uuid.uuid4().hex[:12]}")
    yield OldCampaign(tmp_path, file, "finished")
    with mongo_settings.client() as client:
        client.drop_database(DatabaseSettings.from_file(file).name)


@pytest.mark.mongo
def test_a_second_migration_changes_nothing_and_one_that_was_cut_short_is_completed(unmigrated):
    store, launchpad = CampaignStore(unmigrated.settings.database()), unmigrated.settings.launchpad()
    OpenCampaign.open(store, launchpad, "finished")
    once = unmigrated.documents()
    assert migrate(store, "finished") is False
    assert unmigrated.documents() == once
    # killed before the campaign's own document was written: all others are left as they are
    store.campaigns.update_one({"_id": "finished"}, {"$set": {"schema_version": 1}})
    assert migrate(store, "finished") is True
    assert unmigrated.documents() == once
    for document in store.candidates.find({"campaign": "finished"}):
        old = {"dos", "failure", "last_failure", "uncorrectable", "earlier_predictions", "earlier_decisions"}
        assert not old & document.keys()
        assert document["schema_version"] == 2
    assert store.candidates.find_one({"campaign": "probable"})["schema_version"] == 1  # not opened


@pytest.mark.mongo
def test_an_old_campaign_is_not_read_half_understood(unmigrated):
    store, launchpad = CampaignStore(unmigrated.settings.database()), unmigrated.settings.launchpad()
    before = unmigrated.documents()
    for look in (
        lambda: Campaign.read(store, "finished"),
        lambda: OpenCampaign.open(store, launchpad, "finished", dry_run=True),
    ):
        with pytest.raises(SchemaVersionError, match="campaign reconcile finished"):
            look()
    assert unmigrated.documents() == before


@pytest.mark.mongo
@pytest.mark.parametrize("name", ["finished", "probable"])
def test_results_of_an_old_campaign_are_the_same(finished, name):
    # version 0.1 said neither which corrections its energies contain nor whether a DOS ran with changed settings
    unknown_then = {"corrections": None, "dos_changed": None, "reused_from": None}
    found = finished.results(name)
    assert all(set(row) <= {*ROW, *ROW_ENERGIES, *ADDED, "rank", "cpu_s"} for row in found)
    stored = [{**row, **unknown_then} for row in finished.stored(f"{name}_results")]
    # energies are rounded to 1e-6 eV/atom
    assert [{key: row[key] for key in stored[0]} for row in found] == near(stored, 1e-6)


@pytest.mark.mongo
@pytest.mark.parametrize("name", ["finished", "probable"])
def test_an_old_campaign_explains_its_decisions_and_makes_them_again(finished, name):
    found, stored = finished.explanations(name), finished.stored(f"{name}_explanations")
    assert_same_told(found, stored, tolerance=1e-9)
    for candidate, then in stored.items():
        now = found[candidate]
        assert now["final_failure"] == then["failure"]
        assert now["made_again"] == then["made_again"]
        for key, old, what in (("history", "history", "state"), ("previous_decisions", "earlier_decisions", "reason")):
            assert [one[what] for one in now[key]] == [one[what] for one in then[old]]


@pytest.mark.mongo
@pytest.mark.parametrize("command", ["metrics", "budget", "failures"])
def test_what_other_commands_say_of_an_old_campaign_is_the_same(finished, command):
    found, stored = json.loads(finished.say(command, "finished", "--json")), finished.stored(f"finished_{command}")
    for failure in [*found, *stored] if command == "failures" else []:
        del failure["lines"]  # of launch directories, which are not here
        del failure["advice"]  # the program's present words, not what the campaign's documents say
    if command == "metrics":  # what persons and a prefilter decide, which came later
        later = [found["candidates"].pop(key) for key in ("by_person", "person_stable", "rejected_by_person")]
        later += [found["audit"]["counts"].pop(key) for key in ("known_stable", "known_unstable")]
        later += [found["candidates"].pop("before_dos"), found["costs"].pop("c_prefilter")]
        assert later == [0] * 7
        assert found["costs"].pop("dos_share") == 1
        assert found.pop("has_audit") is True
    assert found == near(stored, 1e-9)


@pytest.mark.mongo
def test_the_status_and_the_report_of_an_old_campaign_are_shown(finished):
    assert "finished" in finished.say("status", "finished")
    finished.say("report", "finished", "--output", "report.html")
    assert (finished.folder / "report.html").stat().st_size > 100_000


@pytest.mark.mongo
def test_the_old_campaign_file_is_read_and_means_the_same_campaign(finished):
    for name in ("finished", "probable"):
        assert "nothing was added" in finished.say("submit", f"{name}.yaml")


@pytest.mark.mongo
def test_an_old_campaign_gives_the_same_data_set(finished, predictions):
    finished.say("dataset", "finished", "again")
    again, old = (Dataset.open(path) for path in (finished.folder / "again", OLD_FORMATS / "dataset"))
    assert again.ids == old.ids
    assert np.array_equal(again.energies, old.energies)
    assert np.array_equal(again.read(again.indices()), old.read(old.indices()))


@pytest.mark.mongo
@pytest.mark.gpaw
@pytest.mark.ray
@pytest.mark.long
def test_an_old_campaign_that_was_killed_half_way_goes_on_to_the_same_end(launchpad_file, tmp_path):
    campaign = OldCampaign(tmp_path, launchpad_file, "half_way")
    store, launchpad = CampaignStore(campaign.settings.database()), campaign.settings.launchpad()
    OpenCampaign.open(store, launchpad, "half-way")  # migrates, and repairs nothing
    assert "run again" in campaign.say("reconcile", "half-way", "--dry-run")
    campaign.say("run", "half_way.yaml", "--workers", "2")
    assert_same_rows(campaign.results("half-way"), campaign.stored("half_way_results"), tolerance=1e-4)
    assert_same_told(campaign.explanations("half-way"), campaign.stored("half_way_explanations"), tolerance=1e-4)
    assert "nothing to repair" in campaign.say("reconcile", "half-way")


@pytest.mark.keras
def test_an_old_bundle_predicts_the_same(bundle, predictions):
    dataset = Dataset.open(OLD_FORMATS / "dataset")
    samples = dataset.samples(dataset.indices())
    assert bundle.checksum == predictions["bundle"]
    assert bundle.predict(samples.dos, samples.compositions) == pytest.approx(predictions["predicted"], abs=1e-5)
    assessed = bundle.assess(samples.dos, samples.compositions)
    assert assessed.uncertainty == pytest.approx(predictions["uncertainty"], abs=1e-5)
    assert assessed.spread == pytest.approx(predictions["spread"], abs=1e-5)


def test_an_old_data_set_holds_the_same(predictions):
    dataset = Dataset.open(OLD_FORMATS / "dataset")
    samples = dataset.samples(dataset.indices())
    assert dataset.checksum == predictions["dataset"]
    assert list(samples.ids) == predictions["ids"]
    assert list(dataset.kinds) == predictions["kinds"]
    assert samples.energies.tolist() == predictions["energies"]
    assert samples.dos.sum(axis=(1, 2, 3), dtype=float) == pytest.approx(predictions["dos_sums"], rel=1e-12)

"""`campaign verify` finds nothing wrong in campaigns that are whole, and names each kind of damage."""

import json
import os
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from old_formats.restore import OLD_FORMATS, restore
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.recovery.reconcile import reconcile
from campaign.running_campaign import start_campaign
from campaign.store.campaigns import OpenCampaign
from campaign.store.collections import CampaignStore
from campaign.store.migration import migrate
from campaign.verification.verify import verify
from launchers.database.settings import DatabaseSettings
from workflows.identity import job_uuid

pytestmark = pytest.mark.mongo
NAME = "finished"
PROGRAMS = ("campaign", "lpad", "mongorestore")
#: Large, and the same before and after: damage to them is undone by the tests that do it.
LEFT_ALONE = ("bundles.chunks",)


class Stored:
    """A real campaign at its end, with everything that FireWorks and jobflow have kept of it, to be damaged."""

    def __init__(self, file, what):
        self.file = file
        self.settings = DatabaseSettings.from_file(file)
        self.launchpad = self.settings.launchpad(strm_lvl="ERROR")
        self.db = self.launchpad.db
        self.store = CampaignStore(self.db)
        restore(self.db, OLD_FORMATS / f"{what}.jsonl.gz", host=socket.gethostname(), folder=file.parent)
        for campaign in self.store.campaigns.distinct("_id"):
            migrate(self.store, campaign)
        names = [name for name in self.db.list_collection_names() if name not in LEFT_ALONE]
        self.whole = {name: list(self.db[name].find()) for name in names}

    def mend(self):
        for name, documents in self.whole.items():
            self.db[name].delete_many({})
            if documents:
                self.db[name].insert_many(documents)

    def findings(self, name=NAME, **options):
        campaign = OpenCampaign.open(self.store, self.launchpad, name, dry_run=True)
        return verify(campaign, lambda: reconcile(campaign, dry_run=True), pause_s=0.0, **options).findings

    def command(self, *words):
        return CliRunner().invoke(app, ["verify", *words, "--launchpad", str(self.file)])

    def documents(self):
        return {name: sorted(self.db[name].find(), key=lambda found: str(found["_id"])) for name in self.whole}

    def running(self):
        """A document of which a calculation runs, and the field of that calculation."""
        for collection in self.store.structures:
            for state, field in (("relax_running", "relaxation"), ("dos_running", "is_dos")):
                if found := collection.find_one({"state": state}):
                    return found, field
        raise AssertionError("nothing runs")

    def candidate(self, **query):
        found = self.store.candidates.find_one({"campaign": NAME, **query})
        assert found is not None, query
        return found

    def set(self, collection, query, **changes):
        assert self.db[collection].update_one(query, {"$set": changes}).modified_count == 1


@pytest.fixture(scope="module")
def stored_once(mongo_settings, write_launchpad, tmp_path_factory):
    folder = tmp_path_factory.mktemp("verified")
    file = write_launchpad(folder, port=mongo_settings.seeds[0][1], name=f"test_{uuid.uuid4().hex[:12]}")
    stored = Stored(file, "finished")
    yield stored
    stored.launchpad.connection.drop_database(stored.settings.name)


@pytest.fixture
def stored(stored_once):
    stored_once.mend()
    return stored_once


@pytest.fixture(scope="module")
def half_way_once(mongo_settings, write_launchpad, tmp_path_factory):
    folder = tmp_path_factory.mktemp("verified_half_way")
    file = write_launchpad(folder, port=mongo_settings.seeds[0][1], name=f"test_{uuid.uuid4().hex[:12]}")
    stored = Stored(file, "half_way")
    yield stored
    stored.launchpad.connection.drop_database(stored.settings.name)


@pytest.fixture
def half_way(half_way_once):
    half_way_once.mend()
    return half_way_once


@pytest.mark.parametrize("name", ["finished", "probable"])
def test_nothing_is_wrong_in_a_real_campaign_at_its_end(stored, name):
    assert stored.findings(name, read_features=True) == []


def test_nothing_is_wrong_in_a_campaign_that_has_just_begun(store, launchpad, small_spec):
    start_campaign(store, launchpad, small_spec())
    campaign = OpenCampaign.open(store, launchpad, "small", dry_run=True)
    found = verify(campaign, lambda: reconcile(campaign, dry_run=True), pause_s=0.0)
    assert found.findings == []
    assert found.looked_at["candidates"] == 3
    assert found.looked_at["fireworks"] == 2 * found.looked_at["workflows"] > 0


def test_the_command_says_what_it_looked_at_and_ends_with_0(stored):
    said = stored.command(NAME)
    assert said.exit_code == 0, said.output
    assert "checked 8 candidates, 2 references, 25 attempts, 5 steps" in said.output
    assert "no problems found" in said.output


def test_the_command_names_what_is_wrong_with_its_remedy_ends_with_1_and_writes_nothing(stored):
    relaxed = stored.candidate(state="relaxed")["_id"]
    stored.store.features.delete_one({"_id": f"{relaxed}:rs_dos"})
    before = stored.documents()
    said = stored.command(NAME)
    assert said.exit_code == 1
    assert f"{relaxed}:rs_dos: its DOS is done, and its features are not there" in said.output
    assert "remedy: campaign reconcile finished" in said.output
    answer = stored.command(NAME, "--json")
    assert answer.exit_code == 1
    content = json.loads(answer.stdout)
    assert (content["ok"], content["looked_at"]["features"]) == (False, 11)
    (finding,) = content["findings"]
    assert finding["subject"] == f"{relaxed}:rs_dos"
    assert set(finding) == {"check", "subject", "problem", "remedy"}
    assert stored.documents() == before


def test_what_is_wrong_for_a_moment_only_is_not_reported(stored):
    """The ledger of a Screen is closed after the Screen: between the two it looks wrong."""
    step = stored.store.steps.find_one({"campaign": NAME, "kind": "screen"})
    entry = {"fw_id": step["fw_id"], "outcome": "completed"}
    stored.set("attempts", entry, outcome="running")
    looks = []

    def repairs():
        looks.append(stored.store.attempts.update_one({"fw_id": step["fw_id"]}, {"$set": {"outcome": "completed"}}))
        return reconcile(campaign, dry_run=True)

    campaign = OpenCampaign.open(stored.store, stored.launchpad, NAME, dry_run=True)
    first = stored.findings()
    assert step["_id"] in {finding.subject for finding in first}
    calls = iter([lambda: reconcile(campaign, dry_run=True), repairs])
    assert verify(campaign, lambda: next(calls)(), pause_s=0.0).findings == []
    assert len(looks) == 1


@pytest.mark.parametrize("words", [("no-such-campaign",), (NAME, "--no-such-option"), ()])
def test_a_wrong_call_ends_with_2(stored, words):
    done = subprocess.run(
        [Path(sys.executable).parent / "campaign", "verify", *words, "--launchpad", str(stored.file)],
        cwd=stored.file.parent,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


# ---- one kind of damage each; returned: the subject that must be named


def unknown_state(stored):
    name = stored.candidate(state="relaxed")["_id"]
    stored.set("candidates", {"_id": name}, state="relaxd")
    return name


def state_without_its_move(stored):
    name = stored.candidate(state="relaxed", role="bootstrap")["_id"]
    stored.set("candidates", {"_id": name}, state="relax_failed", final_failure={"stage": "relax", "kind": "science"})
    return name


def failed_without_a_reason(stored):
    name = stored.candidate(state="relax_failed")["_id"]
    stored.set("candidates", {"_id": name}, final_failure=None)
    return name


def lost_energy(stored):
    name = stored.candidate(state="relaxed")["_id"]
    stored.db.candidates.update_one({"_id": name}, {"$unset": {"relaxation.energy": ""}})
    return name


def lost_structure(stored):
    name = stored.candidate(state="relaxed")["_id"]
    stored.db.candidates.update_one({"_id": name}, {"$unset": {"relaxation.structure": ""}})
    return name


def lost_candidate(stored):
    found = stored.candidate(role="screened")
    stored.db.candidates.delete_one({"_id": found["_id"]})
    return f"batch {found['batch']}"


def features_of_nobody(stored):
    document = stored.store.features.find_one({"campaign": NAME})
    stored.store.features.insert_one({**document, "_id": "nobody:dos", "document": "nobody"})
    return "nobody:dos"


def doubled_attempt(stored):
    entry = stored.store.attempts.find_one({"campaign": NAME, "stage": "relax", "outcome": "completed"})
    stored.store.attempts.insert_one({**entry, "_id": "900001.1", "fw_id": 900001})
    return f"{entry['document']} (relaxation)"


def lost_attempt(stored):
    entry = stored.store.attempts.find_one({"campaign": NAME, "stage": "dos", "outcome": "completed"})
    stored.set("attempts", {"_id": entry["_id"]}, outcome="lost")
    return f"{entry['document']} (IS-DOS)"


def open_attempt(stored):
    entry = stored.store.attempts.find_one({"campaign": NAME, "stage": "relax", "outcome": "lost"})
    stored.set("attempts", {"_id": entry["_id"]}, outcome="running")
    return f"attempt {entry['_id']}"


def attempt_of_nobody(stored):
    entry = stored.store.attempts.find_one({"campaign": NAME, "stage": "relax", "outcome": "lost"})
    stored.set("attempts", {"_id": entry["_id"]}, document="nobody")
    return f"attempt {entry['_id']}"


def other_total(stored):
    stored.set("campaigns", {"_id": NAME}, **{"summary.cpu_s.relax": 1.0})
    return "summary.cpu_s.relax"


def step_done_twice(stored):
    entry = stored.store.attempts.find_one({"campaign": NAME, "stage": "train", "outcome": "completed"})
    stored.store.attempts.insert_one({**entry, "_id": f"{entry['fw_id']}.99"})
    return f"{NAME}/train"


def live_after_the_end(stored):
    firework = stored.db.fireworks.find_one({"spec.campaign_name": NAME})
    stored.set("fireworks", {"_id": firework["_id"]}, state="PAUSED")
    return f"firework {firework['fw_id']}"


def two_live_workflows(stored):
    fw_id = stored.candidate(state="relaxed")["relaxation"]["fw_id"]
    workflow = stored.db.workflows.find_one({"nodes": fw_id})
    for new, of in ((800001, fw_id), (800002, fw_id)):
        firework = stored.db.fireworks.find_one({"fw_id": of}, {"_id": 0})
        stored.db.fireworks.insert_one({**firework, "fw_id": new, "state": "READY"})
        copied = {key: value for key, value in workflow.items() if key != "_id"}
        stored.db.workflows.insert_one({**copied, "nodes": [new]})
    return f"{workflow['metadata']['document']} (relax)"


def firework_of_nobody(stored):
    firework = stored.db.fireworks.find_one({"spec.campaign_name": NAME, "spec.stage": "relax"})
    stored.set("fireworks", {"_id": firework["_id"]}, **{"spec.document": "nobody"})
    return f"firework {firework['fw_id']}"


def workflow_without_fireworks(stored):
    workflow = stored.db.workflows.find_one({"metadata.campaign": NAME, "metadata.stage": "relax"})
    stored.db.fireworks.delete_many({"fw_id": {"$in": workflow["nodes"]}})
    return f"workflow of firework {min(workflow['nodes'])}"


def firework_without_workflow(stored):
    workflow = stored.db.workflows.find_one({"metadata.campaign": NAME, "metadata.stage": "relax"})
    stored.db.workflows.delete_one({"_id": workflow["_id"]})
    return f"firework {workflow['nodes'][0]}"


def turned_decision(stored):
    found = stored.candidate(**{"decision.outcome": "promoted", "decision.audit": False})
    stored.set("candidates", {"_id": found["_id"]}, **{"decision.outcome": "rejected", "decision.promoted": False})
    return found["_id"]


def other_prediction(stored):
    found = stored.candidate(decision={"$exists": True})
    stored.set("candidates", {"_id": found["_id"]}, **{"prediction.e_form_per_atom": 5.0})
    return found["_id"]


def both_changed_so_that_the_policy_would_say_no(stored):
    found = stored.candidate(**{"decision.outcome": "promoted", "decision.audit": False})
    changes = {"prediction.e_form_per_atom": 25.0, "decision.inputs.e_form_per_atom": 25.0}
    stored.set("candidates", {"_id": found["_id"]}, **changes)
    return found["_id"]


def other_policy(stored):
    found = stored.candidate(decision={"$exists": True})
    stored.set("candidates", {"_id": found["_id"]}, **{"decision.policy.max_hull_energy": -3.0})
    return found["_id"]


def not_drawn(stored):
    found = stored.candidate(**{"decision.outcome": "promoted", "decision.audit": False})
    changes = {"decision.outcome": "rejected", "decision.promoted": False, "decision.audit": True}
    stored.set("candidates", {"_id": found["_id"]}, **changes)
    return found["_id"]


def decision_by_no_step(stored):
    found = stored.candidate(decision={"$exists": True})
    stored.set("candidates", {"_id": found["_id"]}, **{"decision.step": "finished/screen/77"})
    return found["_id"]


def decision_without_prediction(stored):
    found = stored.candidate(decision={"$exists": True})
    stored.set("candidates", {"_id": found["_id"]}, prediction=None)
    return found["_id"]


def stable_turned(stored):
    found = stored.candidate(state="relaxed")
    stored.set("candidates", {"_id": found["_id"]}, **{"result.stable": not found["result"]["stable"]})
    return found["_id"]


def other_energy(stored):
    found = stored.candidate(state="relaxed")
    stored.set("candidates", {"_id": found["_id"]}, **{"relaxation.energy": found["relaxation"]["energy"] + 0.01})
    return found["_id"]


def result_lost(stored):
    found = stored.candidate(state="relaxed")
    stored.db.candidates.update_one({"_id": found["_id"]}, {"$unset": {"result": ""}})
    return found["_id"]


def against_another_set(stored):
    found = stored.candidate(state="relaxed")
    stored.set("candidates", {"_id": found["_id"]}, **{"result.reference_set": 64 * "0"})
    return found["_id"]


def altered_reference_set(stored):
    checksum = stored.store.campaigns.find_one({"_id": NAME})["reference_set"]
    stored.set("reference_sets", {"_id": checksum}, **{"entries.0.energy": -99.0})
    return checksum[:12]


def lost_reference_set(stored):
    checksum = stored.store.campaigns.find_one({"_id": NAME})["reference_set"]
    stored.db.reference_sets.delete_one({"_id": checksum})
    return checksum[:12]


def second_reference_set(stored):
    stored.db.reference_sets.insert_one({"_id": 64 * "b", "campaign": NAME, "entries": []})
    return 12 * "b"


def lost_model(stored):
    checksum = stored.store.campaigns.find_one({"_id": NAME})["model"]["checksum"]
    stored.db.models.delete_one({"_id": checksum})
    return checksum[:12]


def lost_bundle(stored):
    checksum = stored.store.campaigns.find_one({"_id": NAME})["model"]["checksum"]
    stored.db["bundles.files"].delete_one({"_id": stored.db.models.find_one({"_id": checksum})["file"]})
    return checksum[:12]


def relaxations_above_the_budget(stored):
    budget = stored.store.campaigns.find_one({"_id": NAME})["budget"] | {"relaxations": 0}
    changes = {"spec.budget": budget, "budget": budget, "budget_history": []}
    stored.set("campaigns", {"_id": NAME}, **changes)
    return "budget.relaxations"


def begun_after_the_last_cpu_hour(stored):
    budget = {"cpu_hours": 1e-6}
    stored.set("campaigns", {"_id": NAME}, **{"spec.budget": budget, "budget": budget, "budget_history": []})
    return "budget.cpu_hours"


def output_lost(stored):
    found = stored.candidate(state="relaxed")
    job = job_uuid(f"{found['_id']}:relax:{found['relaxation']['attempt']}:relaxation")
    assert stored.db.outputs.delete_one({"uuid": job}).deleted_count == 1
    return f"{found['_id']} (relaxation): relaxation"


def output_twice(stored):
    found = stored.candidate(state="relaxed")
    job = job_uuid(f"{found['_id']}:relax:{found['relaxation']['attempt']}:relaxation")
    output = stored.db.outputs.find_one({"uuid": job}, {"_id": 0})
    stored.db.outputs.insert_one(output)
    return f"{found['_id']} (relaxation): relaxation"


def chunk_lost(stored):
    found = stored.candidate(**{"is_dos.features": {"$exists": True}, "state": "relaxed"})
    job = job_uuid(f"{found['_id']}:dos:{found['is_dos']['attempt']}:static")
    file = stored.db["data.files"].find_one({"metadata.job_uuid": job})
    assert stored.db["data.chunks"].delete_one({"files_id": file["_id"]}).deleted_count == 1
    return f"{found['_id']} (IS-DOS): static, in GridFS"


DAMAGE = [
    *(unknown_state, state_without_its_move, failed_without_a_reason, lost_energy, lost_structure, lost_candidate),
    *(features_of_nobody, doubled_attempt, lost_attempt, open_attempt, attempt_of_nobody, other_total),
    *(step_done_twice, live_after_the_end, two_live_workflows, firework_of_nobody, workflow_without_fireworks),
    *(firework_without_workflow, turned_decision, other_prediction, both_changed_so_that_the_policy_would_say_no),
    *(other_policy, not_drawn, decision_by_no_step, decision_without_prediction, stable_turned, other_energy),
    *(result_lost, against_another_set, altered_reference_set, lost_reference_set, second_reference_set),
    *(lost_model, lost_bundle, relaxations_above_the_budget, begun_after_the_last_cpu_hour),
    *(output_lost, output_twice, chunk_lost),
]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_damage_is_named_with_a_remedy(stored, damage):
    subject = damage(stored)
    found = [finding for finding in stored.findings() if finding.subject == subject]
    assert found, stored.findings()
    assert all(finding.problem and finding.remedy.split()[0] in PROGRAMS for finding in found)


def test_the_content_of_features_is_looked_at_when_asked(stored):
    document = stored.store.features.find_one({"campaign": NAME})
    stored.set("features", {"_id": document["_id"]}, data=document["data"][:-1] + b"x")
    assert stored.findings() == []
    (found,) = stored.findings(read_features=True)
    assert found.subject == document["_id"]
    assert "SHA-256" in found.problem


# ---- a campaign under way


def test_a_killed_process_is_stuck_until_reconcile(half_way):
    findings = half_way.findings("half-way")
    assert findings
    assert {finding.remedy for finding in findings} == {"campaign reconcile half-way"}, findings


@pytest.mark.parametrize(
    ("state", "said", "remedy"),
    [
        (None, "deleted", "campaign reconcile half-way --resubmit"),
        ("ARCHIVED", "archived", "campaign reconcile half-way --resubmit --archived"),
        ("DEFUSED", "defused", "campaign reconcile half-way --resubmit --defused"),
        ("FIZZLED", "over", "campaign reconcile half-way"),
    ],
)
def test_what_is_taken_out_of_fireworks_is_named(half_way, state, said, remedy):
    document, stage = half_way.running()
    fw_ids = [document[stage]["fw_id"], document[stage]["record_fw_id"]]
    if state is None:
        half_way.db.workflows.delete_many({"nodes": fw_ids[0]})
        half_way.db.fireworks.delete_many({"fw_id": {"$in": fw_ids}})
    else:
        half_way.db.fireworks.update_many({"fw_id": {"$in": fw_ids}}, {"$set": {"state": state}})
    found = [each for each in half_way.findings("half-way") if each.subject.startswith(document["_id"])]
    # one command as it is to be typed; whatever else there is to say stands in brackets after it
    assert any(said in finding.problem and remedy == finding.remedy.split(" (")[0] for finding in found), found

"""A campaign that waits for a failed reference says so with one reason and one command, at every door."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from prepared import relax_references
from typer.testing import CliRunner

from campaign.api import open_campaign
from campaign.attempts.failures import ScienceFailureError
from campaign.attempts.ledger import attempt
from campaign.attempts.suited_settings import SUITED, suited_settings
from campaign.cli.app import app
from campaign.notify.message import stuck_message
from campaign.recovery.recording import record_and_advance
from campaign.running_campaign import RunningCampaign, start_campaign
from campaign.store.campaigns import Campaign
from campaign.store.states import STAGES
from campaign.views.report.html import first_screen_html, state_word
from campaign.views.status.counts import campaign_status
from campaign.views.status.report import status_report
from launchers.cluster.launch_files import write_new
from launchers.cluster.site import CATEGORIES, SiteSettings

ROOT = Path(__file__).resolve().parents[2]
RELAX = STAGES["relax"]
UNCONVERGED = "custodian:Unconverged"


@pytest.fixture
def run(launchpad_file, tmp_path, monkeypatch):
    """Function that calls `campaign` with these words; returns what it prints in one line, JSON as objects."""
    monkeypatch.chdir(tmp_path)

    def call(*words, rc=0):
        done = CliRunner().invoke(
            app, [*words, "--launchpad", str(launchpad_file)], env={"COLUMNS": "200"}, catch_exceptions=False
        )
        assert done.exit_code == rc, done.output
        return json.loads(done.stdout) if "--json" in words else " ".join(done.output.split())

    return call


def fail(store, launchpad, database, label, *, error=None):
    """Let the relaxation of a reference fail, as its worker does, and its process record that."""
    element = store.references.find_one({"label": label})
    facts = element["relaxation"]
    error = error or ScienceFailureError("did not converge", cause=UNCONVERGED)
    ids = {"campaign": "small", "stage": "relax", "fw_id": facts["fw_id"], "document": element["_id"]}
    with pytest.raises(type(error)), attempt(store, **ids):
        raise error
    launchpad.fireworks.update_one({"fw_id": facts["fw_id"]}, {"$set": {"state": "FIZZLED"}})
    launchpad.fireworks.update_one({"fw_id": facts["record_fw_id"]}, {"$set": {"state": "COMPLETED"}})
    campaign = RunningCampaign.open(store, launchpad, "small")
    record_and_advance(campaign, database, document_id=element["_id"], stage=RELAX, fw_id=facts["record_fw_id"])
    return element["_id"]


@pytest.fixture
def begun(store, launchpad, database, small_spec, tmp_path, monkeypatch):
    """The small campaign, in which the reference Cu has failed while everything else is still to be computed."""
    monkeypatch.chdir(tmp_path)
    start_campaign(store, launchpad, small_spec())
    return fail(store, launchpad, database, "Cu")


@pytest.fixture
def stranded(store, launchpad, begun):
    """The same when everything else has been computed."""
    facts = {"state": "relaxed", "relaxation.energy": -3.0, "relaxation.vasp_version": "6.9.9-gpaw-test"}
    store.references.update_one({"label": "Al"}, {"$set": facts})
    store.candidates.update_many({"role": "bootstrap"}, {"$set": {"state": "relaxed", "relaxation.energy": -1.0}})
    store.candidates.update_many({"role": "screened"}, {"$set": {"state": "dos_done"}})
    launchpad.fireworks.update_many({"state": {"$in": ["READY", "WAITING"]}}, {"$set": {"state": "COMPLETED"}})
    for found in [*store.references.find({"label": "Al"}), *store.candidates.find({"role": "bootstrap"})]:
        store.collection_of(found["_id"]).update_one({"_id": found["_id"]}, {"$set": {"rs_dos.state": "done"}})
    return begun


def command_of(reference):
    return f"campaign retry small --kind {UNCONVERGED} --candidate {reference} --set INCAR.NELM=400"


def type_in(run, command):
    for part in command.split(" && "):
        program, *words = shlex.split(part)
        assert program == "campaign"
        run(*words)


def site(folder, launchpad_file):
    """A cluster whose queues nothing is submitted to, because nothing is ready."""
    queues = {category: {"queue": "cpu"} for category in CATEGORIES}
    content = {"scheduler": "slurm", "launchpad": str(launchpad_file), "launch_directory": str(folder / "runs")}
    write_new(SiteSettings.from_dict({**content, "python": sys.executable, "queues": queues}, origin="x"), folder)
    return str(folder)


@pytest.mark.mongo
def test_every_door_names_the_same_state_reason_and_command(run, store, stranded, launchpad_file, tmp_path):
    command = command_of(stranded)
    reason = f"E_f is empty until the reference Cu is computed: it failed ({UNCONVERGED})"
    said = f"{reason}; `{command}`"
    status = run("status", "small")
    assert "campaign small: blocked" in status
    assert f"blocked {said}" in status
    assert "time left not known while it is blocked" in status
    assert open_campaign("small", launchpad_file).state == "blocked"
    found = run("status", "small", "--json")
    assert found["state"] == "blocked"
    assert (found["blocked"]["reason"], found["blocked"]["command"]) == (reason, command)
    assert [found["time_left"][key] for key in ("hours", "at_least_hours", "cpu_hours")] == [None] * 3
    (finding,) = [each for each in run("verify", "small", "--json", rc=1)["findings"] if "Cu" in each["problem"]]
    assert (finding["problem"], finding["remedy"]) == (f"blocked: {reason}", command)
    assert "nothing of it runs" not in run("verify", "small", rc=1)
    assert run("reconcile", "small") == f"blocked: {said}"
    assert run("reconcile", "--dry-run") == f"small: blocked: {said}"
    store.database.command("profile", 2)
    failures = run("failures", "small")
    store.database.command("profile", 0)
    asked = [str(each["command"].get("filter")) for each in store.database["system.profile"].find({"op": "query"})]
    on_references = [each for each in asked if "elements" in each or "final_failure" in each]
    assert sorted(set(on_references)) == sorted(on_references), "the database is asked twice"
    assert on_references
    assert failures.endswith(f"blocked: {said}")
    assert f"what to do: `{command}`" in failures
    # a process of its own: FireWorks looks for the queue adapter in all its modules, tests included
    words = [Path(sys.executable).parent / "campaign", "cluster", "run", site(tmp_path / "cluster", launchpad_file)]
    done = subprocess.run([*words, "--once"], capture_output=True, text=True, timeout=600)
    rounds = done.stdout + done.stderr
    assert f"small: blocked: {said}" in rounds, rounds
    assert " left" not in rounds
    assert run("results", "small").endswith(f"blocked: {said}")
    assert f"campaign small is blocked: {said}" in run("run", "small", rc=1)
    assert [row["state"] for row in run("list", "--json")] == ["blocked"]
    campaign = Campaign.read(store, "small")
    assert stuck_message(campaign_status(campaign)).text == f"small is blocked: {said}"
    report = status_report(campaign)
    assert state_word(report) == "blocked"
    html = first_screen_html(report, is_live=True)
    assert f"<code>{command}</code>" in html
    assert "CPU-h still to come" not in html


@pytest.mark.mongo
def test_the_command_as_printed_lets_it_go_on(run, store, stranded):
    type_in(run, run("status", "small", "--json")["blocked"]["command"])
    reference = store.references.find_one({"_id": stranded})
    assert reference["state"] == "relax_running"
    assert reference["overrides"][-1]["incar"] == {"NELM": 400}
    found = run("status", "small", "--json")
    assert (found["state"], found["problem"], found["blocked"]) == ("running", None, None)
    assert "blocked" not in run("results", "small") + run("reconcile", "small") + run("list")
    relax_references(store)
    run("reconcile", "small")
    assert Campaign.read(store, "small").reference_set
    assert "E_f is empty" not in run("results", "small")


@pytest.mark.mongo
def test_what_blocks_it_is_named_while_other_calculations_run(run, store, begun):
    said = f"E_f is empty until the reference Cu is computed: it failed ({UNCONVERGED}); `{command_of(begun)}`"
    status = run("status", "small")
    assert "campaign small: running" in status
    assert f"blocked {said}" in status
    assert "nothing is running: start workers" in status
    assert run("status", "small", "--json")["time_left"]["hours"] is None
    assert run("results", "small").endswith(f"blocked: {said}")
    assert run("reconcile", "small") == f"blocked: {said}"
    assert [row["state"] for row in run("list", "--json")] == ["running"]


@pytest.mark.mongo
def test_references_that_are_still_computed_are_named_too(run, store, launchpad, small_spec):
    start_campaign(store, launchpad, small_spec())
    assert "E_f is empty until the references are computed; still to come: Al, Cu" in run("results", "small")
    assert "blocked" not in run("status", "small")


@pytest.mark.mongo
def test_a_second_failure_gets_other_settings_and_several_get_one_command(run, store, launchpad, database, stranded):
    type_in(run, command_of(stranded))
    fail(store, launchpad, database, "Cu")
    command = run("status", "small", "--json")["blocked"]["command"]
    assert command.endswith("--set INCAR.NELM=800")
    # both of one cause and with the same settings, then with other settings, then of two causes
    store.references.update_one({"label": "Cu"}, {"$unset": {"overrides": ""}})
    cu = store.references.find_one({"label": "Cu"})
    al = {"state": "relax_failed", "final_failure": cu["final_failure"], "relaxation": cu["relaxation"]}
    store.references.update_one({"label": "Al"}, {"$set": al})
    found = run("status", "small", "--json")["blocked"]
    assert found["reason"].startswith("E_f is empty until the references Al and Cu are computed: they failed (")
    assert found["command"] == f"campaign retry small --kind {UNCONVERGED} --stage relax --set INCAR.NELM=400"
    store.references.update_one({"label": "Al"}, {"$set": {"final_failure.cause": "timeout"}})
    store.references.update_one({"label": "Al"}, {"$set": {"final_failure.kind": "machine"}})
    assert "; fix the cause, then `campaign retry" in run("results", "small")
    type_in(run, run("status", "small", "--json")["blocked"]["command"])
    assert store.references.distinct("state") == ["relax_running"]


@pytest.mark.mongo
def test_an_element_with_another_phase_does_not_block(run, store, begun):
    other = store.references.find_one({"label": "Cu"}) | {"_id": "other", "label": "Cu2", "state": "relax_running"}
    store.references.insert_one(other)
    assert run("status", "small", "--json")["blocked"] is None


@pytest.mark.mongo
def test_a_campaign_that_stopped_for_the_same_cause_is_resumed_by_its_one_command(run, store, launchpad, stranded):
    store.references.update_one({"label": "Cu"}, {"$set": {"final_failure.cause": "potcar_missing"}})
    store.references.update_one({"label": "Cu"}, {"$set": {"final_failure.kind": "machine"}})
    stop = {"kind": "failures", "cause": "potcar_missing", "number": 3, "error": "no POTCAR"}
    store.campaigns.update_one({"_id": "small"}, {"$set": {"stopped": stop}})
    assert "`campaign resume small`" in run("status", "small")
    assert run("results", "small").endswith("fix the cause, then `campaign resume small`")
    run("resume", "small")
    assert store.references.find_one({"label": "Cu"})["state"] == "relax_running"


@pytest.mark.parametrize("code", sorted(SUITED))
def test_settings_are_those_of_the_documentation_and_accepted(small_spec, code):
    page = (ROOT / "docs" / "reference" / "custodian-codes.md").read_text()
    (row,) = [line for line in page.splitlines() if line.startswith("| `") and f"`{code}`" in line.split("|")[1]]
    settings = suited_settings(f"custodian:{code}", {}, small_spec(dft={"engine": "vasp", "encut": 520}))
    assert settings == [f"INCAR.{word}" for word in SUITED[code]]
    for word in settings:
        assert f"`{word}`" in row.split("|")[4]

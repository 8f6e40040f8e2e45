"""Failures are told apart and explained, and tried again with other settings where these leave energies comparable."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from aluminium import aluminium, calculate
from custodian.custodian import ValidationError
from pymatgen.core import Structure
from typer.testing import CliRunner

from campaign.attempts.causes import failure_cause, stored_cause
from campaign.attempts.failures import ScienceFailureError
from campaign.attempts.ledger import attempt
from campaign.attempts.overrides import OverrideError, parse_overrides
from campaign.attempts.restart import last_geometry
from campaign.cli.app import app
from campaign.recovery.reconcile import reconcile
from campaign.recovery.retry import choose, failed_calculations, retry
from campaign.running_campaign import start_campaign
from campaign.steps.calculate import flow_for
from campaign.steps.record import record_calculation
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.states import STAGES
from campaign.views.failures import failure_kinds
from workflows.engine import EngineCommand

DOS, RELAX = STAGES["dos"], STAGES["relax"]


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("INCAR.ENCUT=600", "ENCUT: refused: energies"),
        ("INCAR.LDAUU=3", "LDAUU: refused: energies"),
        ("INCAR.NEDOS=3000", "NEDOS: refused: it changes the DOS"),
        ("INCAR.ISMEAR=0", "ISMEAR: refused for IS-DOS"),
        ("INCAR.ALGOO=Fast", "ALGOO: is not an INCAR tag; do you mean ALGO"),
        ("INCAR.LOPTICS=True", "LOPTICS: refused: it is not among"),
        ("INCAR.NELM=many", "NELM: found 'many'; right: a number"),
        ("INCAR.ICHARG=11", "vasp-gpaw refuses it"),
        ("walltime=soon", "right: HH:MM:SS"),
        ("memory=much", "right: memory per node"),
        ("nodes=2", "is not a setting"),
    ],
)
def test_a_setting_that_would_spoil_the_comparison_is_refused_by_name(setting, why):
    with pytest.raises(OverrideError, match=why):
        parse_overrides([setting], stages=[DOS], engine="gpaw")


def test_settings_are_read_as_what_they_are():
    found = parse_overrides(
        ["INCAR.ALGO=all", "INCAR.NELM=200", "INCAR.SIGMA=0.1", "walltime=24:00:00", "memory=8G"],
        stages=[RELAX],
        engine="vasp",
    )
    assert found.incar == {"ALGO": "All", "NELM": 200, "SIGMA": 0.1}
    assert found.queue == {"walltime": "24:00:00", "mem": "8G"}


def test_the_cause_of_a_failure_is_taken_from_what_lies_around(tmp_path):
    from custodian.custodian import MaxCorrectionsError, ReturnCodeError

    crash = ReturnCodeError("Job return code is 2. Terminating...", raises=True)
    assert failure_cause(crash, tmp_path) == "engine_crash"
    (tmp_path / "vasp.out").write_text("vasp-gpaw: INCAR: LDAU is refused\nvasp-gpaw: nothing was computed\n")
    assert failure_cause(crash, tmp_path) == "input_refused"
    (tmp_path / "std_err.txt").write_text("forrtl: No space left on device\n")
    (tmp_path / "vasp.out").unlink()
    assert failure_cause(crash, tmp_path) == "disk_full"
    log = [{"corrections": [{"errors": ["zbrent"], "actions": []}, {"errors": ["brmix"], "actions": []}]}]
    (tmp_path / "custodian.json").write_text(json.dumps(log))
    gave_up = MaxCorrectionsError("Max errors reached: 5.", raises=True, max_errors=5)
    assert failure_cause(gave_up, tmp_path) == "custodian:brmix"
    assert failure_cause(ScienceFailureError("no"), tmp_path) == "not_converged"
    assert failure_cause(OSError(28, "No space left on device"), tmp_path) == "disk_full"
    # a ledger of an earlier version
    assert stored_cause({"outcome": "machine", "error": "pymongo.errors.AutoReconnectError: gone"}) == "AutoReconnect"
    assert stored_cause({"outcome": "lost"}) == "killed"


@pytest.fixture
def failed(store, launchpad, database, small_spec, tmp_path, monkeypatch):
    """The small campaign with one IS-DOS that failed permanently, whose directory has a word to say."""
    start_campaign(store, launchpad, small_spec())
    document = store.candidates.find_one({"state": "dos_running"})
    monkeypatch.chdir(tmp_path)
    Path("std_err.txt").write_text("all is well\nERROR FEXCP: supplied Exchange-correletion table\n")
    with (
        pytest.raises(ScienceFailureError),
        attempt(store, campaign="small", stage="dos", fw_id=document["is_dos"]["fw_id"], document=document["_id"]),
    ):
        raise ScienceFailureError("IS-DOS did not converge", cause="custodian:brmix")
    record_calculation(
        Campaign.read(store, "small"),
        database,
        document_id=document["_id"],
        stage=DOS,
        fw_id=document["is_dos"]["record_fw_id"],
    )
    return document


@pytest.mark.mongo
def test_a_failure_is_shown_with_its_last_words_and_an_example_to_type(store, failed):
    (kind,) = failure_kinds(Campaign.read(store, "small"), None)
    assert (kind.stage, kind.kind, kind.cause, kind.attempts, kind.for_good) == (
        "dos",
        "science",
        "custodian:brmix",
        1,
        1,
    )
    assert kind.example == f"{failed['formula']}:{failed['prototype']}"
    assert kind.directory == os.getcwd()
    assert kind.lines == ["std_err.txt: ERROR FEXCP: supplied Exchange-correletion table"]
    assert "custodian" in kind.advice


@pytest.mark.mongo
def test_a_retry_with_other_settings_is_recorded_and_computed_with_them(store, launchpad, failed, small_spec):
    chosen = choose(list(failed_calculations(Campaign.read(store, "small"))), kind="custodian:brmix")
    asked = ["INCAR.ALGO=Fast", "walltime=02:00:00"]
    command = "campaign retry small --kind custodian:brmix"
    assert (
        retry(OpenCampaign.open(store, launchpad, "small"), chosen, settings=asked, command=command, dry_run=True)[0]
        == 1
    )
    assert store.candidates.find_one({"_id": failed["_id"]})["state"] == "dos_failed"
    assert retry(OpenCampaign.open(store, launchpad, "small"), chosen, settings=asked, command=command)[0] == 1
    document = store.candidates.find_one({"_id": failed["_id"]})
    assert document["state"] == "dos_running"
    (entry,) = document["overrides"]
    assert (entry["command"], entry["incar"], entry["after"]) == (command, {"ALGO": "Fast"}, "custodian:brmix")
    firework = launchpad.fireworks.find_one({"fw_id": document["is_dos"]["fw_id"]})
    assert firework["spec"]["_queueadapter"].items() >= {"walltime": "02:00:00"}.items()
    flow = flow_for(document, small_spec(), DOS)
    incar = flow.jobs[0].maker.input_set_generator.user_incar_settings
    assert (incar["ALGO"], incar["NEDOS"]) == ("Fast", 1500)
    # the others are computed as before
    other = store.candidates.find_one({"state": "relax_running"})
    assert (
        flow_for(other, small_spec(), RELAX).jobs[0].maker.input_set_generator.user_incar_settings["ALGO"] == "Normal"
    )


@pytest.mark.mongo
def test_the_commands_say_what_they_do(failed, launchpad_file):
    def campaign(*words):
        result = CliRunner().invoke(app, [*words, "--launchpad", str(launchpad_file)], env={"COLUMNS": "200"})
        return result.exit_code, result.output

    code, said = campaign("failures", "small")
    assert code == 0
    assert "custodian:brmix" in said
    assert "what to do:" in said
    # an error of the user is put into words by the program around the command
    refused = [Path(sys.executable).parent / "campaign", "retry", "small", "--kind", "timeout", "-l", launchpad_file]
    done = subprocess.run(refused, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"})
    assert done.returncode == 2
    assert "custodian:brmix (dos)" in done.stdout + done.stderr
    code, said = campaign("retry", "small", "--kind", "science", "--set", "INCAR.NELM=400", "--dry-run")
    assert code == 0
    assert "1 failed calculation would be retried with INCAR.NELM=400" in said
    assert campaign("reconcile", "--dry-run") == (0, "small: nothing to repair\n")


@pytest.mark.mongo
def test_an_interrupted_relaxation_goes_on_from_its_last_geometry_and_an_is_dos_never(
    store, launchpad, small_spec, tmp_path
):
    start_campaign(store, launchpad, small_spec())
    document = store.candidates.find_one({"state": "relax_running"})
    initial = Structure.from_dict(document["structure"])
    moved = initial.copy()
    moved.scale_lattice(initial.volume * 1.05)
    entry = {"document": document["_id"], "stage": "relax", "fw_id": 1, "outcome": "lost", "host": "n1"}
    store.attempts.insert_one({"_id": "1.1", **entry, "cause": "timeout", "directory": str(tmp_path)})
    assert last_geometry(store, document) is None  # there is none yet
    for broken in ("", "half\n1.0\n3.0 0", Structure(initial.lattice, ["Cu"], [[0, 0, 0]]).to(fmt="poscar")):
        (tmp_path / "CONTCAR").write_text(broken)
        assert last_geometry(store, document) is None
    (tmp_path / "CONTCAR").write_text(moved.to(fmt="poscar"))
    structure, source = last_geometry(store, document)
    assert structure.volume == pytest.approx(moved.volume)
    assert source["cause"] == "timeout"
    flow = flow_for(document, small_spec(), RELAX, start=structure)
    assert flow.jobs[0].function_args[0].volume == pytest.approx(moved.volume)
    meshes = [
        flow_for(document, small_spec(), RELAX, start=start)
        .jobs[0]
        .maker.input_set_generator.user_kpoints_settings.kpts
        for start in (None, structure)
    ]
    assert meshes[0] == meshes[1]
    # a crash may be the geometry's fault
    store.attempts.update_one({"_id": "1.1"}, {"$set": {"outcome": "machine", "cause": "engine_crash"}})
    assert last_geometry(store, document) is None


@pytest.mark.mongo
def test_results_that_nobody_recorded_are_recorded(store, launchpad, small_spec):
    """Their recording firework was archived by hand; without its word the candidate would run for ever."""
    from campaign.attempts.outputs import flow_key
    from workflows.identity import job_uuid

    start_campaign(store, launchpad, small_spec())
    document = store.candidates.find_one({"state": "relax_running"})
    launchpad.fireworks.update_one({"fw_id": document["relaxation"]["record_fw_id"]}, {"$set": {"state": "ARCHIVED"}})
    assert not reconcile(OpenCampaign.open(store, launchpad, "small"))  # there is nothing to record
    task = {
        "state": "successful",
        "output": {"energy": -7.0, "structure": document["structure"]},
        "calcs_reversed": [{"vasp_version": "6.9.9-gpaw-test"}],
        "dir_name": "host:/somewhere",
    }
    uuid = job_uuid(f"{flow_key(document['_id'], RELAX, 0)}:relaxation")
    store.database["outputs"].insert_one({"uuid": uuid, "index": 1, "output": task})
    fw_id = document["relaxation"]["fw_id"]
    assert reconcile(OpenCampaign.open(store, launchpad, "small"), dry_run=True).recorded == [fw_id]
    assert store.candidates.find_one({"_id": document["_id"]})["state"] == "relax_running"
    assert reconcile(OpenCampaign.open(store, launchpad, "small")).recorded == [fw_id]
    assert store.candidates.find_one({"_id": document["_id"]})["relaxation"]["energy"] == -7.0
    assert not reconcile(OpenCampaign.open(store, launchpad, "small"))


@pytest.mark.mongo
@pytest.mark.parametrize(
    ("end", "cause"), [("kill -9 $$", "killed"), ("exit 143", "killed"), ("exit 174", "engine_crash")]
)
def test_a_relaxation_whose_vasp_was_killed_goes_on_from_its_last_geometry(
    store, launchpad, database, small_spec, launch_folder, monkeypatch, tmp_path, end, cause
):
    """VASP dies half-way: custodian sees no more than incomplete files, and the geometry is good unless it crashed."""
    start_campaign(store, launchpad, small_spec())
    document = aluminium(store)
    moved = Structure.from_dict(document["structure"])
    moved.scale_lattice(moved.volume * 1.02)
    (tmp_path / "CONTCAR").write_text(moved.to(fmt="poscar"))
    script = tmp_path / "vasp.sh"
    script.write_text(f"cp {tmp_path}/CONTCAR .\necho half > OUTCAR\necho '<modeling>' > vasprun.xml\n{end}\n")
    command = EngineCommand(standard=f"bash {script}", gamma=f"bash {script}")
    monkeypatch.setattr("campaign.steps.calculate.engine_command", lambda settings, kind, *, scratch: command)
    with pytest.raises(ValidationError):
        calculate(store, database, document)
    (entry,) = store.attempts.find()
    assert (entry["outcome"], entry["cause"]) == ("machine", cause)
    facts = document["relaxation"]
    record_calculation(
        Campaign.read(store, "small"), database, document_id=document["_id"], stage=RELAX, fw_id=facts["record_fw_id"]
    )
    again = store.references.find_one({"_id": document["_id"]})
    assert (again["state"], again["relaxation"]["attempt"]) == ("new", 1)
    found = last_geometry(store, again)
    assert (found is not None) == (cause == "killed")
    if found:
        assert found[0].volume == pytest.approx(moved.volume)

"""Whole campaigns through the queues of a real SLURM, and through PBS's commands over it."""

import json
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import yaml
from cluster_workplace import BIN, CATEGORIES, ClusterWorkplace, write_launchpad
from slurm_cluster import SlurmCluster

from campaign.spec.campaign_spec import FIREWORK_HEADER

pytestmark = [pytest.mark.slurm, pytest.mark.mongo, pytest.mark.gpaw, pytest.mark.ray]

LIMIT_S = 900
#: The quickstart at test size: the shipped model, two cheap elements, coarse in everything.
SMALL = {
    "candidates": {"prototypes": ["B2", "B3"], "elements": ["Li", "Al"]},
    "dft": {"engine": "gpaw", "quality": "fast", "encut": 300, "kpoint_length": 10},
    "model": {"bundle": "gpaw-fast-binary"},
    # one of the two is promoted
    "policy": {"max_formation_energy": 0.1, "max_hull_energy": 0.13},
}
#: As small as a campaign can be, and without Ray: one candidate, scored by a potential, and rejected.
TINY = {
    "candidates": {"prototypes": ["B2"], "elements": ["Al", "Cu"]},
    "dft": SMALL["dft"],
    "scorer": {"kind": "force_field", "calculator": "EMT"},
    "policy": {"max_formation_energy": -5.0, "max_hull_energy": -5.0},
}


def write_file(place, campaign):
    content = {"name": "small", "spec": {**FIREWORK_HEADER, "campaign": campaign}}
    (place.folder / "small.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def table(place):
    """The result table without what may differ between two runs: ids and CPU-seconds."""
    rows = json.loads(place.command("campaign", "results", "small", "--format", "json"))
    compared = ("decision", "stable")
    energies = ("e_form_ml", "e_hull_ml", "e_form_dft", "e_hull_dft")
    return {
        (row["formula"], row["prototype"]): [row[key] for key in compared]
        + [None if row[key] is None else pytest.approx(row[key], abs=1e-3) for key in energies]
        for row in rows
    }


def until_finished(place, submit):
    """Call a function that submits what is ready, as cron would, until the campaign is finished."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        ready = place.launchpad.fireworks.distinct("spec._category", {"state": "READY"})
        submit([category for category in CATEGORIES if category in ready])
        campaign = place.store.campaigns.find_one({"_id": "small"}, ["state"]) or {}
        if campaign.get("state") == "finished" and not place.jobs():
            return
        time.sleep(0.5)
    raise AssertionError(place.said())


def launches_by_job(place):
    """Every firework ran once, and in a job, but what records: its category, and that job's id."""
    fireworks = list(place.launchpad.fireworks.find())
    assert {firework["state"] for firework in fireworks} == {"COMPLETED"}
    assert all(len(firework["launches"]) == 1 and not firework["archived_launches"] for firework in fireworks)
    launches = {launch["fw_id"]: launch for launch in place.launchpad.launches.find()}
    jobs = {fw_id: launch["state_history"][0].get("reservation_id") for fw_id, launch in launches.items()}
    assert {firework["spec"]["_category"] for firework in fireworks if jobs[firework["fw_id"]] is None} == {"record"}
    return [(firework["spec"]["_category"], job) for firework in fireworks if (job := jobs[firework["fw_id"]])]


@pytest.fixture
def place(slurm, launchpad_file):
    return ClusterWorkplace(slurm, launchpad_file)


@pytest.fixture
def on_one_machine(slurm, mongo_settings, tmp_path_factory):
    """The same campaign by `campaign run`, started now and finished when its table is asked for."""
    folder = tmp_path_factory.mktemp("one-machine")
    other = ClusterWorkplace(slurm, write_launchpad(folder, mongo_settings))
    write_file(other, SMALL)
    log = folder / "run.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [BIN / "campaign", "run", "small.yaml", "--workers", "1"],
            cwd=folder,
            env=other.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def finished_table():
        assert process.wait(LIMIT_S) == 0, log.read_text()
        return table(other)

    yield finished_table
    if process.poll() is None:
        process.terminate()  # as Ctrl-C: it ends its workers and its Ray
        process.wait(60)
    other.drop()


def by_qlaunch(place):
    """Run the campaign with FireWorks' own commands alone; return its table."""
    folder = place.init()
    write_file(place, SMALL)
    place.command("lpad", "add", "small.yaml")
    until_finished(place, lambda ready: [place.qlaunch(folder, category) for category in ready])
    found = launches_by_job(place)
    jobs = [job for _, job in found]
    assert len(jobs) == len(set(jobs))  # reservation mode: one job for each firework
    assert {category for category, _ in found} == {"dos", "relax", "screen"}
    found = table(place)
    assert {row[0] for row in found.values()} == {"promoted", "rejected"}
    return found


def test_lpad_add_and_qlaunch_finish_a_campaign(place):
    for decision, stable, _, _, e_form, e_hull in by_qlaunch(place).values():
        assert (stable is None, e_form is None, e_hull is None) == (decision == "rejected",) * 3


@pytest.mark.long
def test_lpad_add_and_qlaunch_end_with_the_table_of_one_machine(place, on_one_machine):
    assert by_qlaunch(place) == on_one_machine()


@pytest.fixture
def pbs_place(slurm, launchpad_file, monkeypatch):
    """A cluster that forgets ended jobs at once: the wrappers' qstat lists them, in columns that FireWorks misreads."""
    monkeypatch.setenv("MINI_MINJOBAGE", "2")
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)
    cluster = SlurmCluster(folder)
    if shutil.which("qsub", path=cluster.environment["PATH"]) is None:
        pytest.skip("needs slurm-wlm-torque")
    try:
        cluster.call("up")
        yield ClusterWorkplace(cluster, launchpad_file)
    finally:
        cluster.call("down")
        shutil.rmtree(folder, ignore_errors=True)


def test_pbs_runs_a_campaign_through_the_same_files(pbs_place):
    place = pbs_place
    place.init("cluster", "--jobs-per-allocation", "relax=4", scheduler="pbs")
    write_file(place, TINY)
    place.command("lpad", "add", "small.yaml")
    said: list[str] = []
    until_finished(place, lambda _: said.append(place.command("campaign", "cluster", "run", "cluster")))
    assert re.search(r"^small: .*\| stable 0 \| \d+ CPU-s", "".join(said), re.MULTILINE)  # where it stands
    found = launches_by_job(place)
    assert "record" not in {category for category, _ in found}
    (row,) = table(place).values()
    assert row[0] == "rejected"
    assert row[2] is not None  # the potential's formation energy

"""A campaign with `engine: vasp` through `lpad add` and `qlaunch` on the test SLURM, in which VASP dies of its jobs."""

import json
import os

import pytest
from cluster_workplace import CATEGORIES, ClusterWorkplace
from vasp_stand_in.expectations import Expected, deviations, inject
from vasp_stand_in.site import VaspSite, write_campaign

pytestmark = [pytest.mark.long, pytest.mark.slurm, pytest.mark.mongo, pytest.mark.gpaw]

#: One candidate and two references.
QUEUE = [
    Expected(fault="oom_open_mpi", elements="Al-Cu", stage="dos", cause="out_of_memory", next_try="more memory"),
    Expected(fault="time_limit_slurm", elements="Al-Cu", stage="relax", cause="timeout", next_try="more time"),
    Expected(fault="oom_slurm", elements="Al", stage="relax", cause="out_of_memory", next_try="more memory"),
    Expected(fault="oom_forrtl", elements="Cu", stage="relax", cause="out_of_memory", next_try="more memory"),
]


@pytest.fixture
def site(tmp_path):
    return VaspSite(tmp_path / "vasp", version="6.4.2")


@pytest.fixture
def place(slurm, launchpad_file, site):
    place = ClusterWorkplace(slurm, launchpad_file)
    path = os.pathsep.join([site.search_path, slurm.environment["PATH"]])
    place.environment |= site.environment | {"PATH": path}
    return place


def test_qlaunch_asks_for_more_where_a_job_had_too_little(place, site):
    inject(site, QUEUE)
    write_campaign(place.folder / "alloys.yaml", elements=["Al", "Cu"])
    folder = place.init()
    # as `module load vasp` does: a login shell forgets the PATH of who submits
    place.edit(folder, "environment: []", f"environment: ['export PATH={site.search_path}:$PATH']")
    place.command("lpad", "add", "alloys.yaml")

    def finished():
        for category in CATEGORIES:
            for _ in range(place.launchpad.fireworks.count_documents({"state": "READY", "spec._category": category})):
                qlaunch(place, folder, category)
        campaign = place.store.campaigns.find_one({"_id": "alloys"}, ["state"]) or {}
        return campaign.get("state") == "finished" and not place.jobs()

    place.wait(finished, seconds=1200.0)
    found = deviations(site, place.store, QUEUE)
    assert not found, "\n".join(found)
    # every start of VASP was in a job
    assert all(start["job"] for start in site.starts())
    (relaxed,) = place.store.candidates.find({"chemsys": "Al-Cu"})
    assert relaxed["relaxation"]["vasp_version"] == "6.4.2"
    # what the jobs got, not only what they were to ask for
    assert asked_of_jobs(place, relaxed["relaxation"]["fw_id"])["walltime"] == "00:10:00"
    assert json.loads(place.command("campaign", "results", "alloys", "--format", "json"))


def qlaunch(place, folder, category):
    """Submit one job; `rapidfire` would wait for a minute where fireworks are still to become ready."""
    files = ("-w", str(folder / f"my_fworker_{category}.yaml"), "-q", str(folder / f"my_qadapter_{category}.yaml"))
    place.command("qlaunch", "-l", "my_launchpad.yaml", *files, "--launch_dir", "runs", "-r", "singleshot")


def asked_of_jobs(place, fw_id):
    return place.launchpad.fireworks.find_one({"fw_id": fw_id}, ["spec._queueadapter"])["spec"]["_queueadapter"]

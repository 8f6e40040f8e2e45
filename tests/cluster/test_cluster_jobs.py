"""What runs inside queue jobs: closed before the time limit, many in one allocation, each with its own GPU."""

import re

import pytest
from cluster_workplace import ClusterWorkplace
from fireworks import Firework, ScriptTask, Workflow

pytestmark = [pytest.mark.slurm, pytest.mark.mongo]


@pytest.fixture
def place(slurm, launchpad_file):
    return ClusterWorkplace(slurm, launchpad_file)


def followed(place, category, script, then=None):
    """A firework, and one after it that runs however the first ends: as the stages of a campaign are.

    ``then`` is the category of the second where that is another.
    """
    first = Firework([ScriptTask.from_str(script)], spec={"_category": category})
    after = Firework(
        [ScriptTask.from_str("true")],
        spec={"_category": then or category, "_allow_fizzled_parents": True},
        parents=[first],
    )
    place.launchpad.add_wf(Workflow([first, after]))  # gives them their ids
    return [first.fw_id, after.fw_id]


def test_a_job_at_its_time_limit_closes_its_firework(place):
    """Three kinds of job at once, since SLURM looks at time limits every half minute only."""
    slurm = place.init("slurm-site", "--jobs-per-allocation", "dos=2", "--walltime", "00:01:00")
    # the torque wrapper's qstat also lists jobs of other tests, which have ended
    pbs = place.init("pbs-site", "--walltime", "00:01:00", "--max-jobs", "100", scheduler="pbs")
    for folder in (slurm, pbs):
        place.edit(folder, "close_s: 60", "close_s: 35")
    # SLURM may send the signal at once to a job this short: no later command may find what has become ready by then
    by_pbs = followed(place, "screen", "sleep 300", then="in no queue")
    said = place.command("campaign", "cluster", "run", "pbs-site")
    assert re.search(r"screen: 1 ready; jobs in gpu: \d+ of at most 100; submitted 1 ", said), said
    alone, packed = followed(place, "relax", "sleep 300"), followed(place, "dos", "sleep 300")
    place.command("campaign", "cluster", "run", "slurm-site")
    for ids in (alone, packed, by_pbs):
        place.wait(lambda ids=ids: place.states(ids)[0] == "FIZZLED", seconds=240)
        assert place.states(ids)[1] == "READY"  # and whoever records it can be launched
    place.wait(lambda: place.jobs() == 0)
    # the packed job began nothing more once its time was over
    assert place.states(packed) == ["FIZZLED", "READY"]


def test_short_fireworks_share_an_allocation_while_its_time_lasts(place):
    folder = place.init("cluster", "--jobs-per-allocation", "dos=4")
    place.edit(folder, 'estimate: "00:10:00"', 'estimate: "00:00:30"', category="dos")
    chains = [followed(place, "dos", "sleep 0.1") for _ in range(6)]
    ids = [fw_id for chain in chains for fw_id in chain]
    # six calculations, four to a job; the recording ones are not counted and stay with theirs
    assert "dos: 6 ready; jobs in cpu: 0 of at most 20; submitted 2" in place.command(
        "campaign", "cluster", "run", "cluster"
    )
    place.wait(lambda: set(place.states(ids)) == {"COMPLETED"})
    launches = list(place.launchpad.launches.find({"fw_id": {"$in": ids}}))
    jobs = [launch["state_history"][0]["reservation_id"] for launch in launches]
    assert len(jobs) == 12
    assert len(set(jobs)) == 2  # each firework's reservation names the job that ran it
    # 5 minutes are left at most, and one more is expected to take 20: the job ends after its own firework
    place.edit(folder, 'estimate: "00:00:30"', 'estimate: "00:20:00"', category="dos")
    place.wait(lambda: place.jobs() == 0)
    long = place.add("dos", number=4)
    assert "submitted 1" in place.command("campaign", "cluster", "run", "cluster")
    place.wait(lambda: place.jobs() == 0)
    assert place.states(long).count("COMPLETED") == 1


def test_gpu_jobs_see_their_own_gpu_only(place):
    folder = place.init("cluster", "--gpus", "screen=1", "--gpus", "train=2", "--jobs-per-allocation", "train=2")
    place.edit(folder, "side_by_side: 1", "side_by_side: 2", category="train")

    def show(file: str) -> str:  # and wait for the other one, so that both hold their GPU at the same time
        path = place.folder / file
        return f"echo $CUDA_VISIBLE_DEVICES >> {path}; until [ $(wc -l < {path}) -ge 2 ]; do sleep 0.2; done"

    alone = place.add("screen", show("gpus-alone"), number=2)
    place.command("campaign", "cluster", "run", "cluster")
    place.wait(lambda: set(place.states(alone)) == {"COMPLETED"})
    assert sorted((place.folder / "gpus-alone").read_text().split()) == ["0", "1"]
    # two that share one allocation of two GPUs at the same time
    packed = place.add("train", show("gpus-packed"), number=2)
    said = place.command("campaign", "cluster", "run", "cluster")
    assert "train: 2 ready" in said
    assert "submitted 1" in said
    place.wait(lambda: set(place.states(packed)) == {"COMPLETED"})
    assert sorted((place.folder / "gpus-packed").read_text().split()) == ["0", "1"]

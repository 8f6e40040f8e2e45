"""Queues are filled with as many jobs as there is work for, whatever goes wrong on the way; on a real SLURM."""

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from cluster_workplace import ClusterWorkplace, without_commands
from potcar_files import write_potcars

from campaign.spec.campaign_spec import FIREWORK_HEADER

pytestmark = [pytest.mark.slurm, pytest.mark.mongo]


@pytest.fixture
def place(slurm, launchpad_file):
    return ClusterWorkplace(slurm, launchpad_file)


@pytest.fixture
def cluster(place):
    return place.init()


def run(place, *options, rc=0, environment=None):
    return place.command("campaign", "cluster", "run", "cluster", *options, rc=rc, environment=environment)


def test_three_ready_fireworks_and_room_for_twenty_make_three_jobs(place, cluster):
    ids = place.add("dos", place.until_released, number=3)
    other = place.add("relax", place.until_released)  # of another category
    assert "dos: 3 ready; jobs in cpu: 1 of at most 20; submitted 3" in run(place)
    assert place.jobs() == 4
    # a second call finds them queued: nothing more to do, and no memory needed to know
    said = run(place, "--once")  # as cron appends it to a file: with its time
    assert "dos: nothing ready" in said
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\n", said)
    place.wait(lambda: set(place.states(ids)) == {"RUNNING"})
    assert run(place).count("nothing ready") == 4
    launches = list(place.launchpad.launches.find({"fw_id": {"$in": ids}}))
    assert len({launch["state_history"][0]["reservation_id"] for launch in launches}) == 3
    place.release()
    place.wait(lambda: place.states(other) == ["COMPLETED"])


def test_two_at_the_same_time_keep_to_the_limit_of_a_queue(place, cluster):
    place.edit(cluster, "max_jobs: 20", "max_jobs: 2", category="dos")
    ids = place.add("dos", place.until_released, number=6)
    with ThreadPoolExecutor(3) as pool:
        said = list(pool.map(lambda _: run(place, rc=None), range(3)))
    assert place.jobs() == 2, said
    assert sorted(place.states(ids)).count("READY") == 4
    assert "jobs in cpu: 2 of at most 2; submitted 0" in run(place)


def test_relaxations_and_dos_share_a_queue_by_weight_whoever_has_the_longer_list(place, cluster):
    for category in ("relax", "dos"):
        place.edit(cluster, "max_jobs: 20", "max_jobs: 8", category=category)
    place.edit(cluster, "weight: 1", "weight: 3", category="relax")
    dos, relax = place.add("dos", place.until_released, number=12), place.add("relax", place.until_released, number=2)
    said = run(place)
    assert "relax: 2 ready; jobs in cpu: 0 of at most 8; submitted 2" in said
    assert "dos: 12 ready; jobs in cpu: 2 of at most 8; submitted 6" in said
    # the queue is full of IS-DOS when more relaxations come: each place that gets free is theirs until they have 6
    relax += place.add("relax", place.until_released, number=12)
    assert "submitted 0" in run(place)
    place.release()
    place.wait(lambda: place.states(dos).count("COMPLETED") == 6 and place.states(relax[:2]) == ["COMPLETED"] * 2)
    place.wait(lambda: place.jobs() == 0)
    said = run(place)
    assert "relax: 12 ready; jobs in cpu: 0 of at most 8; submitted 6" in said
    assert "dos: 6 ready; jobs in cpu: 6 of at most 8; submitted 2" in said


def test_a_job_has_the_name_of_its_campaign_and_kind_of_work(place, cluster):
    from fireworks import Firework, ScriptTask

    from campaign.scheduling.workflows import job_name

    spec = {"_category": "dos", "_queueadapter": {"job_name": job_name("alloys", "dos")}}
    for _ in range(2):
        place.launchpad.add_wf(Firework([ScriptTask.from_str(place.until_released)], spec=spec, name="AlPd IS-DOS"))
    run(place, rc=None)
    assert place.cluster.run("squeue", "-h", "-o", "%j").stdout.split() == ["alloys-dos"] * 2
    place.release()


def test_a_rejected_job_leaves_its_firework_ready_and_others_go_on(place, cluster):
    from fireworks import Firework, ScriptTask

    # a resource that no node has: this firework alone is rejected, and it comes first
    spec = {"_category": "dos", "_priority": 90, "_queueadapter": {"mem": "900G"}}
    greedy = list(place.launchpad.add_wf(Firework([ScriptTask.from_str("true")], spec=spec)).values())
    ids = place.add("dos", number=2)
    said = run(place, rc=1)
    assert "submitted 2" in said
    assert f"rejected, ready again: {greedy[0]}" in said
    assert "Requested node configuration is not available" in said
    assert place.states(greedy) == ["READY"]
    place.wait(lambda: place.states(ids) == ["COMPLETED", "COMPLETED"])
    # and a queue that does not exist at all
    place.edit(cluster, 'queue: "cpu"', 'queue: "nowhere"', category="dos")
    assert "invalid partition" in run(place, rc=1)
    assert place.states(greedy) == ["READY"]


def test_a_scheduler_or_database_that_is_away_costs_nothing_but_time(place, cluster, tmp_path):
    ids = place.add("dos", number=2)
    path = without_commands(tmp_path / "dead", "squeue", "sbatch")
    said = run(place, rc=1, environment={"PATH": path})
    assert "the scheduler does not answer, so nothing is submitted" in said
    assert "Unable to contact slurm controller" in said
    assert place.states(ids) == ["READY", "READY"]
    # squeue answers and sbatch does not
    (tmp_path / "dead" / "squeue").unlink()
    said = run(place, rc=1, environment={"PATH": path})
    assert "submission rejected" in said
    assert place.states(ids) == ["READY", "READY"]
    place.cluster.call("stop-controller")
    try:
        run(place, rc=1)
    finally:
        place.cluster.call("start-controller")
    assert place.states(ids) == ["READY", "READY"]
    # a database that is away: one sentence
    text = (cluster / "cluster.yaml").read_text()
    dead = tmp_path / "dead_launchpad.yaml"
    dead.write_text("uri_mode: true\nhost: mongodb://127.0.0.1:9/x?replicaSet=rs0\nname: x\n")
    (cluster / "cluster.yaml").write_text(text.replace("my_launchpad.yaml", "dead_launchpad.yaml"))
    said = run(place, rc=1)
    assert "nothing (more) submitted: MongoDB at 127.0.0.1:9 cannot be reached" in said
    assert "Traceback" not in said
    (cluster / "cluster.yaml").write_text(text)
    assert "submitted 2" in run(place)
    place.wait(lambda: place.states(ids) == ["COMPLETED", "COMPLETED"])


def test_check_asks_a_node_of_each_queue_and_says_what_is_wrong(place, cluster):
    said = place.command("campaign", "cluster", "check", "cluster", "--submit")
    assert said.count("database: 127.0.0.1") == 5  # here, and in a job of each category
    assert said.count("versions: as here") == 4
    assert "node gpu1" in said
    assert len(set(re.findall(r"^(?:dos|relax): job (\d+) in queue cpu$", said, flags=re.MULTILINE))) == 2
    assert "for 600 s at most (--wait)" in said
    assert "no problems\nnext: campaign submit FILE --engine-elsewhere, then campaign cluster run cluster" in said
    assert "wrong" not in said
    place.edit(cluster, "vasp_command: null", 'vasp_command: "srun no_such_vasp"')
    place.edit(cluster, 'queue: "gpu"', 'queue: "nowhere"', category="train")
    said = place.command("campaign", "cluster", "check", "cluster", "--submit", rc=1)
    assert said.count("no_such_vasp (of 'srun no_such_vasp') is not in the PATH of the jobs' environment") == 4
    assert "train: as submitted" in said
    assert "the scheduler would reject its jobs: invalid partition specified: nowhere" in said
    assert "remedy: name its module in modules:" in said
    assert "no problems" not in said


def test_check_looks_for_the_potcars_of_a_campaign_on_the_nodes_that_compute(place, cluster, tmp_path):
    library = tmp_path / "potcars"
    write_potcars(library / "potpaw_PBE", "Al")
    place.edit(cluster, 'environment: ["', f'environment: ["export PMG_VASP_PSP_DIR={library}", "')
    campaign = {
        "candidates": {"prototypes": ["B1", "B2", "B3"], "elements": ["Al", "W"]},
        "dft": {"engine": "vasp", "vasp_command": "OMP_NUM_THREADS=1 srun no_such_vasp"},
        "model": {"bootstrap_size": 2},
    }
    file = tmp_path / "vasp.yaml"
    file.write_text(json.dumps({"name": "vasp", "spec": {**FIREWORK_HEADER, "campaign": campaign}}))
    said = place.command("campaign", "cluster", "check", "cluster", "--submit", "--campaign", str(file), rc=1)
    # here, and on the nodes of dos and relax; those that train and screen need none
    assert said.count("POTCARs: the POTCAR W_pv of W (PBE) is missing") == 3
    absent = "no_such_vasp (of 'OMP_NUM_THREADS=1 srun no_such_vasp') is not in the PATH of the jobs' environment"
    assert said.count(absent) == 3
    write_potcars(library / "potpaw_PBE", "W")
    said = place.command("campaign", "cluster", "check", "cluster", "--campaign", str(file), rc=1)
    assert f"POTCARs: Al, W_pv of PBE in {library}/potpaw_PBE" in said


def test_check_of_a_scheduler_that_is_down_blames_no_file(place, cluster, tmp_path):
    place.cluster.call("stop-controller")
    try:
        said = place.command("campaign", "cluster", "check", "cluster", "--submit", rc=1)
    finally:
        place.cluster.call("start-controller")
    assert "train, screen, relax, dos: as submitted" in said
    assert "the scheduler does not answer: slurm_load_jobs error: Unable to contact slurm controller" in said
    assert "try again later; `scontrol ping`" in said
    assert "correct queue" not in said
    assert "1 problem" in said
    # it answers the check, and is gone when the jobs are submitted
    path = without_commands(tmp_path / "dead", "squeue", "sbatch")
    said = place.command("campaign", "cluster", "check", "cluster", rc=1, environment={"PATH": path})
    assert "the scheduler does not answer: squeue: error: Unable to contact slurm controller" in said


def test_check_after_an_edit_of_cluster_yaml_says_that_the_launch_files_are_old(place, cluster):
    place.edit(cluster, 'walltime: "00:05:00"', 'walltime: "48:00:00"', category="dos")
    path = cluster / "cluster.yaml"
    path.write_text(path.read_text().replace("48:00:00", "00:10:00"))
    said = place.command("campaign", "cluster", "check", "cluster", rc=1)
    assert "note  launch files: my_qadapter_dos.yaml differ from cluster.yaml, and jobs use them as they are" in said
    assert "`campaign cluster init cluster --again` rewrites them" in said
    assert "remedy: my_qadapter_dos.yaml is not what cluster.yaml says" in said
    assert "1 problem" in said
    place.command("campaign", "cluster", "init", "cluster", "--again")
    said = place.command("campaign", "cluster", "check", "cluster")
    assert "ok    launch files: as cluster.yaml says" in said
    assert "no problems\nnext: campaign cluster check cluster --submit" in said


def test_check_finds_jobs_that_would_be_taken_and_never_start(place, cluster):
    place.edit(cluster, 'walltime: "00:05:00"', 'walltime: "48:00:00"', category="relax")
    place.edit(cluster, 'walltime: "00:05:00"', 'walltime: "48:00:00"', category="dos")
    said = place.command("campaign", "cluster", "check", "cluster", rc=1)
    assert "relax, dos: as submitted" in said
    assert "would never start: they request 48:00:00, but partition cpu allows at most 01:00:00" in said
    assert "1 problem" in said


def test_a_check_that_gives_up_leaves_no_job_in_the_queue(place, cluster):
    place.cluster.run("scontrol", "update", "PartitionName=gpu", "State=DOWN")
    try:
        said = place.command("campaign", "cluster", "check", "cluster", "--submit", "--wait", "1", rc=1)
        assert "no report of its job within 1 s: PENDING (PartitionDown); it was cancelled" in said
        place.wait(lambda: place.jobs() == 0)
    finally:
        place.cluster.run("scontrol", "update", "PartitionName=gpu", "State=UP")


def test_without_the_schedulers_commands_check_says_so(place, cluster, tmp_path):
    for name in ("bash", "uname", "sed", "cat", "env"):
        (tmp_path / name).symlink_to(shutil.which(name))
    said = place.command("campaign", "cluster", "check", "cluster", rc=1, environment={"PATH": str(tmp_path)})
    assert "sbatch, squeue not in the PATH of this shell" in said


def test_a_launch_file_that_is_gone_or_broken_is_named_before_anything_is_submitted(place, cluster):
    ids = place.add("train") + place.add("dos")
    adapter = cluster / "my_qadapter_dos.yaml"
    adapter.write_text(adapter.read_text() + "a: [\n")
    said = run(place, rc=2)
    assert "my_qadapter_dos.yaml: cannot be read as a queue adapter" in said
    adapter.unlink()
    said = run(place, rc=2)
    assert "my_qadapter_dos.yaml: there is no such file; `campaign cluster init" in said
    assert "Traceback" not in said
    said = place.command("campaign", "cluster", "check", "cluster", "--submit", rc=1)
    assert "Traceback" not in said
    assert place.states(ids) == ["READY", "READY"]

"""The files of a cluster say what its owner said, and FireWorks reads them."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fireworks import FWorker
from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from campaign.cli.app import app
from launchers.cluster import node_check, walltime
from launchers.cluster.errors import ClusterError
from launchers.cluster.launch_files import launch_files, write_again, write_new
from launchers.cluster.multi_launch import gpus_of_lane
from launchers.cluster.queue_filler import jobs_needed, scheduler_words
from launchers.cluster.site import CATEGORIES, SiteSettings

ALL = ("--queue", "cpu", "--walltime", "36:00:00")


def site_of(**changes):
    queues = {category: {"queue": "cpu", **changes.pop(category, {})} for category in CATEGORIES}
    content = {
        "scheduler": "slurm",
        "launchpad": "/home/me/my_launchpad.yaml",
        "launch_directory": "/scratch/me/runs",
        "python": "/home/me/.venv/bin/python",
        "queues": queues,
        **changes,
    }
    return SiteSettings.from_dict(content, origin="cluster.yaml")


def script_of(site, folder, category):
    write_new(site, folder)
    return CommonAdapter.from_file(str(folder / f"my_qadapter_{category}.yaml")).get_script_str("/scratch/launch")


def test_a_slurm_job_asks_for_what_the_settings_say(tmp_path):
    site = site_of(
        account="lab",
        modules=["vasp/6.5"],
        environment=["source /home/me/.venv/bin/activate"],
        vasp_command="srun vasp_std",
        relax={"ntasks": 32, "walltime": "36:00:00", "memory": "60G", "gpus": 2, "adapter": {"qos": "long"}},
    )
    script = script_of(site, tmp_path, "relax")
    directives = set(re.findall(r"^#SBATCH (.*)$", script, flags=re.MULTILINE))
    assert directives >= {
        "--nodes=1",
        "--ntasks=32",
        "--time=36:00:00",
        "--mem=60G",
        "--gres=gpu:2",
        "--partition=cpu",
        "--account=lab",
        "--qos=long",
        "--signal=B:INT@60",
    }
    lines = [line for line in script.splitlines() if line and not line.startswith("#")]
    # environment first, then the launch directory, then rlaunch by its absolute path in the shell's place
    assert lines[:3] == [
        "module load vasp/6.5",
        "source /home/me/.venv/bin/activate",
        "export ATOMATE2_VASP_CMD='srun vasp_std'",
    ]
    assert lines[-1] == (
        f"exec /home/me/.venv/bin/rlaunch -l /home/me/my_launchpad.yaml -w {tmp_path}/my_fworker_relax.yaml singleshot"
    )


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("nodes", {"-l nodes=2:ppn=16:gpus=1", "-l mem=60gb"}),
        ("select", {"-l select=2:ncpus=16:mpiprocs=8:ngpus=1:mem=60gb"}),
    ],
)
def test_a_pbs_job_asks_in_the_way_of_its_site(tmp_path, style, expected):
    relax = {"nodes": 2, "ntasks": 16, "cpus_per_task": 2, "memory": "60G", "gpus": 1, "walltime": "01:30:00"}
    site = site_of(scheduler="pbs", account="lab", pbs_resources=style, relax=relax)
    script = script_of(site, tmp_path, "relax")
    directives = set(re.findall(r"^#PBS (.*)$", script, flags=re.MULTILINE))
    assert directives >= {*expected, "-q cpu", "-A lab", "-l walltime=01:30:00"}
    assert "$$" not in script


def test_a_pbs_job_interrupts_its_program_before_the_walltime(tmp_path):
    site = site_of(scheduler="pbs", close_s=10, relax={"walltime": "00:00:12"})
    script = script_of(site, tmp_path / "site", "relax")
    # what the job would run, with a program that says when it was interrupted, and by what
    program = "import signal,sys,time;signal.signal(2,lambda *_:sys.exit('interrupted'));time.sleep(60)"
    rlaunch = "/home/me/.venv/bin/rlaunch"
    assert rlaunch in script
    script = script.replace(rlaunch, f"{sys.executable} -c {shlex.quote(program)}")
    script = script.replace("/scratch/launch", str(tmp_path)).replace("#!/bin/bash -l", "#!/bin/bash")
    (tmp_path / "job.sh").write_text(script)
    done = subprocess.run(["bash", tmp_path / "job.sh"], capture_output=True, text=True, timeout=30)
    assert done.stderr.strip() == "interrupted"


def test_each_worker_takes_its_own_category_only(tmp_path):
    write_new(site_of(name="alps"), tmp_path)
    for category in CATEGORIES:
        fworker = FWorker.from_file(str(tmp_path / f"my_fworker_{category}.yaml"))
        assert fworker.name == f"alps-{category}"
        assert fworker.query["spec._category"] == category


def test_a_packed_job_is_one_that_reservation_mode_accepts(tmp_path):
    site = site_of(dos={"jobs_per_allocation": 8, "estimate": "00:02:00", "side_by_side": 2})
    write_new(site, tmp_path)
    adapter = CommonAdapter.from_file(str(tmp_path / "my_qadapter_dos.yaml"))
    words = shlex.split(adapter["rocket_launch"] + " --fw_id 7")
    assert words[:4] == ["exec", "/home/me/.venv/bin/python", "-m", "launchers.cluster.multi_launch"]
    assert words[-3:] == ["singleshot", "--fw_id", "7"]
    assert words[words.index("--most") + 1] == "8"
    assert words[words.index("--estimate") + 1] == "120"


@pytest.mark.parametrize(
    ("scheduler", "nodes", "with_ray"), [("slurm", 2, True), ("slurm", 1, False), ("pbs", 2, False)]
)
def test_a_screen_on_many_nodes_has_ray_on_all_of_them(tmp_path, scheduler, nodes, with_ray):
    script = script_of(site_of(scheduler=scheduler, screen={"nodes": nodes, "ntasks": nodes}), tmp_path, "screen")
    (launch,) = [line for line in script.splitlines() if line.startswith("exec ")]
    words = shlex.split(launch)
    assert words[-1] == "singleshot"
    assert ("bash" in words) is with_ray
    if with_ray:
        assert Path(words[words.index("bash") + 1]).is_file()
        # Ray has ended before SLURM ends the job
        assert int(words[words.index("--grace") + 1]) < int(re.search(r"INT@(\d+)", script).group(1))
    dft = script_of(site_of(scheduler=scheduler, relax={"nodes": 2, "ntasks": 2}), tmp_path / "dft", "relax")
    assert "ray_cluster.sh" not in dft


def test_what_is_written_is_read_again(tmp_path):
    site = site_of(vasp_command="srun --mpi=pmi2 'my vasp'", modules=["a: b", "#c"], environment=['export X="1 # 2"'])
    write_new(site, tmp_path)
    assert SiteSettings.from_file(tmp_path) == site
    assert "# time limit of a job" in (tmp_path / "cluster.yaml").read_text()


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path):
    (tmp_path / "my_qadapter_dos.yaml").write_text("mine")
    with pytest.raises(ClusterError, match=r"my_qadapter_dos\.yaml already exist"):
        write_new(site_of(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["my_qadapter_dos.yaml"]


def test_a_changed_setting_reaches_the_launch_files(tmp_path):
    write_new(site_of(), tmp_path)
    path = tmp_path / "cluster.yaml"
    path.write_text(path.read_text().replace('queue: "cpu"', 'queue: "long"'))
    write_again(tmp_path)
    assert 'queue: "long"' in (tmp_path / "my_qadapter_relax.yaml").read_text()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"scheduler": "lsf"}, "scheduler"),
        ({"launchpad": "my_launchpad.yaml"}, "launchpad: .*absolute path"),
        ({"dos": {"walltime": "4h"}}, r"queues\.dos\.walltime: found '4h', should be"),
        ({"dos": {"nodes": 2, "ntasks": 3}}, "each node must get as many"),
        ({"dos": {"side_by_side": 2}}, "more than jobs_per_allocation"),
        ({"environment": ["echo $$"]}, "FireWorks' templates"),
        ({"dos": {"memory": "16 GB"}}, r"queues\.dos\.memory: found '16 GB', should be .* e\.g\. 16G"),
        ({"dos": {"max_job": 3}}, r"queues\.dos\.max_job: no such setting; did you mean max_jobs\?"),
        ({name: {"walltime": "4h"} for name in CATEGORIES}, r"cluster\.yaml: walltime of all queues: found '4h'[^;]*$"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(changes, named):
    with pytest.raises(ClusterError, match=named):
        site_of(**changes)


# ---- the command


def init(folder, *options):
    (folder / "my_launchpad.yaml").write_text("host: localhost\nname: x\n")
    words = ["cluster", "init", str(folder / "site"), "-l", str(folder / "my_launchpad.yaml"), *options]
    return CliRunner().invoke(app, words)


def test_lines_of_the_environment_come_after_the_activation_of_this_one(tmp_path):
    done = init(tmp_path, "--scheduler", "slurm", *ALL, "--environment", "export OMP_NUM_THREADS=4")
    assert done.exit_code == 0, done.output
    *before, last = SiteSettings.from_file(tmp_path / "site").environment
    assert last == "export OMP_NUM_THREADS=4"
    assert "export OMP_NUM_THREADS=1" in before
    activate = Path(sys.prefix) / "bin" / "activate"
    assert (f"source {activate}" in before) is activate.is_file()


def test_many_short_calculations_are_answered_by_options_and_by_a_hint(tmp_path):
    alone = init(tmp_path, "--scheduler", "slurm", *ALL)
    assert "jobs_per_allocation of queues.dos" in " ".join(alone.output.split())
    (tmp_path / "other").mkdir()
    words = ("--jobs-per-allocation", "dos=150", "--side-by-side", "dos=2", "--estimate", "dos=00:04:00")
    packed = init(tmp_path / "other", "--scheduler", "slurm", *ALL, *words, "--weight", "relax=3")
    assert packed.exit_code == 0, packed.output
    assert "jobs_per_allocation of" not in packed.output
    queues = SiteSettings.from_file(tmp_path / "other" / "site").queues
    dos = queues["dos"]
    assert (dos.jobs_per_allocation, dos.side_by_side, dos.estimate) == (150, 2, "00:04:00")
    assert (queues["relax"].weight, dos.weight) == (3, 1)


def test_jobs_of_qlaunch_without_reservation_are_named_by_their_worker(tmp_path):
    assert "#SBATCH --job-name=alps-dos\n" in script_of(site_of(name="alps"), tmp_path / "slurm", "dos")
    pbs = script_of(site_of(name="alps", scheduler="pbs"), tmp_path / "pbs", "dos")
    assert "#PBS -N alps-dos\n" in pbs


def test_values_for_all_and_for_one_category_come_in_any_order(tmp_path):
    done = init(tmp_path, "--queue", "screen=gpu", "--scheduler", "slurm", *ALL, "--gpus", "screen=1", "--cores", "8")
    assert done.exit_code == 0, done.output
    queues = SiteSettings.from_file(tmp_path / "site").queues
    assert {name: queue.queue for name, queue in queues.items()} == {
        "train": "cpu",
        "screen": "gpu",
        "relax": "cpu",
        "dos": "cpu",
    }
    assert [queues[name].gpus for name in ("screen", "relax")] == [1, 0]
    assert {queue.ntasks for queue in queues.values()} == {8}
    assert {queue.walltime for queue in queues.values()} == {"36:00:00"}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ((), "missing: --scheduler, --queue NAME;"),
        (("--scheduler", "slurm", "--queue", "dos=cpu"), "missing: --queue train=NAME, --queue screen=NAME, --queue"),
        (("--scheduler", "slurm", *ALL, "--gpus", "gpu=1"), "there is no category 'gpu'"),
        (("--scheduler", "slurm", *ALL, "--cores", "many"), "--cores many: should be an integer"),
    ],
)
def test_what_is_missing_or_wrong_is_said_where_nobody_can_be_asked(tmp_path, options, named):
    done = init(tmp_path, *options)
    assert isinstance(done.exception, ClusterError)
    assert named in str(done.exception)
    assert not (tmp_path / "site").exists()


# ---- what FireWorks says of a submission


@pytest.mark.parametrize(
    ("logged", "words"),
    [
        (["----|vvv|----", "Error in x\nThe error response reads: b'sbatch: error: no\\n'"], "sbatch: error: no"),
        (
            [
                "----|vvv|----",
                "Running the command: sbatch caused an error...",
                "Traceback\nFileNotFoundError: 'sbatch'",
            ],
            "FileNotFoundError: 'sbatch'",
        ),
        (["----|vvv|----", "Something else", "----|^^^|----"], "Something else"),
        ([], "it gave no reason"),
    ],
)
def test_the_reason_of_a_rejection_is_no_border_and_no_representation_of_bytes(logged, words):
    assert scheduler_words(logged) == words


# ---- numbers


@given(st.integers(0, 200), st.integers(0, 50), st.integers(1, 20))
def test_jobs_suffice_for_what_is_ready_and_none_is_without_work(ready, waiting, per_job):
    new = jobs_needed(ready, waiting, per_job)
    assert new <= ready  # each reserves one
    capacity = new * per_job + waiting * (per_job - 1)
    assert capacity >= ready
    assert new == 0 or capacity - per_job < ready


@given(st.integers(0, 9999 * 3600))
def test_times_are_read_as_they_were_written(seconds):
    assert walltime.seconds(walltime.text(seconds)) == seconds


@given(st.lists(st.integers(0, 15).map(str), min_size=1, max_size=8, unique=True), st.integers(1, 8))
def test_processes_of_one_job_share_its_gpus_without_leaving_one_idle(gpus, lanes):
    shares = [gpus_of_lane(",".join(gpus), lane, lanes).split(",") for lane in range(lanes)]
    assert {gpu for share in shares for gpu in share} == set(gpus)
    if lanes <= len(gpus):
        assert sum(map(len, shares)) == len(gpus)  # nobody sees another's
    assert gpus_of_lane(None, 0, lanes) is None


def test_the_end_of_a_job_is_known_from_what_its_script_said(monkeypatch):
    for variable in [name for name in os.environ if name.startswith(("SLURM_", "PBS_"))]:
        monkeypatch.delenv(variable)
    assert walltime.time_left() is None
    monkeypatch.setenv("LAUNCHERS_JOB_END", str(int(time.time()) + 100))
    assert 90 < walltime.time_left() <= 100
    monkeypatch.setenv("PBS_JOBID", "1234.server")
    assert walltime.job_id() == "1234"


def test_files_of_a_folder_name_each_other_by_absolute_paths(tmp_path):
    for path, text in launch_files(site_of(scheduler="pbs"), tmp_path).items():
        assert path.is_absolute()
        for named in re.findall(r"(\S+/my_fworker_\w+\.yaml)", text):
            assert Path(named).is_absolute()


@pytest.mark.parametrize(
    ("in_job", "launchpad", "remedy"),
    [
        (False, "host: 127.0.0.1\nport: {port}\nname: x\n", "start that database (`campaign db start`"),
        (True, "host: 127.0.0.1\nport: {port}\nname: x\n", "docs/how-to/nodes-without-database.md"),
        (True, "hosts: 127.0.0.1\n", "correct "),
    ],
)
def test_only_a_node_that_gets_no_answer_is_sent_to_the_page_on_nodes_without_a_database(
    tmp_path, monkeypatch, free_port, in_job, launchpad, remedy
):
    for name in ("SLURM_JOB_ID", "PBS_JOBID", "SLURM_SUBMIT_HOST", "PBS_O_HOST"):
        monkeypatch.delenv(name, raising=False)
    if in_job:
        monkeypatch.setenv("SLURM_JOB_ID", "7")
        monkeypatch.setenv("SLURM_SUBMIT_HOST", "login1")
    (tmp_path / "my_launchpad.yaml").write_text(launchpad.format(port=free_port()))
    output = tmp_path / "found.json"
    words = ["--launchpad", tmp_path / "my_launchpad.yaml", "--directory", tmp_path / "runs", "--output", output]
    assert node_check.main([str(word) for word in words]) == 0
    (found, *_) = json.loads(output.read_text())["findings"]
    assert found["what"].startswith("database: ")
    assert remedy in found["remedy"]
    assert ("nodes-without-database" in found["remedy"]) is (in_job and "port" in launchpad)

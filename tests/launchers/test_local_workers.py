"""Workers of this machine: they run fireworks once, and never outlive whoever started them."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from fireworks import Firework, ScriptTask

from launchers.workers.local import LocalWorkers
from launchers.workers.process_identity import is_alive
from launchers.workers.worker import process_of, worker_name

pytestmark = pytest.mark.mongo


def wait_for(condition, *, seconds=60.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"{condition} was not met within {seconds} s")


@pytest.fixture
def launchpad(database):
    launchpad = database.launchpad()
    launchpad.reset("", require_password=False)
    return launchpad


def state_of(launchpad, fw_id):
    return launchpad.fireworks.find_one({"fw_id": fw_id})["state"]


def sleeping_firework(launchpad, tmp_path):
    """Add a firework that says where it runs and then sleeps; return its id and the file that will have the pid."""
    pid_file = tmp_path / "pid"
    script = f"echo $$ > {pid_file}; exec sleep 120"
    fw_id = launchpad.add_wf(Firework([ScriptTask.from_str(script)]))
    return next(iter(fw_id.values())), pid_file


def test_two_workers_run_every_firework_exactly_once(launchpad, launchpad_file, tmp_path):
    ran = tmp_path / "ran"
    ids = []
    for number in range(12):
        script = ScriptTask.from_str(f"echo {number} >> {ran}; sleep 0.1")
        ids += launchpad.add_wf(Firework([script])).values()
    with LocalWorkers(launchpad_file, tmp_path / "runs") as workers:
        workers.start(2)
        wait_for(lambda: launchpad.fireworks.count_documents({"state": "COMPLETED"}) == len(ids))
    assert sorted(map(int, ran.read_text().split())) == list(range(12))
    assert launchpad.launches.count_documents({}) == len(ids)


def test_stopping_the_workers_ends_what_they_compute(launchpad, launchpad_file, tmp_path):
    _, pid_file = sleeping_firework(launchpad, tmp_path)
    with LocalWorkers(launchpad_file, tmp_path / "runs") as workers:
        workers.start(1)
        sleeper = int(wait_for(lambda: pid_file.exists() and pid_file.read_text().strip()))
        worker = workers.processes[0].pid
    assert not psutil.pid_exists(worker)
    wait_for(lambda: not is_running(sleeper), seconds=10)


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_killed_parent_takes_its_worker_and_the_calculation_with_it(launchpad, launchpad_file, tmp_path):
    fw_id, pid_file = sleeping_firework(launchpad, tmp_path)
    # a runner that cannot say goodbye: it starts a worker, says its pid, and waits
    script = (
        "import sys, time, pathlib; from launchers.workers.local import LocalWorkers\n"
        f"workers = LocalWorkers(pathlib.Path({str(launchpad_file)!r}), pathlib.Path({str(tmp_path / 'runs')!r}))\n"
        "workers.start(1); print(workers.processes[0].pid, flush=True); time.sleep(300)"
    )
    runner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        worker = int(runner.stdout.readline())
        sleeper = int(wait_for(lambda: pid_file.exists() and pid_file.read_text().strip()))
    finally:
        runner.kill()
        runner.wait()
        runner.stdout.close()
    wait_for(lambda: not is_running(worker) and not is_running(sleeper), seconds=15)
    assert state_of(launchpad, fw_id) == "RUNNING"  # nobody said anything: that is what reconcile is for
    launch = launchpad.launches.find_one({})
    assert process_of(launch["fworker"]["name"])["pid"] == worker


def test_the_name_of_a_worker_tells_its_process():
    process = process_of(worker_name())
    assert process["pid"] == os.getpid()
    assert is_alive(process)
    assert not is_alive({**process, "pid_ticks": process["pid_ticks"] - 1})  # its id was used again
    assert not is_alive({**process, "boot_id": "another boot"})
    assert process_of("some other fworker") is None


def test_a_dead_worker_is_replaced(launchpad, launchpad_file, tmp_path):
    with LocalWorkers(launchpad_file, tmp_path / "runs") as workers:
        workers.start(1)
        first = workers.processes[0]
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert workers.replace_dead() == 1
        assert workers.processes[0].pid != first.pid

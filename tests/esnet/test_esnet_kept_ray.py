"""A Ray that dies during a run is started again where workers look for it; one that is slow to start is waited for."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.ray

#: In processes of their own: the tests of this folder share one Ray.
DIES = """
import os, signal, sys, threading
from esnet.ray import kept
from esnet.ray.session import ray_session
import ray

kept._PAUSES_S = (0.0,)
said, told = [], threading.Event()
def on_change(sentence):
    said.append(sentence)
    told.set()

def kill(kind):
    told.clear()
    os.kill(ray._private.worker._global_node.all_processes[kind][0].process.pid, signal.SIGKILL)
    assert told.wait(60)

JOIN = "import ray; from esnet.ray.session import ray_session\\n" \\
    "with ray_session(): print(ray.get(ray.remote(num_cpus=0)(lambda: 2 + 2).remote()))"
sessions, restarted = [], threading.Event()
def on_restart(session):
    sessions.append(session)
    restarted.set()

with kept.keep_ray(dashboard=False, on_change=on_change, on_restart=on_restart) as session:
    token = os.environ["RAY_AUTH_TOKEN"]
    kill("raylet")
    while not ray.is_initialized() or kept._dead_process():
        threading.Event().wait(0.1)
    assert restarted.wait(60)
    assert [found.address for found in sessions] == [session.address]
    assert os.environ["RAY_AUTH_TOKEN"] == token
    import subprocess
    environment = {**os.environ, "RAY_ADDRESS": session.address}
    joined = subprocess.run([sys.executable, "-c", JOIN], env=environment, capture_output=True, text=True)
    assert joined.stdout == "4\\n", joined.stderr
    kill("gcs_server")
print(said)
"""


def run(script, **environment):
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=600)


def test_a_ray_that_died_is_at_the_same_address_again_and_not_for_ever():
    done = run(DIES)
    assert done.returncode == 0, done.stderr
    (said,) = done.stdout.splitlines()
    assert "its raylet ended with code -9) and is started again" in said
    assert "died 2 times (its gcs_server ended with code -9) and is not restarted" in said


def test_a_dashboard_that_does_not_come_up_ends_nothing():
    script = """
from esnet.ray import session
session._PAUSES_S = (0.0, 0.0)
with session.ray_session("local", dashboard=True) as here:
    print(here.started_here)
"""
    done = run(script, RAY_DASHBOARD_STARTUP_TIMEOUT_S="0")
    assert done.stdout == "True\n", done.stderr
    assert "started again in 0 s, without its dashboard" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_ray_that_never_starts_is_one_sentence_and_leaves_no_process():
    script = """
import psutil
from esnet.ray import session
from ray._private import services
session._PAUSES_S = (0.0,)
services.GCS_SERVER_EXECUTABLE = "/bin/false"
try:
    with session.ray_session("local"):
        pass
except session.RaySessionError as error:
    print(error)
print(sum("ray" in " ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)))
"""
    done = run(script, RAY_gcs_server_port_wait_time_s="1")
    said, left = done.stdout.splitlines()
    assert said.startswith("Ray did not start in 2 tries: "), done.stderr
    assert "The load of this machine is" in said
    assert left == "0"

"""A Ray of ours must listen on loopback alone, ask for its token, and leave what others started."""

import os
import subprocess
import sys

import psutil
import pytest

from esnet.ray.session import ray_session

pytestmark = pytest.mark.ray


def test_ray_listens_on_loopback_alone(ray_here):
    assert ray_here.started_here
    assert ray_here.address.startswith("127.0.0.1:")
    own = psutil.Process()
    listening = [
        connection.laddr.ip
        for process in [own, *own.children(recursive=True)]
        # what another test has started and nobody has waited for has no command line any more
        if process is own or (process.status() != psutil.STATUS_ZOMBIE and "ray" in " ".join(process.cmdline()))
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_ray_asks_for_the_token(ray_here):
    import ray

    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    assert ray.get(ray.remote(num_cpus=0)(lambda: 2 + 2).remote()) == 4


def test_a_session_inside_a_session_starts_and_ends_nothing(ray_here):
    import ray

    with ray_session() as inner:
        assert not inner.started_here
        assert inner.address == ray_here.address
    assert ray.is_initialized()


def test_the_signal_handlers_of_a_process_outlive_a_session():
    """Ray's own raises SystemExit instead: a worker that is told to end would go on with its next firework."""
    script = (
        "import signal\n"
        "from esnet.ray.session import ray_session\n"
        "def ours(number, frame): pass\n"
        "signal.signal(signal.SIGTERM, ours)\n"
        "with ray_session('local'):\n"
        "    assert signal.getsignal(signal.SIGTERM) is ours\n"
        "assert signal.getsignal(signal.SIGTERM) is ours\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr

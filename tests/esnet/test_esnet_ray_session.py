"""A Ray of ours must listen on loopback alone, ask for its token, and leave what others started."""

import http.client
import os
import subprocess
import sys
from urllib.parse import urlsplit

import psutil
import pytest
from second_user import as_second_user, folder_for_all, needs_root, readable_texts

from esnet.ray.dashboard_link import DashboardLink
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


JOINING = """
import sys
import urllib.error, urllib.request
address, dashboard, token = sys.argv[1:]
metadata = [("authorization", f"Bearer {token}")] if token else []
channel = grpc.insecure_channel(address)
keys, jobs = services.InternalKVGcsServiceStub(channel), services.JobInfoGcsServiceStub(channel)
asked = {
    "write": (keys.InternalKVPut, messages.InternalKVPutRequest(key=b"x", value=b"y")),
    "nodes": (services.NodeInfoGcsServiceStub(channel).GetAllNodeInfo, messages.GetAllNodeInfoRequest()),
    "join": (jobs.AddJob, messages.AddJobRequest()),
}
for name, (call, request) in asked.items():
    try:
        call(request, metadata=metadata, timeout=30)
        print(name)
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.UNAUTHENTICATED:
            print(name, error)
headers = {"Authorization": f"Bearer {token}"} if token else {}
try:
    urllib.request.urlopen(urllib.request.Request(f"{dashboard}/nodes?view=summary", headers=headers), timeout=30)
    print("dashboard")
except urllib.error.HTTPError as error:
    if error.code not in (401, 403):
        print("dashboard", error)
"""


@needs_root
def test_a_second_user_cannot_join_the_ray_of_a_run_nor_find_its_token():
    """As in `campaign run`: with a dashboard, and the token in a file of the run."""
    imports = (
        "import grpc, encodings.idna, urllib.request\n"
        "from ray.core.generated import gcs_service_pb2 as messages, gcs_service_pb2_grpc as services"
    )
    hold = (
        "import os, sys\n"
        "from esnet.ray.session import ray_session\n"
        "from campaign.runner import RAY_DASHBOARD, RAY_TOKEN\n"
        "from esnet.ray.credentials import ray_token, write_private\n"
        "from pathlib import Path\n"
        "with ray_session('local', dashboard=True) as session:\n"
        "    write_private(Path(sys.argv[1]) / 'small' / RAY_TOKEN, ray_token())\n"
        "    write_private(Path(sys.argv[1]) / 'small' / RAY_DASHBOARD, session.dashboard_url)\n"
        "    print(session.address, session.dashboard_url, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    with folder_for_all() as folder:
        command = [sys.executable, "-c", hold, str(folder)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, env=environment, **pipes) as run:
            address, dashboard = run.stdout.readline().split()
            token = (folder / "small" / "ray-token").read_text()
            for guess in ("", "0" * len(token)):
                assert as_second_user(imports, JOINING, address, dashboard, guess) == ""
            texts = readable_texts(folder)
            assert address.rpartition(":")[2] in texts  # command lines of Ray's processes were among them
            assert token not in texts
            # with the token the same calls do work
            answers = as_second_user(imports, JOINING, address, dashboard, token).split()
            assert answers == ["write", "nodes", "join", "dashboard"]
            a_link_opens_it_once(folder, dashboard, token)
            run.stdin.close()


def get(address, **headers):
    """Status, headers and text of an answer; redirects are not followed."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode(errors="replace")
    finally:
        connection.close()


def a_link_opens_it_once(folder, dashboard, token):
    """What `campaign dashboard` prints: the first browser gets in with it, and the token is in no address or output."""
    command = [sys.executable, "-c", "from campaign.cli.main import main; main()", "dashboard", "small", "--no-open"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen([*command, "--directory", str(folder)], **pipes) as link:
        line = link.stdout.readline()
        address = line.split()[-1]
        assert get(f"{address}x")[0] == 404
        status, headers, _ = get(address)
        assert (status, headers["Location"]) == (303, dashboard)
        cookie = headers["Set-Cookie"].partition(";")[0]
        assert "HttpOnly; SameSite=Strict" in headers["Set-Cookie"]
        rest = link.stdout.read()
        assert link.wait(30) == 0
    assert token not in line + rest
    assert f"opened {dashboard}" in rest
    nodes = f"{dashboard}/nodes?view=summary"
    assert get(nodes)[0] == 401
    assert get(nodes, Cookie=cookie)[0] == 200
    # a link that is printed by the run itself: only its first reader gets anything
    with DashboardLink(dashboard, token) as printed:
        assert [get(printed.address)[0] for _ in range(2)] == [303, 410]
    with pytest.raises(ValueError, match="is not at 127"):
        DashboardLink("http://node7:8265", token)

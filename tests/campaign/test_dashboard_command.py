"""`campaign dashboard`: its link is in no command line, and no stranger's port is sent the token."""

import http.client
import os
import socket
import stat
import struct
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from second_user import needs_root

from campaign.runner import RAY_DASHBOARD, RAY_TOKEN, _RayFiles
from esnet.commands.tune import _token_file
from esnet.ray.credentials import ray_token, write_private
from esnet.ray.dashboard_link import DashboardLink, answers
from esnet.ray.session import RaySession

TOKEN = "t0ken-of-this-test"
#: What a desktop has in place of a browser: it writes down how it was called, and follows the page it was given.
BROWSER = """#!{python}
import os, pathlib, re, sys, urllib.error, urllib.parse, urllib.request
page = pathlib.Path(urllib.parse.unquote(urllib.parse.urlsplit(sys.argv[1]).path))
modes = [format(path.stat().st_mode & 0o777, "o") for path in (page, page.parent)]
pathlib.Path(__file__).with_name("called").write_text(" ".join([*modes, *sys.argv[1:]]))
urllib.request.urlopen(re.search("url=(.*?)\\"", page.read_text())[1], timeout=30)
"""


@contextmanager
def dashboard(token=TOKEN):
    """A server that asks for a token as Ray's dashboard does; its address, and what it was asked with."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            given = self.headers.get("Authorization")
            asked.append(given)
            self.send_response(200 if self.path == "/" or given == f"Bearer {token}" else 401)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def command(folder, *words, **environment):
    line = [sys.executable, "-c", "from campaign.cli.main import main; main()", "dashboard", "small"]
    return subprocess.run(
        [*line, "--directory", str(folder), *words],
        env={**os.environ, "DISPLAY": "", "WAYLAND_DISPLAY": "", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def prepare(folder, address):
    write_private(folder / "small" / RAY_TOKEN, TOKEN)
    write_private(folder / "small" / RAY_DASHBOARD, address)


def test_the_link_is_in_a_private_page_and_in_no_command_line(tmp_path):
    browser = tmp_path / "browser"
    browser.write_text(BROWSER.format(python=sys.executable))
    browser.chmod(0o755)
    with dashboard() as (address, _):
        prepare(tmp_path, address)
        done = command(tmp_path, BROWSER=str(browser))
    assert done.returncode == 0, done.stderr
    file_mode, folder_mode, called = (tmp_path / "called").read_text().split(" ")
    assert (file_mode, folder_mode) == ("600", "700")
    assert called.startswith("file://")
    first, *_, last = done.stdout.splitlines()
    assert first.startswith(f"opening {address} in a browser, 5 minutes at most (--no-open prints a link")
    assert last == f"opened {address}"
    assert TOKEN not in done.stdout + called
    # the page is gone
    assert {path.name for path in (tmp_path / "small").iterdir()} == {RAY_TOKEN, RAY_DASHBOARD}


def test_a_run_whose_ray_is_another_by_now_is_said(tmp_path):
    with dashboard(token="of-another-ray") as (address, asked):
        prepare(tmp_path, address)
        done = command(tmp_path)
        assert done.returncode == 2
        assert f"does not answer at {address}" in " ".join(done.stderr.split())
        assert asked == [f"Bearer {TOKEN}"]  # of this user's own
        assert not answers(address, TOKEN)
        assert answers(address, "of-another-ray")
    assert not answers(address, "of-another-ray")
    assert not answers("http://192.0.2.1:8265", TOKEN)
    assert not answers("no address", TOKEN)


@needs_root
def test_what_listens_there_for_another_user_is_not_sent_the_token():
    script = (
        "import encodings.idna, http.server, os\n"
        "class Handler(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self): print('asked', flush=True); self.send_response(200); self.end_headers()\n"
        "    def log_message(self, *_): pass\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "server = http.server.HTTPServer(('127.0.0.1', 0), Handler)\n"
        "print(server.server_port, flush=True)\n"
        "server.serve_forever()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as stranger:
        try:
            port = int(stranger.stdout.readline())
            assert not answers(f"http://127.0.0.1:{port}", TOKEN)
        finally:
            stranger.kill()
        assert stranger.stdout.read() == ""


def test_the_files_of_a_run_are_private_follow_its_ray_and_end_with_it(tmp_path):
    here, there = (RaySession("127.0.0.1:1", f"http://127.0.0.1:{port}", True) for port in (8265, 8266))
    with _RayFiles(tmp_path) as files:
        for session in (here, there):
            files.write_dashboard(session)
            assert (tmp_path / RAY_DASHBOARD).read_text() == session.dashboard_url
        write_private(files.token, TOKEN)
        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    assert not list(tmp_path.iterdir())
    with _RayFiles(tmp_path) as files:
        files.write_dashboard(here)
        write_private(files.token, TOKEN)
        with _RayFiles(tmp_path) as later:
            later.write_dashboard(there)
            files.__exit__()
            assert len(list(tmp_path.iterdir())) == 2
    assert not list(tmp_path.iterdir())


def test_a_token_in_a_file_of_the_users_own_is_found(tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    assert ray_token() == ""
    own = tmp_path / "own"
    own.write_text(f"{TOKEN}\n")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(own))
    assert ray_token() == TOKEN
    with _token_file(tmp_path / "out") as path:
        assert path.read_text() == TOKEN
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()
    monkeypatch.setenv("RAY_AUTH_TOKEN", "before it")
    assert ray_token() == "before it"


def get(address):
    port, word = address.rpartition(":")[2].split("/")
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)
    connection.request("GET", f"/{word}")
    try:
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_browser_that_hangs_up_prints_nothing_and_takes_nothing(monkeypatch, capfd):
    real, cut = BaseHTTPRequestHandler.end_headers, [True]

    def end_headers(handler):
        if cut and cut.pop():
            raise ConnectionResetError("hung up")
        real(handler)

    with DashboardLink("http://127.0.0.1:8265", TOKEN) as link:
        port, word = link.address.rpartition(":")[2].split("/")
        with socket.create_connection(("127.0.0.1", int(port))) as connection:
            connection.sendall(f"GET /{word} HTTP/1.1\r\n".encode())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset
        # the moment at which an answer meets a reset is the kernel's to choose: here it is chosen
        monkeypatch.setattr(BaseHTTPRequestHandler, "end_headers", end_headers)
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            get(link.address)
        assert not link.used.is_set()
        assert [get(link.address) for _ in range(2)] == [303, 410]
    assert capfd.readouterr().err == ""

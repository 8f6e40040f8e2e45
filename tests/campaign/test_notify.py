"""`campaign notify`: a real command and a real host are told of what is new, once each; secrets stay where they are."""

import json
import os
import pwd
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from prepared import BATCHES
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.commands.lifecycle.notify import notifications
from campaign.notify.message import Message
from campaign.notify.sending import send
from campaign.notify.settings import NotifySettings, read_settings, settings_file
from campaign.running_campaign import start_campaign
from campaign.store.campaigns import Campaign
from campaign.store.collections import now
from campaign.views.status.recent_events import newest_discoveries
from esnet.commands.console import console

SECRET = "T0K3N-of-a-webhook"


class Host(BaseHTTPRequestHandler):
    """Takes what is posted; answers as the path says."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, dict(self.headers), json.loads(body)))
        code = int(self.path.strip("/").split("/")[0])
        self.send_response(code)
        if code == 302:
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/200/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def host():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    server.taken = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Function that writes the user's file where it is looked for."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("ESNET_CAMPAIGN_NOTIFY", raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # not for this machine
    path = tmp_path / "config" / "esnet-campaign" / "notify.yaml"
    path.parent.mkdir(parents=True)

    def write(text, mode=0o600):
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


def run(*words):
    done = CliRunner().invoke(app, ["notify", *map(str, words)], terminal_width=200)
    return done.exit_code, " ".join(f"{done.output} {done.exception or ''}".split())


def test_a_test_message_reaches_a_command_and_a_webhook(settings, host, tmp_path):
    script = tmp_path / "tell"
    script.write_text(
        f'#!/bin/sh\ncat > {tmp_path}/stdin; env > {tmp_path}/environment; printf "%s" "$@" > {tmp_path}/args\n'
    )
    script.chmod(0o755)
    settings(
        f"notify:\n  command: [{script}, '$(touch {tmp_path}/shell)', '; ls']\n"
        f"  webhook: http://anna:{SECRET}@127.0.0.1:{host.server_port}/200/{SECRET}\n"
    )
    os.environ["RAY_AUTH_TOKEN"] = "of-ray"
    try:
        code, said = run("--test")
    finally:
        del os.environ["RAY_AUTH_TOKEN"]
    assert (code, SECRET in said) == (0, False)
    assert f"sent to {script} and 127.0.0.1:{host.server_port}; events: finished, stuck, found" in said
    ((path, headers, body),) = host.taken
    assert path == f"/200/{SECRET}"
    assert headers["Authorization"].startswith("Basic ")
    assert (body["event"], body["campaign"]) == ("test", "test")
    assert (tmp_path / "stdin").read_text() == f"{body['text']}\n"
    environment = dict(line.partition("=")[::2] for line in (tmp_path / "environment").read_text().splitlines())
    assert environment["ESNET_EVENT"] == "test"
    assert json.loads(environment["ESNET_JSON"])["text"] == body["text"]
    assert "RAY_AUTH_TOKEN" not in environment
    # no shell has seen the words
    assert (tmp_path / "args").read_text() == f"$(touch {tmp_path}/shell); ls"
    assert not (tmp_path / "shell").exists()


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("webhook: http://127.0.0.1:{port}/302/" + SECRET, "answered 302 (a redirect, which is not followed)"),
        ("webhook: http://127.0.0.1:{port}/500/" + SECRET, "answered 500"),
        ("webhook: http://127.0.0.1:1/" + SECRET, "127.0.0.1:1 does not answer"),
        ("command: [sh, -c, 'sleep 60']\n  timeout_s: 0.3", "sh did not finish within 0.3 s"),
        ("command: [sh, -c, 'echo it broke >&2; exit 3']", "sh ended with code 3: it broke"),
        ("command: no-such-program-anywhere", "no-such-program-anywhere cannot be started"),
    ],
)
def test_what_does_not_arrive_is_said_without_the_secret(settings, host, way, expected):
    settings(f"notify:\n  {way.format(port=host.server_port)}\n")
    code, said = run("--test")
    assert (code, SECRET in said) == (1, False)
    assert "not sent: " in said
    assert expected in said
    assert not any("elsewhere" in path for path, *_ in host.taken)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"notify:\n  webhook: ftp://example.org/{SECRET}\n",
            "notify.webhook: not an address; right: https://HOST/PATH",
        ),
        (f"notify:\n  webhook: https://example.org/a b{SECRET}\n", "notify.webhook: not an address"),
        (f"notify:\n  webhok: https://example.org/{SECRET}\n", "(known here: command, webhook, events, timeout_s"),
        (f"notify:\n  https://example.org/{SECRET}: x\n", "notify: an unknown field (known here: command, "),
        (f"notify:\n  webhook: [https://example.org/{SECRET}\n", ", line 3: is not valid YAML"),
        ("notify: {}\n", "neither command nor webhook is given"),
        (f"webhook: https://example.org/{SECRET}\n", "right: one section, notify"),
        (f"notify: {{command: x, events: [{SECRET}]}}\n", "notify.events.0: "),
    ],
)
def test_a_file_that_cannot_be_used_is_one_message_without_the_secret(settings, text, expected):
    path = settings(text)
    code, said = run("--test")
    assert (code, SECRET in said) == (1, False)
    assert str(path) in said
    assert expected in said


def test_a_webhook_that_others_may_read_and_no_file_at_all(settings):
    path = settings(f"notify:\n  webhook: https://example.org/{SECRET}\n", mode=0o644)
    assert f"right: chmod 600 {path}" in run("--test")[1]
    path.unlink()
    assert "does not exist" in run("--test")[1]


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_may_write_runs_nothing(settings, tmp_path, mode):
    path = settings(f"notify:\n  command: [touch, {tmp_path}/started]\n", mode=mode)
    code, said = run("--test")
    assert (code, (tmp_path / "started").exists()) == (1, False)
    assert "other users may write it" in said
    assert f"right: chmod 600 {path}" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file to another user")
def test_a_file_of_another_user_runs_nothing(settings, tmp_path):
    path = settings(f"notify:\n  command: [touch, {tmp_path}/started]\n")
    os.chown(path, 1234, -1)
    code, said = run("--test")
    assert (code, (tmp_path / "started").exists()) == (1, False)
    assert f"{path}: belongs to user 1234; right: a file that belongs to you" in said


@pytest.mark.parametrize("named", ["~no-such-user-anywhere/notify.yaml", "/x" * 4000, "/proc"])
def test_a_place_that_cannot_be_looked_at_is_said_once_and_the_run_continues(monkeypatch, capsys, named):
    monkeypatch.setenv("ESNET_CAMPAIGN_NOTIFY", named)
    with notifications(console()) as notifier:
        assert notifier is None
    assert capsys.readouterr().out.count("no notifications: ") == 1


def test_without_a_home_folder_there_are_no_notifications(monkeypatch, capsys):
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name)
    # a user that the machine's list does not have, as in a container
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    with notifications(console()) as notifier:
        assert notifier is None
    assert capsys.readouterr().out == ""


def test_these_tests_do_not_read_the_file_of_whoever_runs_them():
    assert settings_file() != Path.home() / ".config" / "esnet-campaign" / "notify.yaml"
    assert read_settings() is None


def test_a_chat_is_given_no_markup_of_a_name(host):
    webhook = f"http://127.0.0.1:{host.server_port}/200"
    send(NotifySettings(webhook=webhook), Message(event="found", campaign="<!here>", text="<!channel> & <@U1>"))
    ((_, _, body),) = host.taken
    assert (body["text"], body["campaign"]) == ("&lt;!channel&gt; &amp; &lt;@U1&gt;", "<!here>")


@contextmanager
def told(settings, tmp_path, **more):
    """Where the messages of a block are, as objects."""
    file = tmp_path / "told"
    file.write_text("")
    words = json.dumps(["sh", "-c", f'printf "%s\\n" "$ESNET_JSON" >> {file}'])
    settings("notify:\n" + "".join(f"  {key}: {value}\n" for key, value in {"command": words, **more}.items()))
    messages = []
    yield messages
    messages += [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.mongo
def test_each_message_is_sent_once_whoever_looks(store, launchpad, launchpad_file, small_spec, settings, tmp_path):
    start_campaign(store, launchpad, small_spec(**BATCHES))
    words = [sys.executable, "-c", "from campaign.cli.main import main; main()", "notify", "-l", str(launchpad_file)]
    hostile = "\x1b]0;x\x07\x1b[2J"

    def look(number=1):
        with told(settings, tmp_path) as messages:
            if number == 1:
                assert run("-l", launchpad_file)[0] == 0
                number = 0
            processes = [subprocess.Popen(words) for _ in range(number)]
            assert [process.wait(600) for process in processes] == [0] * number
        return messages

    assert look() == []
    # a burst makes one message, or several without one material in two of them where processes look together
    ids = [found["_id"] for found in store.candidates.find({"role": "screened"}, ["_id"]).limit(7)]
    for n, each in enumerate(ids):
        result = {"stable": True, "e_form_per_atom": -0.1 * n, "e_above_hull": -0.01 * n, "time": now()}
        store.candidates.update_one({"_id": each}, {"$set": {"result": result, "prototype": f"B2{hostile}"}})
    messages = look(2)
    assert sorted(each["id"] for message in messages for each in message["found"]) == sorted(ids)
    newest = {each.id: each.e_hull for each in newest_discoveries(Campaign.read(store, "small"), number=10)}
    assert {each["id"]: each["e_hull"] for message in messages for each in message["found"]} == newest
    assert all(message["event"] == "found" and "\x1b" not in message["text"] for message in messages)
    assert look() == []
    # stopped by failures: stuck, once, and again after it was resumed and stopped again
    stop = {"cause": "potcar_missing", "number": 3, "error": f"no POTCAR{hostile}", "time": now()}
    for _ in range(2):
        store.campaigns.update_one({"_id": "small"}, {"$set": {"stopped": stop}})
        (message,) = look()
        assert message["event"] == "stuck"
        assert (
            "small is stuck: stopped: 3 consecutive calculations failed in the same way (potcar_missing)"
            in message["text"]
        )
        assert look() == []
        store.campaigns.update_one({"_id": "small"}, {"$unset": {"stopped": ""}})
        assert look() == []
    # paused by a person, who knows
    paused = {"kind": "paused", "by": "anna@here", "time": now()}
    store.campaigns.update_one({"_id": "small"}, {"$set": {"stopped": paused}})
    assert look() == []
    store.campaigns.update_one({"_id": "small"}, {"$unset": {"stopped": ""}, "$set": {"state": "finished"}})
    (message,) = look()
    assert message["event"] == "finished"
    assert message["text"].startswith("small is finished: 7 stable of ")
    assert look() == []

"""`campaign run` on a terminal and in a file: bars that are redrawn, or dated lines; the terminal is left as it was."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from pseudo_terminal import PseudoTerminal
from reference_entries import GPAW, alloys, write
from small_campaign import write_campaign

from campaign.store.collections import now

pytestmark = pytest.mark.mongo

BIN = Path(sys.executable).parent
HOSTILE = "\x1b]0;taken over\x07\x1b[2J\u202egnorw\r"
ESCAPE = re.compile(r"\x1b(\[[0-9;?]*[a-zA-Z]|\].*?\x07|[()].)")
#: What moves the cursor, clears and colours; everything else has no business in a progress bar.
USUAL = re.compile(r"\x1b\[(\?25[lh]|[0-9]*[AK]|2K|[0-9;]*m)")


@pytest.fixture
def file(tmp_path, engine):
    """A campaign of one candidate, whose relaxation was computed before."""
    entries = write(tmp_path / "entries.json", alloys(**GPAW), engine="gpaw", corrections="none")
    return write_campaign(
        tmp_path / "small.yaml",
        candidates={"prototypes": ["B2"], "elements": ["Al", "Cu"]},
        references={"entries": str(entries)},
        scorer={"kind": "force_field", "calculator": "EMT"},
        model={},
    )


def plain_lines(output):
    return [line.rstrip() for line in ESCAPE.sub("", output).replace("\r", "\n").splitlines() if line.strip()]


def test_bars_on_a_terminal_and_dated_lines_in_a_file(
    store, launchpad, launchpad_file, file, tmp_path, monkeypatch, free_port
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGINE_S", "600")
    words = [BIN / "campaign", "run", file, "--launchpad", launchpad_file, "--workers", "1"]
    with PseudoTerminal(words, seconds=120, NO_COLOR="1") as terminal:
        terminal.read_until(r"decided on .*0/1")
        terminal.read_until(r"relaxed .*0/1")
        terminal.read_until(r"running: AlCu B2 relaxation \(0 min\)")
        # a second run of it says so before it adds workers
        with PseudoTerminal([*words, "--workers", "2"], seconds=120, NO_COLOR="1") as second:
            said = second.read_until(r"starts nothing more in any")
            second.read_until(r"2 workers; launch directories")
            os.kill(second.pid, signal.SIGINT)
            assert second.wait() == 130
        assert f"is running (host {socket.gethostname()}, process {terminal.pid}); it has 1 worker, " in said
        assert f"with this one there are 3 workers. Ctrl-C ends this one, `kill -INT {terminal.pid}` the other" in said
        # whatever stands in the database is shown, not obeyed
        store.database["fireworks"].update_one({"spec.stage": "relax", "state": "RUNNING"}, {"$set": {"name": HOSTILE}})
        terminal.read_until("running: ]0;taken over")
        # a line that is printed meanwhile stands above the bars, whole
        paused = {"kind": "paused", "by": "anna", "reason": f"disk{HOSTILE} full", "time": now()}
        store.campaigns.update_one({"_id": "small"}, {"$set": {"stopped": paused}})
        terminal.read_until("campaign small is paused; paused by anna .* full")
        terminal.read_until("paused | stable 0")
        # and so does a log line
        workers = [
            child for child in psutil.Process(terminal.pid).children() if "launchers.workers" in str(child.cmdline())
        ]
        workers[0].kill()
        terminal.read_until(r"worker \d+ ended with code -9")
        os.kill(terminal.pid, signal.SIGINT)
        assert terminal.wait() == 130
    for escape in re.findall(r"\x1b[^\x1b]{0,8}", terminal.output):
        assert USUAL.match(escape), repr(escape)
    assert not re.search(r"\x1b\[[0-9;]*3[1-7]m", terminal.output)  # NO_COLOR
    assert terminal.output.rfind("\x1b[?25h") > terminal.output.rfind("\x1b[?25l") >= 0
    lines = plain_lines(terminal.output)
    assert [line for line in lines if len(line) > 60 and "running:" in line] == []
    assert f"worker {workers[0].pid} ended with code -9; starting another" in lines
    assert re.fullmatch(rf"stopped; `(\S*/)?campaign run {file}` resumes it", lines[-1]), lines[-3:]

    monkeypatch.setenv("ENGINE_S", "0")
    subprocess.run([words[0], "resume", "small", "--launchpad", launchpad_file], check=True, timeout=600)
    (tmp_path / "notify.yaml").write_text(
        f"notify: {{command: [tee, -a, {tmp_path}/told], webhook: 'http://127.0.0.1:{free_port()}/secret-word'}}\n"
    )
    (tmp_path / "notify.yaml").chmod(0o600)
    colours = {**os.environ, "FORCE_COLOR": "1", "ESNET_CAMPAIGN_NOTIFY": str(tmp_path / "notify.yaml")}
    done = subprocess.run(words, capture_output=True, text=True, env=colours, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)  # colours were asked for
    assert "\x1b" not in said
    assert "\r" not in said
    dated = re.findall(
        r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC  relaxed 1/1 promoted \| stable 0 \| \d+ CPU-s$", said, re.MULTILINE
    )
    assert dated, said
    # told once, by whoever runs it; a host that is away ends nothing, and is said once
    assert (tmp_path / "told").read_text().startswith("small is finished: 0 stable of 1 candidates, 0 failed, ")
    assert len((tmp_path / "told").read_text().splitlines()) == 1
    assert said.count("notify: a notification was not sent: 127.0.0.1:") == 1
    assert "secret-word" not in done.stdout + done.stderr

"""A command that is killed (SIGKILL) before each of its writes to the database, one after the other, until it ends."""

import os
import subprocess
import sys
from pathlib import Path

#: One process that imports everything once, and has a child for each moment; it opens no connection itself.
_DRIVER = """
import os, signal, sys
from pymongo import monitoring
import campaign.commands.lifecycle.pausing, campaign.commands.lifecycle.removal
from campaign.cli.app import app

WRITES = {"insert", "update", "delete", "findAndModify"}

def is_moment(event):
    # in the middle of a transaction MongoDB itself undoes it, a minute later: killed before it begins
    if "autocommit" in event.command:
        return bool(event.command.get("startTransaction"))
    return event.command_name in WRITES

class Killer(monitoring.CommandListener):
    def __init__(self, at):
        self.left = at

    def started(self, event):
        if is_moment(event):
            self.left -= 1
            if not self.left:
                os.kill(os.getpid(), signal.SIGKILL)

    def succeeded(self, event):
        pass

    failed = succeeded

for at in range(1, 200):
    child = os.fork()
    if not child:
        monitoring.register(Killer(at))
        app(sys.argv[1:], standalone_mode=False)
        sys.stdout.flush()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if status != signal.SIGKILL:
        break
print(f"kills {at - 1} status {status}", flush=True)
"""


def killed_at_every_write(*words: str | Path) -> tuple[int, str]:
    """Run a command of `campaign`, killed before its first write, its second ..., until it comes to its end.

    Returns
    -------
    int, str
        How often it was killed, and what the last one printed.
    """
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    lines = done.stdout.splitlines()
    kills, status = int(lines[-1].split()[1]), int(lines[-1].split()[3])
    assert status == 0, done.stdout + done.stderr
    return kills, " ".join(" ".join(lines[:-1]).split())

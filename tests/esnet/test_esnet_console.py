"""What all commands do alike at their end."""

import signal
import subprocess
import sys

import pytest

#: A command that handles SIGTERM as `campaign run` does, and is sent a signal while Python ends.
PROGRAM = """
import atexit, os, signal, typer
from esnet.commands.console import run_app

def interrupt(*_):
    raise KeyboardInterrupt

app = typer.Typer()

@app.command()
def main():
    if {ignored}:
        signal.signal({number}, signal.SIG_IGN)
    elif {number} != signal.SIGINT:
        signal.signal({number}, interrupt)
    atexit.register(lambda: os.kill(os.getpid(), {number}))

run_app(app, lambda error: None)
"""


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_ends_a_command_that_is_ending_without_a_traceback(number, ignored):
    program = PROGRAM.format(number=int(number), ignored=ignored)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout + done.stderr) == (0 if ignored else -number, "")

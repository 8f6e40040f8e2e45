"""Commands in real processes on terminals, pipes and files that are not as one would wish: one line, no traceback."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PIPE_CLOSED = (0, 141)
COMMANDS = {
    "help": "campaign --help",
    "version": "esnet --version",
    "replay": f"campaign replay {ROOT}/examples/replay.csv",
    "describe": "esnet describe gpaw-fast-binary",
}
OF_A_DATABASE = {"status": "campaign status quickstart", "results": "campaign results quickstart --format csv"}


def shell(line: str, folder: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `campaign` and `esnet` are those of this working tree."""
    functions = "".join(
        f"{name}() {{ {sys.executable} -c 'import sys; from {name}.cli.main import main; main()' \"$@\"; }}\n"
        for name in ("campaign", "esnet")
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(
        ["bash", "-c", functions + line],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding=variables.get("PYTHONIOENCODING", "utf-8"),
        timeout=120,
    )


def is_one_line(text: str) -> bool:
    return text.startswith("error: ") and text.count("\n") == 1 and text.endswith("\n")


@pytest.fixture(params=[*COMMANDS, *(pytest.param(name, marks=pytest.mark.mongo) for name in OF_A_DATABASE)])
def command(request) -> tuple[str, Path]:
    """A command line, and the folder to call it in."""
    if request.param in COMMANDS:
        return COMMANDS[request.param], ROOT
    return OF_A_DATABASE[request.param], request.getfixturevalue("finished_once").folder


def test_a_standard_output_that_is_full_or_closed_is_one_line(command):
    line, folder = command
    for where, reason in ((">/dev/full", "No space left on device"), (">&-", "standard output is closed")):
        done = shell(f"{line} {where}", folder)
        assert done.returncode == 2, where
        assert is_one_line(done.stderr), done.stderr
        assert reason in done.stderr


def test_a_pipe_whose_reader_has_gone_ends_a_command_quietly(command):
    line, folder = command
    done = shell(f"{line} | true; exit ${{PIPESTATUS[0]}}", folder)
    assert done.returncode in PIPE_CLOSED
    assert done.stderr == ""
    first = shell(f"{line} | head -1; exit ${{PIPESTATUS[0]}}", folder)
    assert first.returncode in PIPE_CLOSED
    assert (first.stdout.count("\n"), first.stderr) == (1, "")


def test_a_terminal_without_utf_8_gets_characters_that_it_has(command):
    line, folder = command
    done = shell(line, folder, PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u" not in done.stdout
    if "status" in line:
        assert "###" in done.stdout


def test_a_closed_standard_error_ends_nothing():
    assert shell("campaign --version 2>&-").returncode == 0
    assert shell("campaign check nowhere.yaml 2>&-").returncode == 2


@pytest.mark.parametrize("line", ["campaign check x.yaml", "campaign status x", "esnet describe x"])
def test_a_working_folder_that_was_removed_is_one_line(tmp_path, line):
    done = shell(f"mkdir gone; cd gone; rmdir ../gone; {line}", tmp_path)
    assert done.returncode == 2
    assert is_one_line(done.stderr)
    assert "working folder" in done.stderr


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.4])
@pytest.mark.parametrize("words", [["campaign", "check", "examples/quickstart.yaml"], ["esnet", "describe", "nothing"]])
def test_ctrl_c_is_one_line_from_the_first_import_on(words, seconds):
    """Where `main` begins; what Python does before that is not ours."""
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"  # a job in the background ignores it
        f"import sys; from {words[0]}.cli.main import main; sys.argv = {words!r};"
        "sys.stdout.write('begun'); sys.stdout.flush(); main()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read(5)
    time.sleep(seconds + 0.005)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    lines = errors.decode().splitlines()
    if lines[-1:] == ["stopped by Ctrl-C"]:
        assert process.returncode == 130
        lines.pop()
    else:  # it had come to its end, and Python, which puts SIGINT back as it was, to its own
        assert process.returncode in (0, 2, -signal.SIGINT)
    assert lines == [] or is_one_line(errors.decode().removesuffix("stopped by Ctrl-C\n"))


def test_advice_names_a_program_as_the_shell_finds_it(tmp_path):
    """`make` starts .venv/bin/campaign of a folder whose programs the user's shell does not find."""
    program = tmp_path / "its bin" / "campaign"
    program.parent.mkdir()
    code = f"from esnet.commands.console import typed_program\nprint(typed_program('{program.name}'))\n"
    program.write_text(f"#!{sys.executable}\n{code}")
    program.chmod(0o755)
    others = os.environ["PATH"].replace(str(Path(sys.executable).parent), "/nowhere")

    def said(line: str, path: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": path}
        done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True)
        return done.stdout.strip() or done.stderr

    assert said("'its bin/campaign'", others) == "'its bin/campaign'"
    for line in ("campaign", "'its bin/campaign'"):
        assert said(line, f"{program.parent}:{others}") == "campaign"

"""The help of `campaign` and `esnet`: complete, and with an example that can be typed."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from command_lines import PROGRAMS, commands, problem_of
from typer.testing import CliRunner

from campaign.cli.app import app as campaign_app
from esnet.cli.app import app as esnet_app

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = commands()
APPS = {"campaign": campaign_app, "esnet": esnet_app}
ALL = pytest.mark.parametrize("words", COMMANDS)


def example(words: str) -> str:
    """The last line of a command's help."""
    return (COMMANDS[words].help or "").strip().splitlines()[-1].strip()


def test_both_programs_and_their_groups_are_looked_at():
    assert {*PROGRAMS, "campaign run", "campaign db start", "esnet dataset info"} <= set(COMMANDS)


@ALL
def test_the_help_of_every_command_ends_with_an_example_of_it(words):
    assert example(words).startswith(f"Example: {words} ") or example(words) == f"Example: {words}"


@ALL
def test_an_example_can_be_typed_as_it_stands(words):
    assert problem_of(example(words).removeprefix("Example: "), COMMANDS) is None


@ALL
def test_every_command_says_what_it_does_and_every_option_what_it_means(words):
    command = COMMANDS[words]
    said = command.help.split("Example:")[0].strip()
    assert len(said) > 20, words
    silent = [found.name for found in command.params if not (getattr(found, "help", None) or "").strip()]
    assert not silent, f"{words}: no help text for {silent}"


@ALL
def test_help_is_also_h_and_shows_no_value_where_none_is_typed(words):
    program, *rest = words.split()
    said = [CliRunner().invoke(APPS[program], [*rest, option], env={"COLUMNS": "200"}) for option in ("--help", "-h")]
    assert said[0].output == said[1].output
    assert "Example: " in said[0].output
    assert "bool" not in said[0].output


@ALL
def test_an_option_left_out_means_what_its_help_says(words):
    """Shown by typer, a flag, required, or said in the text; else a reader cannot know what happens without it."""
    unsaid = [
        found.name
        for found in COMMANDS[words].params
        if found.param_type_name == "option"
        and not found.required
        and not getattr(found, "is_flag", False)
        and (found.default is None or found.show_default is False)
        and "default" not in found.help.lower()
    ]
    assert not unsaid, f"{words}: say the default of {unsaid}"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("campaign run file.yaml --workers 4  # four of them", None),
        ("campaign frun file.yaml", "no subcommand frun"),
        ("campaign run file.yaml --wrokers 4", "no option --wrokers"),
        ("campaign run --workers 4", "0 arguments"),
        ("campaign run file.yaml --workers", "without a value"),
        ("esnet tune data out --learning-rate 0.001 0.002", None),
        ("campaign --version", None),
        ("campaign --verison", "no subcommand --verison"),
    ],
)
def test_a_misspelt_command_line_is_found(line, problem):
    found = problem_of(line, COMMANDS)
    assert (found is None) if problem is None else (problem in found)


def answer(program: str, *words: str, **variables: str) -> str:
    """Standard output of a program in a process of its own."""
    code = f"import sys; sys.argv = {[program, *words]!r}; from {program}.cli.main import main; main()"
    environment = {**os.environ, **variables}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_version_is_the_one_that_pyproject_states(program):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert answer(program, "--version") == f"{project['name']} {project['version']}\n"


@pytest.mark.parametrize(
    ("program", "typed", "completed"), [("campaign", "rec", "reconcile"), ("esnet", "tr", "train")]
)
def test_shell_completion_finds_a_subcommand(program, typed, completed):
    variables = {f"_{program.upper()}_COMPLETE": "complete_bash", "COMP_WORDS": f"{program} {typed}", "COMP_CWORD": "1"}
    assert answer(program, **variables).split() == [completed]

"""Settings of a cluster from a user's answers, given as options or on a terminal."""

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer

from launchers.cluster.errors import ClusterError
from launchers.cluster.site import CATEGORIES, SiteSettings

_NUMBERS = ("ntasks", "nodes", "gpus", "max_jobs", "jobs_per_allocation", "side_by_side", "weight")
_OPTION = {"ntasks": "--cores"}
#: A campaign has one training and occasional Screens.
_FEW_JOBS = {"train": 2, "screen": 4}


@dataclass(frozen=True, kw_only=True)
class SiteAnswers:
    """Answers; None or empty if not given.

    Attributes
    ----------
    of_queues
        For each field of a queue's settings, values as ``CATEGORY=VALUE``, or ``VALUE`` for all categories.
    """

    scheduler: str | None
    account: str | None
    name: str
    modules: Sequence[str]
    environment: Sequence[str]
    vasp_command: str | None
    launch_directory: Path
    launchpad: Path
    of_queues: Mapping[str, Sequence[str]]


def site_settings(answers: SiteAnswers) -> SiteSettings:
    """Return the settings of the cluster; on a terminal, ask for missing values.

    Raises
    ------
    ClusterError
        If a value is missing without a terminal, or invalid.
    """
    given = {name: _by_category(name, values) for name, values in answers.of_queues.items()}
    missing = [] if answers.scheduler else ["--scheduler"]
    without = [category for category in CATEGORIES if category not in given["queue"]]
    missing += ["--queue NAME"] if without == list(CATEGORIES) else [f"--queue {category}=NAME" for category in without]
    if missing and not sys.stdin.isatty():
        raise ClusterError(
            f"campaign cluster init: missing: {', '.join(missing)}; on a terminal, the command asks for them"
        )
    if missing:
        answers = _ask(answers, given)
    queues = {category: dict(_queue(category, given)) for category in CATEGORIES}
    content = {
        "name": answers.name,
        "scheduler": answers.scheduler,
        "account": answers.account,
        "launchpad": str(answers.launchpad),
        "launch_directory": str(answers.launch_directory),
        "python": sys.executable,
        "modules": list(answers.modules),
        "environment": [*_environment(), *answers.environment],
        "vasp_command": answers.vasp_command,
        "queues": queues,
    }
    return SiteSettings.from_dict(content, origin="campaign cluster init")


def _by_category(name: str, values: Sequence[str]) -> dict[str, Any]:
    """Return the values of one field by category; a value without category applies to those without one."""
    found: dict[str, Any] = {}
    special: dict[str, Any] = {}
    for text in values:
        category, sign, value = text.partition("=")
        if not sign:
            found |= dict.fromkeys(CATEGORIES, _value(name, text))
        elif category in CATEGORIES:
            special[category] = _value(name, value)
        else:
            raise ClusterError(
                f"{_option(name)} {text}: there is no category {category!r}; right: {', '.join(sorted(CATEGORIES))}"
            )
    return {**found, **special}


def _value(name: str, text: str) -> Any:
    if name not in _NUMBERS:
        return text
    if not text.isdigit():
        raise ClusterError(f"{_option(name)} {text}: should be an integer")
    return int(text)


def _option(name: str) -> str:
    return _OPTION.get(name, f"--{name.replace('_', '-')}")


def _queue(category: str, given: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    if category in _FEW_JOBS:
        yield "max_jobs", _FEW_JOBS[category]
    for name, values in given.items():
        if category in values:
            yield name, values[category]


def _environment() -> Iterator[str]:
    """Yield shell lines that activate this virtual environment in a job, with one thread per MPI process."""
    activate = Path(sys.prefix) / "bin" / "activate"
    if activate.is_file():
        yield f"source {shlex.quote(str(activate))}"
    yield "export OMP_NUM_THREADS=1"


def _ask(answers: SiteAnswers, given: dict[str, dict[str, Any]]) -> SiteAnswers:
    """Ask on the terminal for missing values; answers about queues are added to `given`."""

    def optional(question: str, known: str | None) -> str | None:
        return known or typer.prompt(f"{question} (empty: none)", default="", show_default=False) or None

    scheduler = answers.scheduler or typer.prompt("Scheduler (slurm or pbs)", default="slurm")
    account = optional("Account to charge", answers.account)
    modules = optional("Modules to load, separated by spaces", " ".join(answers.modules))
    vasp_command = optional("Command line of VASP, e.g. srun vasp_std", answers.vasp_command)
    word = "Partition" if scheduler == "slurm" else "Queue"
    last = None
    for category in reversed(CATEGORIES):
        if category not in given["queue"]:
            last = given["queue"][category] = typer.prompt(f"{word} for {category}", default=last)
    for name, question, default in (
        ("walltime", "Time limit of a {} job, HH:MM:SS", "04:00:00"),
        ("ntasks", "Cores of a {} job", "1"),
        ("gpus", "GPUs of a {} job", "0"),
    ):
        for category in reversed(CATEGORIES):
            if category not in given[name]:
                given[name][category] = _value(name, typer.prompt(question.format(category), default=default))
    return replace(
        answers, scheduler=scheduler, account=account, modules=(modules or "").split(), vasp_command=vasp_command
    )

"""Check whether jobs can run on this node: ``python -m launchers.cluster.node_check``.

The program runs on the login node and, as a queue job, on a compute node of each queue. It writes its findings as JSON
atomically, so that a process waiting for the file reads all of it.
"""

import argparse
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pymongo.errors import PyMongoError

from launchers.cluster.walltime import job_id
from launchers.database.check import check_database
from launchers.database.errors import DatabaseError, DatabaseSilent
from launchers.database.job_store import open_job_store
from launchers.database.settings import DatabaseSettings

#: Packages that must have the same version wherever a campaign runs.
PACKAGES = ("esnet-campaign", "fireworks", "pymatgen")
_LARGEST_SKEW_S = 5.0


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes
    ----------
    what
        The subject, and what was found.
    remedy
        The remedy; None if all is well.
    is_warning
        Whether jobs can run without the remedy.
    """

    what: str
    remedy: str | None = None
    is_warning: bool = False


def _findings(launchpad_file: Path, directory: Path, questions: Sequence[str]) -> Iterator[Finding]:
    """Yield the findings of everything that a job needs here; VASP is only checked if there are questions about it."""
    yield from _look_at_database(launchpad_file)
    yield _look_at_directory(directory)
    rlaunch = Path(sys.executable).parent / "rlaunch"
    if os.access(rlaunch, os.X_OK):
        yield Finding(f"rlaunch: {rlaunch}")
    else:
        yield Finding(f"rlaunch: {rlaunch} is not there", "install FireWorks into this Python's environment")
    if questions:
        yield from _look_at_engine(questions)


def _versions() -> dict[str, str]:
    """Return the versions that must agree everywhere; ``absent`` for a missing package."""
    found = {"python": ".".join(map(str, sys.version_info[:2]))}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def _look_at_database(launchpad_file: Path) -> Iterator[Finding]:
    try:
        settings = DatabaseSettings.from_file(launchpad_file)
        check_database(settings)
    except DatabaseError as error:
        yield Finding(f"database: {error}", _remedy(error, launchpad_file))
        return
    yield Finding(f"database: {settings.address} answers")
    if settings.is_local and _in_job():
        yield Finding(
            f"database: {settings.address} is this node itself",
            "in my_launchpad.yaml, name the database's host as the nodes see it; on a single machine this is right",
        )
    yield _look_at_clock(settings)
    yield _look_at_data_store(settings)


def _remedy(error: DatabaseError, launchpad_file: Path) -> str:
    """Return the remedy of a database error; only one of a node that gets no answer is about its way to the server."""
    if not isinstance(error, DatabaseSilent):
        return f"correct {launchpad_file}, or the database that it names"
    if not _in_job():
        return f"start that database (`campaign db start` for the embedded one), or correct {launchpad_file}"
    return "if it runs, this node has no way to it: docs/how-to/nodes-without-database.md"


def _in_job() -> bool:
    # nodes of a test cluster on one machine share its loopback address, so the answer above is correct there

    submitted_from = os.environ.get("SLURM_SUBMIT_HOST") or os.environ.get("PBS_O_HOST")
    return job_id() is not None and submitted_from not in (None, socket.gethostname())


def _look_at_clock(settings: DatabaseSettings) -> Finding:
    with settings.client() as client:
        before = datetime.now(UTC)
        server = client.admin.command("hello")["localTime"].replace(tzinfo=UTC)
        after = datetime.now(UTC)
    # the server's time lies between the two; the uncertainty is half their distance
    skew = (server - (before + (after - before) / 2)).total_seconds()
    text = f"clock: {skew:+.1f} s between the database's and this one"
    if abs(skew) <= _LARGEST_SKEW_S + (after - before).total_seconds() / 2:
        return Finding(text)
    return Finding(text, "let both machines take their time from NTP: times of launches and limits would not fit")


def _look_at_data_store(settings: DatabaseSettings) -> Finding:
    try:
        with open_job_store(settings) as store:
            names = sorted(store.additional_stores)
    except PyMongoError as error:
        return Finding(
            f"JobStore: {settings.redacted(error)}", "the database's user needs to read and write (role readWrite)"
        )
    if "data" not in names:
        remedy = "atomate2 keeps the DOS there: see docs/how-to/cluster.md"
        return Finding("JobStore: has no additional store data", remedy)
    return Finding("JobStore: outputs, and the additional store data")


def _look_at_directory(directory: Path) -> Finding:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".cluster-check-") as file:
            file.write(b"written")
            file.flush()
            free = shutil.disk_usage(directory).free / 2**30
    except OSError as error:
        remedy = "name another launch_directory in cluster.yaml, one that all nodes can write to"
        return Finding(f"launch directory: {directory}: {error.strerror}", remedy)
    return Finding(f"launch directory: {directory} can be written to, {free:.0f} GiB free")


def _look_at_engine(questions: Sequence[str]) -> Iterator[Finding]:
    """Check VASP and its POTCARs using `workflows`, which this package does not import."""
    command = [sys.executable, "-m", "workflows.engine_check", *questions]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        yield from (Finding(**finding) for finding in json.loads(done.stdout))
    except ValueError:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        yield Finding(f"VASP: could not be looked for: {said}", f"run it by hand: {shlex.join(command)}")


def _report(launchpad_file: Path, directory: Path, questions: Sequence[str]) -> dict[str, Any]:
    """Return all findings of this node in JSON types."""
    return {
        "host": socket.gethostname(),
        "node": os.environ.get("SLURMD_NODENAME"),
        "findings": [asdict(finding) for finding in _findings(launchpad_file, directory, questions)],
        "versions": _versions(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m launchers.cluster.node_check``."""
    parser = argparse.ArgumentParser(prog="python -m launchers.cluster.node_check", description=__doc__)
    parser.add_argument("--launchpad", type=Path, required=True, help="my_launchpad.yaml")
    parser.add_argument("--directory", type=Path, required=True, help="where calculations run")
    parser.add_argument("--command", action="append", default=[], help="command line of VASP; may be repeated")
    parser.add_argument("--potcars", action="append", default=[], help="POTCARs, SET:ELEMENT,...; may be repeated")
    parser.add_argument("--output", type=Path, required=True, help="file to write, JSON")
    options = parser.parse_args(arguments)
    questions = [f"--command={command}" for command in options.command]
    questions += [f"--potcars={wanted}" for wanted in options.potcars]
    text = json.dumps(_report(options.launchpad, options.directory, questions), indent=1)
    unfinished = options.output.with_suffix(".part")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())

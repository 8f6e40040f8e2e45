"""The set-up on machines that are not the usual one: it goes on where it can, and says what is missing where not."""

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
INSTALL = REPOSITORY / "launchers" / "install"
TOOLS = ("sh", "id", "cat", "mktemp", "rm", "tail", "dirname", "grep", "head")


def _machine(folder: Path, programs: dict[str, str] | None = None) -> dict[str, str]:
    """Environment of a machine that has a few tools and these shell scripts only."""
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (folder / tool).symlink_to(found)
    for name, body in (programs or {}).items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    return {"PATH": str(folder)}


def _python(version: str) -> str:
    return f"echo {version}"


def _call(script: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(INSTALL / script), *words], env=variables, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("installed", "taken"),
    [
        ({"python3": "3.11"}, "python3"),
        ({"python3": "3.13"}, "python3"),
        ({"python3": "3.9", "python3.12": "3.12"}, "python3.12"),
        ({"python3": "3.14", "python3.11": "3.11", "python3.13": "3.13"}, "python3.11"),
    ],
)
def test_suitable_python_is_found_whatever_the_default_is(
    tmp_path: Path, installed: dict[str, str], taken: str
) -> None:
    machine = _machine(tmp_path, {name: _python(version) for name, version in installed.items()})
    assert _call("find_python.sh", **machine).stdout.strip() == str(tmp_path / taken)


def test_python_asked_for_is_taken_or_refused_by_name(tmp_path: Path) -> None:
    machine = _machine(tmp_path, {"good": _python("3.12"), "old": _python("3.9")})
    assert _call("find_python.sh", **machine, PYTHON="good").stdout.strip() == str(tmp_path / "good")
    refused = _call("find_python.sh", **machine, PYTHON="old")
    assert refused.returncode == 2
    assert "PYTHON=old is Python 3.9; it must be 3.11, 3.12 or 3.13" in refused.stderr
    absent = _call("find_python.sh", **machine, PYTHON="none")
    assert absent.returncode == 2
    assert "PYTHON=none does not run" in absent.stderr


def test_machine_without_apt_is_told_the_other_means(tmp_path: Path) -> None:
    answer = _call("system_packages.sh", sys.executable, **_machine(tmp_path))
    assert answer.returncode == 1
    for words in ("no apt-get", "libxc", "OpenBLAS", "FFTW", "dnf install", "conda install", "module load"):
        assert words in answer.stderr


def test_user_without_root_is_told_the_packages(tmp_path: Path) -> None:
    machine = _machine(tmp_path, {"apt-get": "echo apt-get was called >&2; exit 1", "id": "echo 1000"})
    answer = _call("system_packages.sh", sys.executable, **machine)
    assert answer.returncode == 1
    assert "apt-get install g++ libxc-dev libopenblas-dev libfftw3-dev" in answer.stderr
    assert "apt-get was called" not in answer.stderr


def test_apt_that_fails_is_shown_and_the_other_means_with_it(tmp_path: Path) -> None:
    machine = _machine(tmp_path, {"apt-get": "echo no mirror; exit 100", "id": "echo 0"})
    answer = _call("system_packages.sh", sys.executable, **machine)
    assert answer.returncode == 1
    assert "no mirror" in answer.stderr
    assert "conda install" in answer.stderr


def test_libraries_that_are_there_need_neither_root_nor_apt(tmp_path: Path) -> None:
    answer = _call("system_packages.sh", sys.executable, **_machine(tmp_path, {"g++": "exit 0"}))
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "are there" in answer.stdout


def test_single_missing_library_is_the_only_one_named(tmp_path: Path) -> None:
    compiler = 'for word; do [ "$word" = -lxc ] && exit 1; done; exit 0'
    answer = _call("system_packages.sh", sys.executable, **_machine(tmp_path, {"g++": compiler}))
    assert answer.returncode == 1
    assert "missing: libxc\n" in answer.stderr


PIP = """
case "$*" in
    *platform*) echo 3.11.7 ;;
    "-m venv"*) mkdir -p .venv/bin; for name in python pip; do cp "$0" .venv/bin/$name; done ;;
    "-m pip install"*-e*)
        echo "Collecting a"; echo "Collecting b"; sleep 3
        echo "Building wheels for collected packages: gpaw"; sleep 3
        echo "Installing collected packages: a, b"; sleep 3
        [ -z "$PIP_FAILS" ] || exit 1 ;;
esac
"""


@pytest.mark.parametrize("fails", ["", "yes"])
def test_the_long_installation_says_what_is_done_and_what_is_left(tmp_path: Path, fails: str) -> None:
    install = tmp_path / "launchers" / "install"
    shutil.copytree(INSTALL, install)
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    (install / "system_packages.sh").write_text("exit 0")
    python = tmp_path / "fake"
    python.write_text(f"#!/bin/sh\n{PIP}")
    python.chmod(0o755)
    (install / "find_python.sh").write_text(f"echo {python}")
    environment = {"PATH": os.environ["PATH"], "SETUP_WATCH_S": "1", "PIP_FAILS": fails}
    began = time.monotonic()
    done = subprocess.run(
        ["/bin/sh", str(install / "setup.sh"), "run"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == (1 if fails else 0), done.stdout + done.stderr
    for words in ("about 170 of them", "2 of about 170 packages fetched; then", "building GPAW (1", "the last step (1"):
        assert words in done.stdout, done.stdout + done.stderr
    assert ("pip could not install" in done.stderr) is bool(fails)
    # nothing of it holds the output open after its end
    assert time.monotonic() - began < 60


def test_constraints_name_every_package_that_we_ask_for_once() -> None:
    def normal(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    lines = (INSTALL / "constraints.txt").read_text().splitlines()
    pinned = [normal(line.split("==")[0]) for line in lines if not line.startswith("#")]
    assert len(pinned) == len(set(pinned))
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *(line for name, lines in extras.items() if name != "gpu" for line in lines)]
    wanted = set()
    for requirement in asked:
        match = re.match(r"[A-Za-z0-9._-]+", requirement)
        assert match is not None
        wanted.add(normal(match.group()))
    assert wanted - set(pinned) == set()


def test_install_files_name_no_host_and_no_folder_of_this_machine() -> None:
    for path in [*INSTALL.iterdir(), REPOSITORY / "Makefile", REPOSITORY / ".ci" / "run"]:
        if path.is_file():
            text = path.read_text()
            assert not re.search(r"https?://|--index-url|--find-links|\.pypi|pypi\.", text), path
            assert str(REPOSITORY) not in text


def test_shell_scripts_parse_and_are_executable() -> None:
    for script in INSTALL.glob("*.sh"):
        subprocess.run(["/bin/sh", "-n", str(script)], check=True)
        assert os.access(script, os.X_OK)
    assert os.access(REPOSITORY / ".ci" / "run", os.X_OK)


def test_siteconfig_uses_an_active_conda_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import runpy

    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    plain = runpy.run_path(str(INSTALL / "siteconfig.py"))
    assert plain["mpi"] is False
    assert "library_dirs" not in plain
    monkeypatch.setenv("CONDA_PREFIX", "/opt/some-conda")
    assert runpy.run_path(str(INSTALL / "siteconfig.py"))["library_dirs"] == ["/opt/some-conda/lib"]

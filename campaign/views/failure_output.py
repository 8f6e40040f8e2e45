"""Relevant last lines of the output of VASP, custodian and the batch system in a launch directory."""

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_TAIL_BYTES = 20_000
_MOST_LINES = 3
#: The batch system's own files: FireWorks' templates call them JOBNAME-JOBID.error, or FW_job.error.
_FILES = ("std_err.txt", "vasp.out", "*.error", "engine.log")
_MATTERS = re.compile(
    r"error|fail|kill|cancel|time limit|memory|abort|refused|not found|no space|segmentation|traceback|exceeded|denied",
    flags=re.IGNORECASE,
)


def last_lines(directory: str | None, *, host: str | None = None) -> list[str]:
    """Return the relevant last lines of a launch directory's output, each with its file's name.

    Parameters
    ----------
    directory
        The directory, or ``host:directory``.
    host
        Where it was written, for the message that it cannot be reached.
    """
    if not directory:
        return ["no launch directory is known"]
    # emmet writes host:path
    path = Path(re.sub(r"^[\w.-]+:(?=/)", "", directory))
    if not path.is_dir():
        return [f"not reachable from here: {path}{f' on {host}' if host else ''}"]
    return list(_error_lines(path)) or ["its files mention no error"]


def _error_lines(folder: Path) -> Iterator[str]:
    yield from _custodian_lines(folder)
    for pattern in _FILES:
        for path in sorted([*folder.glob(pattern), *folder.glob(f"{pattern}.gz")]):
            said = [line.strip() for line in _tail(path).splitlines() if line.strip()]
            matters = [line for line in said if _MATTERS.search(line)]
            for line in (matters or (said if path.name.startswith("std_err") else []))[-_MOST_LINES:]:
                yield f"{path.name}: {line[:200]}"


def _custodian_lines(folder: Path) -> Iterator[str]:
    for name in ("custodian.json", "custodian.json.gz"):
        try:
            log: list[dict[str, Any]] = json.loads(_whole(folder / name))
        except (OSError, ValueError):
            continue
        corrections = [correction for job in log for correction in job.get("corrections") or []]
        for correction in corrections[-_MOST_LINES:]:
            done = json.dumps(correction.get("actions"))[:120]
            yield f"{name}: {', '.join(map(str, correction.get('errors') or []))} -> {done}"


def _whole(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode(errors="replace")


def _tail(path: Path) -> str:
    try:
        if path.suffix == ".gz":
            return _whole(path)[-_TAIL_BYTES:]
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
            return file.read().decode(errors="replace")
    except (OSError, EOFError) as error:
        return f"cannot be read: error {error}"

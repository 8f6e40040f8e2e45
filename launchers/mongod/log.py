"""Read from mongod's log why it ended and where it listened."""

import json
from collections.abc import Mapping
from pathlib import Path

LOG_NAME = "mongod.log"
READ_LIMIT = 2**18  # bytes read from the end of the log
REASONS = 3
DETAIL_LIMIT = 200  # characters


def size_of(path: Path) -> int:
    """Return a file's size in bytes, 0 if it does not exist."""
    return path.stat().st_size if path.is_file() else 0


def why_it_ended(log: Path, output: str, *, since: int = 0) -> str:
    """Return the first errors written by a mongod; later ones are mostly consequences.

    Parameters
    ----------
    log
        Its log, one JSON document per line.
    output
        Its last terminal output, in case it ended before creating a log.
    since
        Size of the log, in bytes, when this mongod was started; earlier lines are from another one.
    """
    reasons: list[str] = []
    for line in _lines(log, since):
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # a truncated line
        if isinstance(entry, Mapping) and entry.get("s") in {"E", "F"}:
            attributes = entry.get("attr", {})
            details = [str(attributes[key])[:DETAIL_LIMIT] for key in ("error", "message") if attributes.get(key)]
            reasons.append(" ".join([str(entry.get("msg")), *details]))
    if not reasons:
        reasons = [output or "it gave no reason"]
    return f"{'; '.join(list(dict.fromkeys(reasons))[:REASONS])} (log: {log})"


def _lines(path: Path, since: int) -> list[str]:
    size = size_of(path)
    if size == 0:
        return []
    with path.open("rb") as file:
        file.seek(max(since, size - READ_LIMIT))
        return file.read().decode("utf-8", "replace").splitlines()


def last_port(log: Path) -> int | None:
    """Return the port of the mongod started last, None if the log does not contain it."""
    port = None
    try:
        with log.open("rb") as file:
            for line in file:
                if b'"Options set by command line"' in line:
                    port = json.loads(line)["attr"]["options"]["net"]["port"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return port if isinstance(port, int) else None

"""JSON with its own checksum, to detect truncated or altered files.

There are two forms: a line with ``sha256`` next to its fields, and a file with ``sha256`` next to ``result``.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from esnet.files.atomic import sha256_of_json, write_whole

_SEAL, _RESULT = "sha256", "result"


def sealed_line(content: Mapping[str, Any]) -> str:
    """Return a line of JSON with the checksum of its content and a newline."""
    return json.dumps({**content, _SEAL: sha256_of_json(content)}) + "\n"


def read_sealed_line(line: str | bytes) -> dict[str, Any] | None:
    """Return the content of a line from `sealed_line`, or None if it was truncated or altered."""
    try:
        content = json.loads(line)
    except ValueError:
        return None
    if not isinstance(content, dict) or content.pop(_SEAL, None) != sha256_of_json(content):
        return None
    return content


def write_sealed(file: Path, result: Mapping[str, Any]) -> None:
    """Write a result as JSON atomically."""
    content = json.loads(json.dumps(result, allow_nan=False))
    write_whole(file, json.dumps({_RESULT: content, _SEAL: sha256_of_json(content)}))


def read_sealed(file: Path) -> dict[str, Any] | None:
    """Return the result written by `write_sealed`, or None if the file is missing, truncated or altered."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(found, dict) or found.get(_SEAL) != sha256_of_json(found.get(_RESULT)):
        return None
    result: dict[str, Any] | None = found[_RESULT] if isinstance(found.get(_RESULT), dict) else None
    return result

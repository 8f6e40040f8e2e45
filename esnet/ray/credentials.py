"""Token of the connected Ray, and files that only this user can read."""

import os
from pathlib import Path


def ray_token() -> str:
    """Return the token as Ray finds it, from RAY_AUTH_TOKEN or else the file at RAY_AUTH_TOKEN_PATH.

    Empty if there is none.
    """
    token = os.environ.get("RAY_AUTH_TOKEN", "")
    if not token and (path := os.environ.get("RAY_AUTH_TOKEN_PATH")):
        token = Path(path).read_text(encoding="utf-8")
    return token.strip()


def write_private(path: Path, text: str) -> Path:
    """Write a file that only this user can read, replacing an existing one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return path

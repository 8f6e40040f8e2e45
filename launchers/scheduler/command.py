"""Run a scheduler's command without a shell, with a time limit, distinguishing silence from an answer."""

import logging
import os
import subprocess
from collections.abc import Mapping, Sequence

logger = logging.getLogger(__name__)

#: A busy controller is slow; an unavailable one must not block the caller.
TIMEOUT_S = 30.0


def answer(
    command: Sequence[str], *, timeout_s: float = TIMEOUT_S, environment: Mapping[str, str] | None = None
) -> str | None:
    """Return a command's output, or None if it failed, is absent, or took longer than ``timeout_s`` seconds.

    The ``environment`` is added to that of this process.
    """
    done = _ended(command, timeout_s, environment)
    if done is None:
        return None
    if done.returncode:
        logger.debug("%s failed with %d: %s", command[0], done.returncode, done.stderr.strip()[:500])
        return None
    return done.stdout


def failure(command: Sequence[str], *, timeout_s: float = TIMEOUT_S) -> str | None:
    """Return why a command failed, in its own words if it gave any; None if it succeeded."""
    done = _ended(command, timeout_s, None)
    if done is None:
        return f"{command[0]} is not here, or does not answer"
    return (done.stderr.strip() or f"{command[0]} ended with code {done.returncode}") if done.returncode else None


def refusal(command: Sequence[str], *, timeout_s: float = TIMEOUT_S) -> str | None:
    """Return why a command failed, in its own words; None if it succeeded, is absent, or took too long."""
    done = _ended(command, timeout_s, None)
    return None if done is None or not done.returncode else done.stderr.strip()


def _ended(
    command: Sequence[str], timeout_s: float, environment: Mapping[str, str] | None
) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env={**os.environ, **(environment or {})},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        logger.debug("%s does not answer: %s", command[0], error)
        return None

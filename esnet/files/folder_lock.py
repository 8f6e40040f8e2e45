"""Lock that restricts a folder to one process at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(lock: Path, *, busy: Exception) -> Iterator[None]:
    """Hold a lock file, which the kernel releases when the process ends; raise ``busy`` if another process holds it."""
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise busy from error
        yield

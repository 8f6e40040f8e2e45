"""A folder in which nothing of another calculation lies."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

_OF_A_CALCULATION = ("vasprun.xml*", "OUTCAR*", "INCAR*")


@contextmanager
def own_folder() -> Iterator[None]:
    """Work in a new folder below the current one where files of a calculation lie there already.

    ``rlaunch singleshot`` and ``qlaunch singleshot`` run one calculation after the other where they were started:
    files left by the last one would be read as the output of the next.
    """
    launch = Path.cwd()
    if not any(path for pattern in _OF_A_CALCULATION for path in launch.glob(pattern)):
        yield
        return
    own = launch / f"calculation_{uuid4().hex[:12]}"
    own.mkdir()
    os.chdir(own)
    try:
        yield
    finally:
        os.chdir(launch)

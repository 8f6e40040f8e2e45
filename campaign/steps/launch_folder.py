"""A working folder without the files of another calculation."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

_OF_A_CALCULATION = ("vasprun.xml*", "OUTCAR*", "INCAR*")


@contextmanager
def own_folder() -> Iterator[None]:
    """Change to a new subfolder for the duration of the context if the current folder holds files of a calculation.

    ``rlaunch singleshot`` and ``qlaunch singleshot`` run calculations one after the other in the folder where they were
    started: files left by one would be read as the output of the next.
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

"""vasp-gpaw's own outputs, played back where the same inputs were computed before; else it computes, and is recorded.

A campaign of six candidates then takes seconds, and every file in it is a real one. While a calculation is played back
its files are there in part, as those of an engine at work are.

Environment: ``CHAOS_RECORDED`` is the folder of the recordings, ``CHAOS_ENGINE_S`` how long a calculation lasts.
"""

import atexit
import hashlib
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

INPUTS = ("INCAR", "KPOINTS", "POSCAR", "POTCAR", "POTCAR.spec")
OUTPUTS = ("OSZICAR", "OUTCAR", "XDATCAR", "DOSCAR", "CONTCAR", "vasprun.xml")


def play_or_record() -> None:
    """End this process with the recorded outputs; return, to compute, where there are none yet."""
    here = Path.cwd()
    recorded = Path(os.environ["CHAOS_RECORDED"])
    folder = recorded / _key(here)
    if folder.is_dir():
        _play(folder, here, seconds=float(os.environ.get("CHAOS_ENGINE_S", "1")))
        sys.stdout.flush()
        os._exit(0)
    atexit.register(_record, here, folder)


def _key(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in INPUTS:
        if (folder / name).is_file():
            digest.update(name.encode() + (folder / name).read_bytes())
    return digest.hexdigest()


def _play(folder: Path, here: Path, *, seconds: float) -> None:
    for path in folder.iterdir():
        content = path.read_bytes()
        (here / path.name).write_bytes(content[: int(len(content) * random.uniform(0.1, 0.9))])
    time.sleep(seconds)
    for path in folder.iterdir():
        shutil.copyfile(path, here / path.name)


def _record(here: Path, folder: Path) -> None:
    """Keep the outputs of a calculation that has ended well; of two at the same time the first one's stay."""
    report = here / "vasprun.xml"
    if not report.is_file() or not report.read_bytes().rstrip().endswith(b"</modeling>"):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".recording-"))
    for name in OUTPUTS:
        if (here / name).is_file():
            shutil.copyfile(here / name, beside / name)
    try:
        beside.rename(folder)
    except OSError:
        shutil.rmtree(beside)

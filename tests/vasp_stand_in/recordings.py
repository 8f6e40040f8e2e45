"""Outputs by the key of their inputs: recorded once with vasp-gpaw, packed, and found again.

``python -m vasp_stand_in.recordings FOLDER`` packs the recordings of a folder into recordings.tar.xz beside this file.
"""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

PACKED = Path(__file__).with_name("recordings.tar.xz")
#: DOSCAR is not among them: it is large, and vasprun.xml has the same numbers (`vasp_stand_in.rewriting`).
OUTPUTS = ("OSZICAR", "OUTCAR", "XDATCAR", "CONTCAR", "vasprun.xml")


def unpack(folder: Path) -> None:
    """Put the recordings that come with the tests into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if PACKED.exists():
        with tarfile.open(PACKED) as archive:
            archive.extractall(folder, filter="data")


def pack(folder: Path) -> None:
    """Pack a folder of recordings, the same bytes for the same recordings."""
    with tarfile.open(PACKED, "w:xz", preset=9) as archive:
        # files of one name side by side: they differ little
        for path in sorted(folder.glob("*/*"), key=lambda found: (found.name, found.parent.name)):
            if path.name in OUTPUTS and not path.parent.name.startswith("."):
                archive.add(path, arcname=f"{path.parent.name}/{path.name}", filter=_anonymous)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mtime, entry.mode = 0, 0o644
    return entry


def read(folder: Path) -> dict[str, str]:
    """Texts of a recording by the names of the files."""
    return {name: (folder / name).read_text(encoding="utf-8") for name in OUTPUTS if (folder / name).is_file()}


def keep(source: Path, folder: Path) -> None:
    """Keep the outputs in a folder as a recording; of two at the same time the first one's stay."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".recording-"))
    for name in OUTPUTS:
        shutil.copyfile(source / name, beside / name)
    beside.chmod(0o755)
    try:
        os.rename(beside, folder)
    except OSError:
        shutil.rmtree(beside)


if __name__ == "__main__":
    pack(Path(sys.argv[1]))

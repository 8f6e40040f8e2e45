"""CPU-seconds of all VASP runs in a launch directory, including failed ones, from their OUTCARs.

Under srun, VASP is not a child of the worker, so the usage of the worker's processes does not include it. custodian
packs the OUTCAR into ``error.N.tar.gz`` before each correction.
"""

import gzip
import hashlib
import re
import tarfile
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

_TOTAL = re.compile(rb"Total CPU time used \(sec\):\s+(\d+(?:\.\d*)?)")
_LOOP = re.compile(rb"(LOOP\+?):\s+cpu time\s*(\d+(?:\.\d*)?)")
#: VASP 5 and earlier 6: `running on   16 total cores`; later: `running   16 mpi-ranks, with    4 threads/rank`.
_RANKS = re.compile(rb"^ running(?: on)?\s+(\d+) (?:total cores|mpi-ranks|cores|nodes)", flags=re.MULTILINE)
_HEAD_BYTES = 20_000
#: Link that custodian makes to its scratch folder.
_SCRATCH_LINK = "scratch_link"
#: A file is written after the start of the run; clocks of file servers differ by less than this.
_SKEW_S = 1.0


class _Run(NamedTuple):
    """One OUTCAR: a digest that identifies its copies, and its cost."""

    digest: str
    cpu_s: float


class OutcarCosts:
    """The OUTCARs of a launch directory, each read once.

    Parameters
    ----------
    folder
        Launch directory.
    since
        Files last written before this time belong to an earlier calculation.
    """

    def __init__(self, folder: Path, *, since: datetime) -> None:
        self._folder = folder
        self._since_s = since.timestamp() - _SKEW_S
        self._read: dict[tuple[str, int, int], list[_Run]] = {}

    def cpu_seconds(self) -> float:
        """Return the CPU-seconds of all ranks and runs so far; 0 without an OUTCAR."""
        runs = {run.digest: run.cpu_s for path in self._files() for run in self._runs(path)}
        return sum(runs.values())

    def _files(self) -> Iterator[Path]:
        scratch, copied = self._folder / _SCRATCH_LINK, self._folder / "OUTCAR"
        in_scratch = (scratch / "OUTCAR").exists()
        for folder in (self._folder, scratch):
            for pattern in ("OUTCAR*", "error.*.tar.gz"):
                # while VASP runs there, the launch folder has an earlier copy of the same file
                yield from (path for path in sorted(folder.glob(pattern)) if not (in_scratch and path == copied))

    def _runs(self, path: Path) -> list[_Run]:
        try:
            now = path.stat()
            if now.st_mtime < self._since_s:
                return []
            key = (str(path), now.st_size, now.st_mtime_ns)
            if key not in self._read:
                self._read[key] = list(_runs_in(path))
            return self._read[key]
        except (OSError, EOFError, tarfile.TarError, zlib.error):
            return []  # being written, or truncated


def _runs_in(path: Path) -> Iterator[_Run]:
    if path.name.endswith(".tar.gz"):
        with tarfile.open(path) as kept:
            for member in kept:
                file = kept.extractfile(member) if Path(member.name).name.startswith("OUTCAR") else None
                if file is not None:
                    yield _run(file.read())
    else:
        content = path.read_bytes()
        yield _run(gzip.decompress(content) if path.suffix == ".gz" else content)


def _run(outcar: bytes) -> _Run:
    return _Run(hashlib.sha256(outcar).hexdigest(), outcar_cpu_seconds(outcar))


def outcar_cpu_seconds(outcar: bytes) -> float:
    """Return the CPU-seconds of all ranks, from the end of OUTCAR or, if that is missing, the sum of its loops."""
    found = _RANKS.search(outcar, 0, _HEAD_BYTES)
    ranks = max(1, int(found.group(1))) if found else 1
    total = _TOTAL.findall(outcar)
    if total:
        return float(total[-1]) * ranks
    ionic = electronic = 0.0
    for kind, seconds in _LOOP.findall(outcar):
        if kind == b"LOOP+":
            # a whole ionic step, including its electronic steps
            ionic, electronic = ionic + float(seconds), 0.0
        else:
            electronic += float(seconds)
    return (ionic + electronic) * ranks

"""Completeness of output files: a full disk or a kill may truncate a number."""

import re
from pathlib import Path

from custodian.custodian import Validator

#: VASP compiled with profiling writes long tables after the CPU time.
_TAIL_BYTES = 1_000_000


def is_whole_contcar(text: str) -> bool:
    """Whether a CONTCAR is complete up to the line of its last coordinate."""
    lines = text.split("\n")
    try:
        n_sites = sum(map(int, lines[6].split()))
        # comment, scale factor, cell, elements and their numbers, Direct; Selective dynamics adds a line
        head = 9 if lines[7].strip()[:1].lower() == "s" else 8
    except (IndexError, ValueError):
        return False
    return n_sites > 0 and len(lines) > head + n_sites


class WholeFilesValidator(Validator):  # type: ignore[misc, unused-ignore]
    """Tells custodian that an engine stopped if OUTCAR or CONTCAR is truncated.

    custodian checks whether they exist and whether vasprun.xml is complete. From a truncated OUTCAR the CPU time would
    be read with digits missing, or not at all, and so would the last coordinate of a CONTCAR.
    """

    def check(self, directory: str = "./") -> bool:
        """Whether a file is truncated."""
        folder = Path(directory)
        try:
            outcar = _tail(folder / "OUTCAR")
            contcar = (folder / "CONTCAR").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return True
        timed = re.search(r"Total CPU time used \(sec\):\s+[\d.]+\n", outcar)
        return timed is None or not outcar.endswith("\n") or not is_whole_contcar(contcar)


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
        return file.read().decode(errors="replace")

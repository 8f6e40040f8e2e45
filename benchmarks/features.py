"""Compare the time from vasprun.xml to features with that of a full parse by pymatgen, and check that both agree.

Files of 2 to 50 atoms with the settings of a campaign (ISPIN=2, NEDOS=1500 from -20 to 10 eV, LORBIT=11) are written to
a temporary folder (`vasprun_files.py`), in VASP's layout and, if gpaw-data is installed, by vasp-gpaw. Real files are
also read if ``../shared/data`` exists; they are gzip-compressed, and most have 2 atoms and NEDOS=301.

"full" is ``Vasprun(path, parse_potcar_file=False)``: pymatgen's defaults, except for searching for a POTCAR. "lean"
also leaves out the eigenvalues, and is the minimum with which pymatgen gives a projected DOS. Both are followed by
``project_dos``. Each result is compared with ours, bit by bit. Times are CPU times on one core, the minimum over
interleaved repeats.

    python benchmarks/features.py [--repeats 5] [--markdown features.md]

2026-11-23, one core of a shared machine, 3 minutes: 7.6 to 8.0 times faster than the full parse in VASP's layout, 5.1
to 5.7 times in vasp-gpaw's, 2.7 to 6.1 times for the real files, which spend much of the time in gzip; all results are
equal.

Exits with 1 if a result differs, or if our reader is less than 4 times as fast as the full parse for a file of 2 to 50
atoms that was written here.
"""

import argparse
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np

SIZES = (2, 4, 8, 16, 32, 50)
TARGET = 4.0
REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "vasp_runs"
HEAD = "| file | atoms | MB | ours (ms) | lean (ms) | full (ms) | lean/ours | full/ours | same result |"


def ours(path: Path) -> np.ndarray:
    """Compute features without pymatgen."""
    from esnet.sources.vasprun import read_dos

    return read_dos(path).features()


def pymatgens(path: Path, *, eigenvalues: bool) -> np.ndarray:
    """Compute features via pymatgen's CompleteDos."""
    from pymatgen.io.vasp import Vasprun

    from esnet.representation.dos import project_dos

    return project_dos(Vasprun(path, parse_potcar_file=False, parse_eigen=eigenvalues).complete_dos)


def compare(path: Path, repeats: int) -> tuple[dict[str, float], bool]:
    """Return the smallest CPU time of each method in s, and whether all results are the same."""
    ways: dict[str, Callable[[Path], np.ndarray]] = {
        "ours": ours,
        "lean": lambda path: pymatgens(path, eigenvalues=False),
        "full": lambda path: pymatgens(path, eigenvalues=True),
    }
    least: dict[str, float] = {}
    results = {}
    for _ in range(repeats):
        for name, way in ways.items():
            started = time.process_time()
            results[name] = way(path)
            least[name] = min(least.get(name, np.inf), time.process_time() - started)
    return least, all(np.array_equal(results["ours"], results[name]) for name in ("lean", "full"))


def files(scratch: Path) -> Iterator[tuple[str, int, Path, bool]]:
    """Yield name, number of atoms, file, and whether the target applies; files written here are removed afterwards."""
    from vasprun_files import write_gpaw, write_vasp

    from esnet.sources.vasprun import read_run

    writers = {"VASP layout": write_vasp}
    if find_spec("gpaw_data") is not None:
        writers["vasp-gpaw"] = write_gpaw
    path = scratch / "vasprun.xml"
    for name, write in writers.items():
        for n_atoms in SIZES:
            write(path, n_atoms)
            yield name, n_atoms, path, True
            path.unlink()
    for real in sorted(REAL.rglob("vasprun.xml.gz")):
        folder = real.relative_to(REAL).parts
        yield f"real: {'/'.join(part for part in folder[:2] if '.' not in part)}", read_run(real).n_sites, real, False


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--markdown", type=Path, help="where to write the table too")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = [HEAD, "| --- |" + " --- |" * 8]
    print("\n".join(lines), flush=True)
    failed, slower = [], []
    with tempfile.TemporaryDirectory() as scratch:
        for name, n_atoms, path, counts in files(Path(scratch)):
            least, same = compare(path, options.repeats)
            lean, full = least["lean"] / least["ours"], least["full"] / least["ours"]
            times = " | ".join(f"{1000 * least[way]:.1f}" for way in ("ours", "lean", "full"))
            size = path.stat().st_size / 1e6
            lines.append(
                f"| {name} | {n_atoms} | {size:.1f} | {times} | {lean:.1f} | {full:.1f} | {'yes' if same else 'NO'} |"
            )
            print(lines[-1], flush=True)
            if not counts and full < TARGET:
                slower.append(name)
            if not same or (counts and full < TARGET):
                failed.append(f"{name}, {n_atoms} atoms")
    lines += ["", f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, least of {options.repeats} repeats."]
    lines.append(
        f"Of the files written here below {TARGET:.0f} times a full parse, or with another result: "
        f"{', '.join(failed) or 'none'}."
    )
    lines.append(f"Of the real files below that (they are compressed, and small): {', '.join(slower) or 'none'}.")
    print("\n".join(lines[-3:]))
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Damage files at random and count how each door takes them: no traceback, no crash, no hang, no memory without bound.

    python tests/fuzz/fuzz.py [--mutations 2000] [--seed 1] [--doors structures,entries,...] [--keep FOLDER]

Each damaged file is read in a fork with at most 20 s of CPU time and 2 GiB more memory. What is neither read nor
refused with a message for the user is printed with its seed, and kept with ``--keep``; the exit status is then 1.
"""

import argparse
import random
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "esnet"), str(ROOT / "tests" / "fuzz")]

from doors import DOORS  # noqa: E402
from guarded import Outcome, call_guarded  # noqa: E402
from vasp_files import FakeRun, write_vasprun  # noqa: E402

from campaign.commands.errors import is_user_error  # noqa: E402


def fuzz(door: str, seeds: Sequence[int], *, keep: Path | None = None) -> Iterator[tuple[int, Outcome]]:
    """Yield how each damaged file of a door was taken, by its seed.

    Parameters
    ----------
    keep
        Folder for the files that were taken wrongly; None: they are removed.
    """
    with tempfile.TemporaryDirectory() as temporary:
        write_vasprun(Path(temporary) / "whole.xml", FakeRun())
        for seed in seeds:
            folder = Path(temporary) / str(seed)
            folder.mkdir()
            path = DOORS[door].damaged(folder, random.Random(f"{door} {seed}"))
            outcome = call_guarded(DOORS[door].read, path, is_user_error)
            if keep is not None and outcome.ending in ("traceback", "killed"):
                shutil.copytree(folder, keep / f"{door}-{seed}", dirs_exist_ok=True)
            shutil.rmtree(folder)
            yield seed, outcome


def main() -> int:
    """Print a line for each door, and each wrong outcome."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mutations", type=int, default=2000, help="files, divided among the doors; default 2000")
    parser.add_argument("--seed", type=int, default=1, help="first seed; default 1")
    parser.add_argument("--doors", default=",".join(DOORS), help=f"of {', '.join(DOORS)}; default all")
    parser.add_argument("--keep", type=Path, help="folder for what was taken wrongly")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    doors = arguments.doors.split(",")
    wrong = 0
    for door in doors:
        counts: Counter[str] = Counter()
        seeds = range(arguments.seed, arguments.seed + arguments.mutations // len(doors))
        for seed, outcome in fuzz(door, seeds, keep=arguments.keep):
            counts[outcome.ending] += 1
            if outcome.ending in ("traceback", "killed"):
                print(f"{door}, seed {seed}: {outcome.ending}\n{outcome.said[-1500:]}", flush=True)
        wrong += counts["traceback"] + counts["killed"]
        print(f"{door:12s}", ", ".join(f"{ending} {number}" for ending, number in sorted(counts.items())), flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Damage files at random and test that no reader fails with a traceback, crashes, hangs or exhausts the memory.

    python benchmarks/fuzz.py [--mutations 2000] [--seed 1] [--doors structures,entries,...] [--keep FOLDER]

Each damaged file is read in a forked process with at most 20 s of CPU time and 2 GiB of additional memory. A file that
is neither read nor refused with a message for the user is printed with its seed, and kept with ``--keep``; the exit
status is then 1.
"""

import argparse
import sys
import warnings
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "esnet"), str(ROOT / "tests" / "fuzz")]

from fuzzing import DOORS, fuzz  # noqa: E402


def main() -> int:
    """Print a line for each reader, and each wrong outcome."""
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
            wrong += outcome.is_wrong
            if outcome.is_wrong:
                print(f"{door}, seed {seed}: {outcome.ending}\n{outcome.said[-1500:]}", flush=True)
        print(f"{door:12s}", ", ".join(f"{ending} {number}" for ending, number in sorted(counts.items())), flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

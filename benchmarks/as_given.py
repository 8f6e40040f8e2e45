"""Measure time and memory for reading, matching and submitting tens of thousands of given crystals.

    python benchmarks/as_given.py [--crystals 22709] [--part 500]

Random binaries of 2 to 12 atoms are generated: in half of them, atoms are displaced from their symmetric positions; one
in twenty is a copy of an earlier one in another cell or shifted by 0.01 A, and one in fifty is unusable. They are read
from JSONL, matched, and submitted to a separate mongod on a free loopback port. For comparison, a part of them is
passed to pymatgen's `StructureMatcher.group_structures`. Dated results are in docs/reference/structure-sources.md.
"""

import argparse
import json
import logging
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.screening import fresh_store  # noqa: E402

ELEMENTS = ("Li", "Mg", "Al", "Ti", "V", "Cr", "Fe", "Co", "Ni", "Cu", "Zn", "Zr", "Nb", "Mo", "Ru", "Rh", "Pd", "Ag")
ELEMENTS += ("Cd", "Hf", "Ta", "W", "Re", "Ir", "Pt", "Au", "Pb", "Ca", "Sr", "Y")
VOLUME = 30.0
"""Volume, A^3/atom."""


def crystals(number: int, seed: int = 1) -> Iterator[tuple[list[list[float]], list[str], list[list[float]]]]:
    """Yield cells in A, elements and fractional coordinates."""
    rng = np.random.default_rng(seed)
    kept: list[tuple[Any, list[str], Any]] = []
    for place in range(number):
        if place % 20 == 19:
            cell, species, positions = kept[int(rng.integers(len(kept)))]
            if place % 40 == 19:
                cell, species = np.array([2, 1, 1])[:, None] * cell, species * 2
                positions = np.vstack([positions, positions + np.array([1, 0, 0])]) * [0.5, 1, 1]
            else:
                positions = positions + rng.normal(0, 0.01, positions.shape) @ np.linalg.inv(cell) + rng.random(3)
        else:
            n_atoms = int(rng.integers(2, 13))
            length = (n_atoms * VOLUME * (0.5 if place % 50 == 7 else 1)) ** (1 / 3)
            steps = 2 if n_atoms <= 6 else 3
            grid = np.indices((steps,) * 3).reshape(3, -1).T / steps
            positions = grid[rng.permutation(len(grid))[:n_atoms]]
            cell = length * np.diag(rng.choice([0.95, 1.0, 1.05], 3))
            if place % 2:
                cell = cell + length * rng.normal(0, 0.03, (3, 3))
                positions = positions + rng.normal(0, 0.02, positions.shape)
            first, second = rng.choice(ELEMENTS, 2, replace=False)
            of_first = int(rng.integers(1, n_atoms))
            species = [str(first)] * of_first + [str(second)] * (n_atoms - of_first)
            if len(species) <= 6:
                kept.append((cell, species, positions))
        if place % 50 == 7:
            species = ["Gd", *species[1:]]
        yield cell.tolist(), species, positions.tolist()


def write(file: Path, number: int) -> None:
    """Write crystals in pymatgen's format, one record per line."""
    with file.open("w") as lines:
        for place, (cell, species, positions) in enumerate(crystals(number)):
            sites = [
                {"species": [{"element": symbol, "occu": 1}], "abc": position}
                for symbol, position in zip(species, positions, strict=True)
            ]
            structure = {"@class": "Structure", "lattice": {"matrix": cell}, "sites": sites}
            lines.write(json.dumps({"id": f"gen_{place:05d}", "likelihood": 0.5, "structure": structure}) + "\n")


def used_cpu() -> float:
    """Return the CPU time of this process and of the child processes that it has waited for, s."""
    return sum(os.times()[:4])


class Clock:
    """Timer that prints the time of each part."""

    def __init__(self) -> None:
        self.began, self.cpu = time.perf_counter(), used_cpu()

    def say(self, what: str) -> None:
        """Print wall time, CPU time and the peak memory so far, and restart the timers."""
        wall, cpu = time.perf_counter() - self.began, used_cpu() - self.cpu
        own, children = (
            resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        print(f"{what}: {wall:.1f} s, {cpu:.1f} CPU-s; memory {own:.0f} MiB, helpers {children:.0f} MiB", flush=True)
        self.__init__()  # type: ignore[misc]


def main() -> None:
    """Generate the crystals, and print the time of each part."""
    from pymatgen.analysis.structure_matcher import StructureMatcher

    from campaign.candidates.given.duplicates import find_duplicates
    from campaign.candidates.given.reading import GivenSettings, forget_reading, read_given, usable_processes
    from campaign.running_campaign import start_campaign
    from campaign.spec.given import candidates_of, make_candidates, usable_crystals
    from campaign.spec.reader import read_firework_spec

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--crystals", type=int, default=22_709)
    parser.add_argument("--part", type=int, default=500, help="crystals that pymatgen groups")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "generated.jsonl"
        write(file, options.crystals)
        section = {"candidates": {"as_given": str(file)}, "model": {"bundle": "gpaw-fast-binary"}}
        spec = read_firework_spec({"campaign": section}, name="given")
        print(f"{options.crystals} crystals, {file.stat().st_size / 1e6:.0f} MB; load {os.getloadavg()[0]:.0f} on "
              f"{os.cpu_count()} cores, {usable_processes()} processes", flush=True)  # fmt: skip
        clock = Clock()
        found = read_given(GivenSettings(paths=(file,)))
        clock.say(f"read: {len(found.crystals)} usable, {len(found.left_out)} left out")
        usable, _ = usable_crystals(spec, found)
        clock = Clock()
        new, duplicates = candidates_of(spec, usable, known=[])
        clock.say(f"matched: {len(new)} candidates, {len(duplicates)} duplicates")
        part = usable[: options.part]
        clock = Clock()
        ours = len(part) - len(find_duplicates(part, digits=16))
        clock.say(f"the first {len(part)}, here: {ours} groups")
        groups = StructureMatcher().group_structures([each.crystal.structure() for each in part])
        clock.say(f"the first {len(part)}, StructureMatcher.group_structures: {len(groups)} groups")
        made = make_candidates(spec)
        forget_reading()
        del found, usable, new, duplicates, part, groups
        with fresh_store() as (_, store, launchpad):
            clock = Clock()
            started = start_campaign(store, launchpad, spec, made=made)
            clock.say(f"submitted: {started.message}")
            running = store.candidates.count_documents({"state": "dos_running"})
            size = store.database.command("dbstats")["dataSize"] / 1e6
            print(f"{running} IS-DOS are queued; the database holds {size:.0f} MB", flush=True)


if __name__ == "__main__":
    main()

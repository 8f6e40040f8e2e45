"""Compare the speed and results of our distances to the hull with those of pymatgen, candidate by candidate.

(a) The reference set has 50,000 synthetic entries: elements, binaries, ternaries and quaternaries of 40 elements. The
candidates are 15,318 in 214 binary systems, 6,000 in 60 ternary and 2,000 in 20 quaternary systems. "first" is
`HullSet.distances` on a new set, including reading the entries and building all hulls. "ours" is the same call again,
with the hulls already built, from pymatgen's Composition objects to distances. "pymatgen" is
`PhaseDiagram.get_e_above_hull` for each candidate's entry on diagrams built beforehand; "unchecked" is the same with
``check_stable=False``, which skips a search among the stable entries. The ratio is relative to the faster of the two.

(b) Time and memory of `HullSet.distances` with the hulls already built, for 1,000 to 250,000 candidates: in the 214
binary systems, and all in one quaternary system with 2,500 entries. Memory is the peak that the call allocates in
addition to its input, in Python and NumPy, measured with tracemalloc in a second call.

Times are CPU times on one core, the minimum over interleaved repeats.

    OPENBLAS_NUM_THREADS=1 python benchmarks/hull.py [--repeats 3] [--markdown hull.md]

2026-11-24, one core of a shared machine, 80 s of CPU time: 30 times faster for the binary systems (1.2 us per
candidate), 33 for the ternary and 30 for the quaternary ones, all within 3e-14 eV/atom. Reading 50,000 entries and
building the hulls takes 0.4 to 1.0 s. 250,000 candidates in binary systems: 0.2 s and 36 MB; in one quaternary system
with 9,539 facets: 5 s and 53 MB.

Exits with 1 if a ratio is below 20 or a difference above 1e-9 eV/atom.
"""

import argparse
import os
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry

from campaign.hull.hull import HullSet

SEED = 20261123
TARGET, SAME = 20.0, 1e-9
N_ENTRIES = 50_000
ELEMENTS = [
    *("Li", "Be", "B", "C", "N", "O", "Na", "Mg", "Al", "Si", "P", "S", "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe"),
    *("Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Y", "Zr", "Nb", "Mo", "Ru", "Rh", "Pd", "Ag", "Hf", "W", "Pt"),
    "Au",
]
CASES = {"binary": (2, 214, 15_318), "ternary": (3, 60, 6_000), "quaternary": (4, 20, 2_000)}
SHARES = {1: 0.01, 2: 0.30, 3: 0.50, 4: 0.19}
SIZES = (1_000, 5_000, 25_000, 100_000, 250_000)
HEAD = (
    "| case | systems | candidates | facets | first (s) | ours (ms) | us each | pymatgen (ms) | unchecked (ms) |"
    " ratio | largest difference (eV/atom) |"
)


def compound(symbols: Sequence[str], generator: np.random.Generator) -> Composition:
    """Return a compound of the given elements, with 1 to 8 atoms of each."""
    amounts = generator.integers(1, 9, len(symbols)).tolist()
    return Composition(dict(zip(symbols, amounts, strict=True)))


def reference_entries() -> list[ComputedEntry]:
    """Return 50,000 entries, as new objects at each call since pymatgen caches properties of a composition."""
    generator = np.random.default_rng(SEED)
    elemental = dict(zip(ELEMENTS, generator.uniform(-10, -1, len(ELEMENTS)), strict=True))
    entries = [ComputedEntry(symbol, energy) for symbol, energy in elemental.items()]
    sizes = generator.choice(list(SHARES), N_ENTRIES - len(entries), p=list(SHARES.values()))
    for size in sizes.tolist():
        symbols = generator.choice(ELEMENTS, size, replace=False).tolist()
        composition = compound(symbols, generator)
        formation = generator.uniform(0, 0.5) if size == 1 else generator.normal(-0.3, 0.3)
        reference = sum(n * elemental[element.symbol] for element, n in composition.items())
        entries.append(ComputedEntry(composition, reference + formation * composition.num_atoms))
    return entries


def one_quaternary(n_entries: int) -> list[ComputedEntry]:
    """Return entries of one system with compounds close to a convex surface, so that the hull has many facets."""
    generator = np.random.default_rng(SEED)
    symbols = ELEMENTS[:4]
    entries = [ComputedEntry(symbol, 0.0) for symbol in symbols]
    while len(entries) < n_entries:
        amounts = generator.integers(0, 30, 4)
        fractions = amounts / max(amounts.sum(), 1)
        energy = ((fractions**2).sum() - 1 + generator.uniform(0, 0.005)) * amounts.sum()
        entries.append(ComputedEntry(Composition(dict(zip(symbols, amounts.tolist(), strict=True))), energy))
    return entries


def candidates(size: int, n_systems: int, n: int) -> tuple[list[Composition], np.ndarray]:
    """Return n compositions in ``n_systems`` systems of ``size`` elements, and their formation energies, eV/atom."""
    generator = np.random.default_rng(SEED + size)
    systems = list(combinations(ELEMENTS, size))
    chosen = [systems[place] for place in generator.choice(len(systems), n_systems, replace=False)]
    indices = np.concatenate([np.arange(min(n, n_systems)), generator.integers(0, n_systems, max(0, n - n_systems))])
    generator.shuffle(indices)
    compositions = [compound(generator.permutation(chosen[place]).tolist(), generator) for place in indices]
    return compositions, generator.normal(-0.3, 0.3, n)


def diagrams(entries: Sequence[ComputedEntry], compositions: Sequence[Composition]) -> dict[frozenset, PhaseDiagram]:
    """Return pymatgen's diagram of every chemical system that has candidates."""
    by_system: dict[frozenset, list[ComputedEntry]] = {}
    for entry in entries:
        by_system.setdefault(frozenset(entry.composition.elements), []).append(entry)
    found = {}
    for system in {frozenset(composition.elements) for composition in compositions}:
        subsets = [frozenset(some) for size in range(1, len(system) + 1) for some in combinations(system, size)]
        found[system] = PhaseDiagram([entry for subset in subsets for entry in by_system.get(subset, ())])
    return found


def cpu_time(call: Callable[[], object]) -> tuple[float, object]:
    """Return the CPU time of a call in s, and its result."""
    started = time.process_time()
    result = call()
    return time.process_time() - started, result


def compare(name: str, repeats: int) -> tuple[str, bool]:
    """Return a row of table (a), and whether it meets the targets."""
    size, n_systems, n = CASES[name]
    compositions, formation = candidates(size, n_systems, n)
    hull = HullSet(reference_entries())
    first, _ = cpu_time(lambda: hull.distances(compositions, formation))
    built = diagrams(reference_entries(), compositions)
    elemental = hull.elemental_energies
    entries = [
        ComputedEntry(composition, sum(m * (elemental[el.symbol] + energy) for el, m in composition.items()))
        for composition, energy in zip(compositions, formation, strict=True)
    ]
    jobs = [(built[frozenset(entry.composition.elements)], entry) for entry in entries]
    ways: dict[str, Callable[[], object]] = {
        "ours": lambda: hull.distances(compositions, formation),
        "pymatgen": lambda: [diagram.get_e_above_hull(entry, allow_negative=True) for diagram, entry in jobs],
        "unchecked": lambda: [
            diagram.get_e_above_hull(entry, allow_negative=True, check_stable=False) for diagram, entry in jobs
        ],
    }
    least: dict[str, float] = {}
    results: dict[str, np.ndarray] = {}
    for _ in range(repeats):
        for way, call in ways.items():
            spent, result = cpu_time(call)
            least[way], results[way] = min(least.get(way, np.inf), spent), np.asarray(result, dtype=float)
    difference = max(np.abs(results["ours"] - results[way]).max() for way in ("pymatgen", "unchecked"))
    ratio = min(least["pymatgen"], least["unchecked"]) / least["ours"]
    facets = [len(diagram.facets) for diagram in built.values()]
    row = (
        f"| {name} | {n_systems} | {n} | {min(facets)} to {max(facets)} | {first:.2f} | {1e3 * least['ours']:.1f} |"
        f" {1e6 * least['ours'] / n:.2f} | {1e3 * least['pymatgen']:.0f} | {1e3 * least['unchecked']:.0f} |"
        f" {ratio:.0f} | {difference:.1e} |"
    )
    return row, ratio >= TARGET and difference <= SAME


def time_and_memory(hull: HullSet, compositions: Sequence[Composition], repeats: int) -> tuple[float, float]:
    """Return the CPU time in s and the peak memory in MB of a call of `HullSet.distances`."""
    formation = np.zeros(len(compositions))
    hull.distances(compositions, formation)
    least = min(cpu_time(lambda: hull.distances(compositions, formation))[0] for _ in range(repeats))
    tracemalloc.start()
    hull.distances(compositions, formation)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return least, peak / 1e6


def growth(repeats: int) -> list[str]:
    """Return the table of (b)."""
    binary = HullSet(reference_entries())
    entries = one_quaternary(2_500)
    quaternary = HullSet(entries)
    generator = np.random.default_rng(SEED)
    facets = len(PhaseDiagram(entries).facets)
    lines = [
        f"| candidates | 214 binary systems (s) | us each | MB | one quaternary, {facets} facets (s) | us each | MB |",
        "| --- " * 7 + "|",
    ]
    print("\n".join(["", *lines]), flush=True)
    for n in SIZES:
        spent, peak = time_and_memory(binary, candidates(2, 214, n)[0], repeats)
        row = f"| {n} | {spent:.3f} | {1e6 * spent / n:.2f} | {peak:.1f} |"
        compositions = [compound(ELEMENTS[:4], generator) for _ in range(n)]
        spent, peak = time_and_memory(quaternary, compositions, 1)
        lines.append(f"{row} {spent:.3f} | {1e6 * spent / n:.2f} | {peak:.1f} |")
        print(lines[-1], flush=True)
    return lines


def main() -> int:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--markdown", type=Path, help="where to write the tables too")
    options = parser.parse_args()
    lines = [HEAD, "| --- " * 11 + "|"]
    print("\n".join(lines), flush=True)
    failed = []
    for name in CASES:
        row, good = compare(name, options.repeats)
        lines.append(row)
        print(row, flush=True)
        if not good:
            failed.append(name)
    lines += ["", *growth(options.repeats), ""]
    lines.append(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, least of {options.repeats} repeats.")
    lines.append(
        f"Less than {TARGET:.0f} times faster, or more than {SAME} eV/atom away from pymatgen: "
        f"{', '.join(failed) or 'none'}."
    )
    print("\n".join(lines[-3:]))
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())

"""Measure speed and memory of potentials in the actor pool, and the cost of a killed actor.

    python benchmarks/potentials.py [--calculator CHGNet] [--model 0.3.0] [--crystals 24] [--actors 2]

The crystals are B1 and B2 compounds of Al, Cu, Pd, Ag and Au, strained and displaced with a fixed seed. Printed are

* crystals per CPU-second of the actors, with and without loading, compared with ASE's FIRE with the same potential, one
  crystal after the other, in this process. Both use CPU time, so other programs on the machine have little effect;
* the resident memory of each actor process, including pages that it shares with others;
* the time from a SIGKILL of the only actor, half-way through, to the next answer, compared with the usual time between
  answers, and whether all answers are the same as before.
"""

import argparse
import itertools
import os
import signal
import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace

import numpy as np
import psutil
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from campaign.candidates.elements import reference_structure, volume_per_atom
from campaign.scorers.chosen_potential import ChosenPotential
from campaign.scorers.relaxation import Guards
from campaign.scorers.relaxing import Relaxations
from esnet.potentials.potentials import load_calculator
from esnet.ray.session import ray_session
from esnet.scoring.scoring import Usage

ELEMENTS = ("Al", "Cu", "Pd", "Ag", "Au")
STEPS, FORCE = 500, 0.03
SEED = 20261202
STEP = "benchmark/screen/0"


def made_crystals(number: int) -> dict[str, Structure]:
    """Return two-atom crystals with strains of up to 4 % and displacements of 0.05 A."""
    rng, crystals = np.random.default_rng(SEED), {}
    pairs = itertools.cycle(itertools.combinations(ELEMENTS, 2))
    for place in range(number):
        pair, is_b1 = next(pairs), bool(place % 2)
        volume = sum(map(volume_per_atom, pair)) * (1.2 if is_b1 else 1.0)
        cell = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]) if is_b1 else np.eye(3)
        cell = cell @ (np.eye(3) + rng.uniform(-0.04, 0.04, (3, 3)))
        crystal = Structure(Lattice(cell), pair, [[0, 0, 0], [0.5, 0.5, 0.5]])
        crystal.scale_lattice(volume)
        crystal.perturb(0.05, seed=place)
        crystals[f"{place:03d}"] = crystal
    return crystals


class Asked:
    """Context that a Screen passes to a scorer, without a database."""

    step_id, campaign = STEP, SimpleNamespace(name="benchmark")

    def __init__(self, crystals: dict[str, Structure], actors: int, elements: Sequence[str] = ELEMENTS) -> None:
        self.crystals = crystals
        self.actors = SimpleNamespace(actors=actors, gpus_per_actor=0.0, actor_batch=None)
        self.reference = {symbol: reference_structure(symbol) for symbol in elements}
        self.cpu_s = 0.0

    def structures(self, ids: Sequence[str]) -> Iterator[tuple[str, Structure]]:
        """Yield the crystals."""
        yield from ((name, self.crystals[name]) for name in ids)

    def element_structures(self, symbol: str) -> list[Structure]:
        """Return the built-in crystal of an element."""
        return [self.reference[symbol]]

    def kept_energies(self) -> dict[str, float]:
        """Return nothing, since each potential relaxes the elements."""
        return {}

    def keep_energies(self, energies: Mapping[str, float]) -> None:
        """Keep nothing, since each potential relaxes the elements."""

    def on_usage(self, usage: Usage) -> None:
        """Add the CPU time of the actors, s."""
        self.cpu_s += usage.cpu_s


def one_at_a_time(potential: ChosenPotential, crystals: list[Structure]) -> tuple[float, float]:
    """Return the CPU time of ASE for loading the potential, and for the crystals, s."""
    began = time.process_time()
    calculator = load_calculator(potential.calculator, potential.model)
    loaded = time.process_time()
    for crystal in crystals:
        atoms = AseAtomsAdaptor.get_atoms(crystal)
        atoms.calc = calculator
        FIRE(FrechetCellFilter(atoms), logfile=None).run(fmax=FORCE, steps=STEPS)
    return loaded - began, time.process_time() - loaded


def actor_processes() -> list[psutil.Process]:
    """Return the processes of the actors, which Ray names after their tasks."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(word.startswith("ray::") and STEP in word for word in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


class Watch(threading.Thread):
    """Thread that records the peak memory of each actor."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.memory: dict[int, int] = {}
        self.over = threading.Event()

    def run(self) -> None:
        """Record the memory of all actors until ``over`` is set."""
        while not self.over.wait(0.2):
            for process in actor_processes():
                try:
                    memory = process.memory_info().rss
                except psutil.Error:
                    continue
                self.memory[process.pid] = max(memory, self.memory.get(process.pid, 0))


def main() -> None:
    """Run the comparisons, and print the results."""
    options = argparse.ArgumentParser()
    options.add_argument("--calculator", default="CHGNet")
    options.add_argument("--model")
    options.add_argument("--crystals", type=int, default=24)
    options.add_argument("--actors", type=int, default=2)
    asked = options.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    potential = ChosenPotential(calculator=asked.calculator, model=asked.model)
    relaxations = Relaxations(potentials=[potential], steps=STEPS, force_tolerance=FORCE, guards=Guards())
    crystals = made_crystals(asked.crystals)
    elements = [reference_structure(symbol) for symbol in ELEMENTS]
    loading_s, ase_s = one_at_a_time(potential, [*elements, *crystals.values()])
    number = len(elements) + len(crystals)
    print(f"{potential.describe()}: {len(crystals)} crystals and {len(elements)} elements")
    print(f"ASE, one at a time: {number / ase_s:.2f} crystals per CPU-s, beside {loading_s:.1f} CPU-s for loading")
    with ray_session("local", num_cpus=asked.actors, num_gpus=0):
        watch, context = Watch(), Asked(crystals, asked.actors)
        watch.start()
        found = {formed.name: formed.energies[0] for formed in relaxations.run(list(crystals), context)}
        watch.over.set()
        watch.join()
        print(f"actors ({asked.actors}): {number / context.cpu_s:.2f} crystals per CPU-s, loading included")
        rate = number / (context.cpu_s - asked.actors * actor_loading(potential))
        print(f"  {rate:.2f} without loading: {rate / (number / ase_s):.2f} of ASE's")
        print(f"  memory of each: {', '.join(f'{size / 2**20:.0f} MiB' for size in watch.memory.values())}")
        kill_one(relaxations, Asked(crystals, 1), found)


def actor_loading(potential: ChosenPotential) -> float:
    """Return the CPU time of an actor that hardly relaxes anything (Python, packages, weights), s."""
    context = Asked({"x": reference_structure("Al")}, 1, ["Al"])
    quick = Relaxations(potentials=[potential], steps=2, force_tolerance=1.0, guards=Guards())
    list(quick.run(["x"], context))
    return context.cpu_s


def kill_one(relaxations: Relaxations, context: Asked, expected: dict[str, float | str]) -> None:
    """Kill the only actor half-way through, and compare the answers with the undisturbed ones."""
    found: dict[str, float | str] = {}
    times: list[float] = []
    killed_after: int | None = None
    for formed in relaxations.run(list(context.crystals), context):
        found[formed.name] = formed.energies[0]
        times.append(time.monotonic())
        if killed_after is None and len(found) == len(context.crystals) // 2:
            os.kill(_busy_actor().pid, signal.SIGKILL)
            killed_after = len(times)
    assert killed_after is not None, "no actor was killed: too few crystals"
    gaps = np.diff(times)
    lost = gaps[killed_after - 1]
    usual = statistics.median(gap for place, gap in enumerate(gaps) if place != killed_after - 1)
    same = sum(_is_same(found.get(name), energy) for name, energy in expected.items())
    print(f"an actor killed half-way: the next answer after {lost:.1f} s, else one every {usual:.2f} s")
    print(f"  {len(found)} of {len(expected)} answered, {same} as before")


def _busy_actor() -> psutil.Process:
    """Return the process of the only actor, whose name briefly changes between two crystals."""
    for _ in range(300):
        if len(found := actor_processes()) == 1:
            return found[0]
        time.sleep(0.02)
    raise SystemExit(f"one actor should be at work for {STEP}, and {len(found)} processes are named after it")


def _is_same(one: float | str | None, other: float | str) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) < 1e-4
    return one == other


if __name__ == "__main__":
    main()

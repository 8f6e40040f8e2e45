"""Measure the time of a replay of the paper's size, and compare what the policies find in it.

The candidates are synthetic, but resemble those of the paper in number (15,318 in 214 binary systems), in the fraction
promoted by its thresholds (half by E_f alone, a fifth by both), and in the error of the predictions (MAE 0.265 eV/atom,
with tails as heavy as ESNet's: RMSE 0.41). Costs have the means given in the paper, and vary with the size of the cell
and randomly. The results compare the policies, but do not predict what they would find in reality.

    python benchmarks/replay.py [--seeds 1] [--candidates 15318] [--output DIR]

2026-11-24, one of two shared cores: 0.4 to 1.5 CPU-s per policy including both limits (15 times as long in wall time),
87 MB. With 3 seeds, thresholds find 1,238 of 1,695 stable ones for 3,198 CPU-hours (random 403 at the same cost, the
oracle all), probability 1,401 for 4,189, a budget of 2,400 hours 1,136 for 2,861.

Exits with 1 if a policy finds more than the oracle for the same CPU-hours, or random more than chance allows.
"""

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy as np

from campaign.policies.cost_model import PUBLISHED_DOS_CPU_S, PUBLISHED_RELAX_CPU_S
from campaign.replay.candidate import KnownCandidate
from campaign.replay.comparison import Comparison, compare
from campaign.replay.data import ReplayData
from campaign.spec.policy_text import parse_policy

SYSTEMS = 214
MAE = 0.265
POLICIES = (
    "thresholds",
    "thresholds:audit=0.05",
    "probability:p=0.3,uncertainty=0.27",
    "budget:cpu_hours=1000",
    "budget:cpu_hours=2400",
)


def population(number: int, *, seed: int) -> list[KnownCandidate]:
    """Return synthetic candidates, as described in the module docstring."""
    rng = np.random.default_rng(seed)
    system = rng.integers(SYSTEMS, size=number)
    # formation energies scatter around the mean of their system; the lower that mean, the deeper the hull
    mean = rng.normal(-0.01, 0.2, SYSTEMS)
    depth = np.clip(0.6 - 0.5 * mean, 0.02, None) * rng.lognormal(0.0, 0.3, SYSTEMS)
    e_form = mean[system] + rng.normal(0.0, 0.24, number)
    hull = -depth[system] * rng.uniform(0.6, 1.0, number)
    # Student's t with 3 degrees of freedom: E|t| = 2 sqrt(3) / pi
    error = MAE / (2 * np.sqrt(3) / np.pi) * rng.standard_t(3, number)
    sites = rng.choice([2, 4, 8, 12, 16], number, p=[0.3, 0.3, 0.2, 0.1, 0.1])
    electrons = sites * rng.integers(3, 12, number)
    size = sites**0.8 * electrons**0.3
    dos = size * rng.lognormal(0.0, 0.3, number)
    relax = size * rng.lognormal(0.0, 0.6, number)
    dos, relax = PUBLISHED_DOS_CPU_S * dos / dos.mean(), PUBLISHED_RELAX_CPU_S * relax / relax.mean()
    return [
        KnownCandidate(
            id=f"made-up-{place:06d}",
            e_form_ml=float(e_form[place] + error[place]),
            e_hull_ml=float(e_form[place] + error[place] - hull[place]),
            e_form=float(e_form[place]),
            e_hull=float(e_form[place] - hull[place]),
            n_sites=int(sites[place]),
            n_electrons=int(electrons[place]),
            dos_cpu_s=float(dos[place]),
            relax_cpu_s=float(relax[place]),
        )
        for place in range(number)
    ]


def describe(known: list[KnownCandidate]) -> None:
    """Print how the candidates compare with those of the paper."""
    true = np.array([[found.e_form, found.e_hull, found.e_form_ml, found.e_hull_ml] for found in known])
    error = true[:, 2] - true[:, 0]
    stable = (true[:, 0] <= 0.0) & (true[:, 1] <= 0.1)
    low = true[:, 2] <= -0.02
    both = low & (true[:, 3] <= 0.13)
    print(
        f"{len(known)} candidates: prevalence {stable.mean():.1%}, MAE {np.abs(error).mean():.3f}, "
        f"RMSE {np.sqrt((error**2).mean()):.3f} eV/atom; E_f(ML) <= -0.02: {low.sum()} (paper 7710), with "
        f"E_hull(ML) <= 0.13: {both.sum()} (paper 2742), {(both & stable).sum()} of them stable (paper 926)"
    )


def wrong(comparison: Comparison) -> list[str]:
    """Return violations of the conditions that every replay must satisfy."""
    problems = []
    for label, replays in comparison.policies.items():
        for found, oracle in zip(replays, comparison.limits["oracle"], strict=True):
            if (oracle.stable_at(found.cpu_hours) < found.stable).any():
                problems.append(f"{label} finds more than the oracle with seed {found.seed}")
    for found in comparison.limits["random"]:
        place = found.relaxations // 2
        share = found.n_stable / found.n_candidates
        deviation = np.sqrt(place * share * (1 - share) * (found.n_candidates - place) / (found.n_candidates - 1))
        if abs(found.stable[place] - place * share) > 5 * deviation:
            problems.append(f"random finds {found.stable[place]} in {place}, expected {place * share:.0f}")
    return problems


def main() -> None:
    """Run the replays, and print the table and the times."""
    from rich.console import Console

    from campaign.views.replay import replay_table, write_comparison

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--candidates", type=int, default=15_318)
    parser.add_argument("--output", type=Path, default=None)
    arguments = parser.parse_args()
    known = population(arguments.candidates, seed=0)
    describe(known)
    data = ReplayData(candidates=tuple(known), source="synthetic (benchmarks/replay.py)")
    policies = {text: parse_policy(text) for text in POLICIES}
    for label, policy in policies.items():
        start, cpu = time.perf_counter(), time.process_time()
        compare(data, {label: policy})
        print(f"{label}, random, oracle: {time.perf_counter() - start:.2f} s ({time.process_time() - cpu:.2f} CPU-s)")
    comparison = compare(data, policies, seeds=range(1, arguments.seeds + 1))
    print(f"largest memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB\n")
    Console(width=160).print(replay_table(comparison))
    if arguments.output is not None:
        print(f"curves: {write_comparison(comparison, arguments.output)}")
    if problems := wrong(comparison):
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()

"""Writes examples/replay.csv: made-up candidates for `campaign replay`. No material and no number in it is real.

python examples/make_replay.py > examples/replay.csv
"""

import csv
import sys
from itertools import combinations

import numpy as np

SEED = 1
ELEMENTS = ("Al", "Ti", "Cu", "Pd", "Au")
CELLS = {"B1": (1, 1), "B2": (1, 1), "L1_0": (1, 1), "L1_2": (3, 1), "A15": (6, 2), "C14": (8, 4)}

HEADER = """\
# Synthetic: no material and no number here is real. Made by examples/make_replay.py (seed 1), for `campaign replay`.
# Energies and uncertainty in eV/atom, costs in CPU-s; what the columns mean: docs/how-to/replay.md."""


def main() -> None:
    """Print the file."""
    rng = np.random.default_rng(SEED)
    print(HEADER)  # noqa: T201
    columns = ["id", "formula", "e_form", "e_hull", "e_form_ml", "uncertainty", "dos_cpu_s", "relax_cpu_s"]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for first, second in combinations(ELEMENTS, 2):
        depth = rng.exponential(0.25)
        for prototype, (one, other) in CELLS.items():
            e_form = rng.normal(0.05, 0.3)
            hull = -depth * 4 * one * other / (one + other) ** 2
            deviation = rng.uniform(0.1, 0.35)
            size = (one + other) / 4
            row = [
                f"{first}{second}-{prototype}",
                f"{first}{one}{second}{other}",
                f"{e_form:.3f}",
                f"{e_form - hull:.3f}",
                f"{rng.normal(e_form, deviation):.3f}",
                f"{deviation:.3f}",
                f"{108.5 * size * rng.lognormal(0, 0.3):.1f}",
                f"{3107 * size * rng.lognormal(0, 0.5):.0f}",
            ]
            writer.writerow(row)


if __name__ == "__main__":
    main()

"""IS-DOS at a lower cutoff and looser convergence: what they cost, and by how much predictions change.

Crystals of the open data set, chosen by a seed, are computed twice in this run, with the settings of the data set and
with cheaper ones. Compared are CPU-s, the densities (Pearson's correlation over all channels and energies), the changes
of the predictions of both shipped models, and that of the total energy, which the scorer `single_point` uses.

    python benchmarks/cheaper_dos.py --folder FOLDER [--crystals 30] [--encut 350] [--ediff 1e-4]

What is in the folder is not computed again. 20 CPU-s for each crystal.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure
from pymatgen.io.vasp import Vasprun

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.cascade_data import DATA, SETTINGS, run_engine
from esnet.api import network_outputs, read_dos
from esnet.bundle.bundle import Bundle
from esnet.bundle.shipped import shipped_bundles
from esnet.dataset.dataset import Dataset

SEED = 1


def crystals(number: int) -> dict[str, Structure]:
    """Return unrelaxed crystals of the open data set by material, in an order that the seed decides."""
    data = Dataset.open(DATA / "open_set")
    places = np.random.default_rng(SEED).permutation(data.indices(kind="is_dos"))[:number]
    found = zip(places.tolist(), data.structures(places, "initial"), strict=True)
    return {data.materials[place]: crystal for place, crystal in found if crystal is not None}


def compute(folder: Path, structure: Structure, settings: Any) -> dict[str, float]:
    """Run an IS-DOS unless the folder has it; return its exit status and CPU-s."""
    if (folder / "cost.json").is_file():
        return dict(json.loads((folder / "cost.json").read_text()))
    return run_engine(structure, "dos", folder, settings=settings)


def compare(folder: Path, models: Mapping[str, Bundle]) -> dict[str, Any] | None:
    """Compare both calculations of a crystal; None if one of them has failed."""
    runs = {name: folder / name / "vasprun.xml" for name in ("data set", "cheaper")}
    costs = {name: json.loads((folder / name / "cost.json").read_text()) for name in runs}
    if any(cost["rc"] for cost in costs.values()):
        return None
    dos = {name: read_dos(file) for name, file in runs.items()}
    energies = {}
    for name, file in runs.items():
        run = Vasprun(file, parse_dos=False, parse_potcar_file=False)
        energies[name] = float(run.final_energy) / len(run.final_structure)
    changes = {
        title: abs(np.subtract(*(each.e_form for each in network_outputs(model, list(dos.values())))))
        for title, model in models.items()
    }
    return {
        "cpu_s": {name: cost["cpu_s"] for name, cost in costs.items()},
        "correlation": float(np.corrcoef(*(each.channels.ravel() for each in dos.values()))[0, 1]),
        "energy": energies["cheaper"] - energies["data set"],
        **changes,
    }


def spread(values: NDArray[np.float64]) -> str:
    """Format median and extremes."""
    return f"median {np.median(values):.4f}, {values.min():.4f} to {values.max():.4f}"


def main() -> None:
    """Compute what is missing, and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="folder of the calculations")
    parser.add_argument("--crystals", type=int, default=30)
    parser.add_argument("--encut", type=float, default=350.0, help="eV; default: %(default)s")
    parser.add_argument("--ediff", type=float, default=1e-4, help="eV; default: %(default)s")
    asked = parser.parse_args()
    wanted = {"data set": SETTINGS, "cheaper": replace(SETTINGS, encut=asked.encut, ediff=asked.ediff)}
    chosen = crystals(asked.crystals)
    for number, (material, structure) in enumerate(chosen.items(), start=1):
        costs = [compute(asked.folder / material / name, structure, settings) for name, settings in wanted.items()]
        print(f"{number}/{len(chosen)} {material} {costs}", file=sys.stderr, flush=True)
    models = {name: Bundle.load(folder, residual=True) for name, folder in shipped_bundles().items()}
    rows = [row for material in chosen if (row := compare(asked.folder / material, models)) is not None]
    seconds = {name: np.array([row["cpu_s"][name] for row in rows]) for name in wanted}
    print(f"{len(rows)} of {len(chosen)} crystals; cheaper: {asked.encut:g} eV, ediff {asked.ediff:g} eV")
    print(f"CPU-s: {seconds['data set'].mean():.1f} and {seconds['cheaper'].mean():.1f}, ratio "
          f"{spread(seconds['cheaper'] / seconds['data set'])}")  # fmt: skip
    print(f"correlation of the densities: {spread(np.array([row['correlation'] for row in rows]))}")
    for name in models:
        changed = np.array([row[name] for row in rows])
        print(f"change of the prediction of {name}, eV/atom: mean {changed.mean():.4f}, {spread(changed)}")
    energies = np.array([row["energy"] for row in rows])
    print(f"change of the total energy, eV/atom: mean {energies.mean():+.4f}, deviation {energies.std():.4f}")


if __name__ == "__main__":
    main()

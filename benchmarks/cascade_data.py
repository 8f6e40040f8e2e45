"""Compute data/cascade.csv: crystals that the shipped ESNet was not fitted to, with DFT, ESNet and potentials.

The candidates are those of examples/training_set.yaml (15 elements, B1, B2 and B3) whose materials the bundle
gpaw-fast-binary used neither for training nor for early stopping: 210 of 315, in random order (from a seed), so that
the first n are a fair sample. For each, vasp-gpaw computes an IS-DOS and a relaxation from the program's own input
files (GPAW, PBE, 520 eV, quality fast); the CPU time of the processes is measured. The elements are the references in
data/training_structures.jsonl.gz, computed in the same way. ESNet predicts from the IS-DOS; CHGNet and SevenNet relax
the same cells and the same elements, as the scorer ``force_field`` does. If the energies of a potential contain the
corrections of the Materials Project (here only for silicon, the only anion), they are subtracted, since the DFT
energies have none. E_hull is relative to the elements, because the data have no other phases.

    python benchmarks/cascade_data.py --compute 100 --folder FOLDER    run DFT; repeat the command to continue
    python benchmarks/cascade_data.py --table --folder FOLDER          write finished results to data/cascade.csv
    python benchmarks/cascade_data.py --potential SevenNet-l3i5        recompute the columns of a potential
    python benchmarks/cascade_data.py --single-points FOLDER           add the columns of the IS-DOS energies, with and
                                                                       without the relaxation energy of a potential

For the last, `python -m benchmarks.open_set.densities` has recomputed the IS-DOS of the same crystals with the same
settings; E_f(IS) follows from their total energies.

Several `--compute` may run in one folder. A relaxation takes 12 to 60 CPU-s, an IS-DOS 8 to 20.
"""

import argparse
import csv
import gzip
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from pymatgen.core import Composition, Structure
from pymatgen.io.vasp import Vasprun

from campaign.candidates.elements import reference_structure
from campaign.candidates.generate import generate
from campaign.scorers.base import Score
from campaign.scorers.force_field import ForceField
from campaign.scorers.single_point import SinglePoint
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.reader import read_campaign_file
from esnet.api import predict
from esnet.bundle.fingerprints import TrainingFingerprints, fingerprints
from esnet.bundle.shipped import bundle_folder
from esnet.dataset.mp2020 import convert_formation_energy
from esnet.scoring.pool import Usage
from workflows.engine import CalculationKind, engine_environment
from workflows.input_files import write_input_files
from workflows.settings import DftSettings

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(__file__).parent / "data"
TABLE = DATA / "cascade.csv"
BUNDLE = "gpaw-fast-binary"
SETTINGS = DftSettings(engine="gpaw", quality="fast")
#: Standard deviation assumed for potentials, which give none, eV/atom: CHGNet's MAE on other intermetallics is 0.052,
#: which corresponds to 0.07, plus a margin.
DEVIATION = 0.1
POTENTIALS = {
    "CHGNet": ForceField(calculator="CHGNet", model="0.3.0"),
    "SevenNet-0": ForceField(calculator="SevenNet", model="SevenNet-0"),
    "SevenNet-l3i5": ForceField(calculator="SevenNet", model="l3i5"),
}
SINGLE_POINTS = {"single point": SinglePoint(), "single point, CHGNet": SinglePoint(calculator="CHGNet", model="0.3.0")}
"""Single-point scorers by the prefix of their columns; see `campaign.scorers.single_point`."""
SINGLE_POINT_DEVIATIONS = {"single point": 0.1, "single point, CHGNet": 0.05}
"""Standard deviation assumed for them, eV/atom; as for potentials, one value above their MAE (0.06 and 0.02)."""
SEED = 1
HEADING = "# Made by benchmarks/cascade_data.py, which says how: GPAW (PBE, quality fast), eV/atom, CPU-s.\n"


def unseen() -> dict[str, Structure]:
    """Return the unrelaxed candidates that the bundle was not trained on, by name, in random order."""
    spec = read_campaign_file(ROOT / "examples" / "training_set.yaml")
    # it was trained with version 1 of the built-in data
    old, new = (_by_name(spec.model_copy(update={"built_in": version})) for version in (1, 2))
    known = TrainingFingerprints.from_arrays(np.load(bundle_folder(BUNDLE) / "assessment.npz"))
    seen = {*known.train_materials.tolist(), *known.validation_materials.tolist()}
    names = sorted(name for name, (identity, _) in old.items() if int(fingerprints([identity])[0]) not in seen)
    random.Random(SEED).shuffle(names)
    return {name: new[name][1] for name in names}


def _by_name(spec: CampaignSpec) -> dict[str, tuple[str, Structure]]:
    return {f"{each.prototype}-{each.formula}": (each.id, each.structure) for each in generate(spec)}


def compute(folder: Path, number: int) -> None:
    """Compute the next candidates; several processes may do so at the same time."""
    for name, structure in list(unseen().items())[:number]:
        try:
            (folder / name).mkdir(parents=True)
        except FileExistsError:
            continue
        for kind in ("dos", "relaxation"):
            cost = run_engine(structure, kind, folder / name / kind)
        print(name, cost, flush=True)


def run_engine(
    structure: Structure, kind: CalculationKind, place: Path, *, settings: DftSettings = SETTINGS
) -> dict[str, float]:
    """Run one calculation with the program's own input files; return its exit status and CPU-s (also in cost.json)."""
    with engine_environment(settings):
        write_input_files(structure, settings, kind, place)
    before = _children_cpu_s()
    with (place / "output").open("w") as output:
        done = subprocess.run(
            [sys.executable, "-m", "workflows.gpaw_vasp"], cwd=place, stdout=output, stderr=output, check=False
        )
    cost = {"rc": done.returncode, "cpu_s": round(_children_cpu_s() - before, 2)}
    (place / "cost.json").write_text(json.dumps(cost))
    return cost


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def elements() -> dict[str, float]:
    """Return the energies of the relaxed elements, eV/atom; the lowest if there are several crystals."""
    energies: dict[str, float] = {}
    with gzip.open(DATA / "training_structures.jsonl.gz", "rt") as lines:
        for row in map(json.loads, lines):
            if row["kind"] == "references":
                energy = row["relaxation"]["energy_per_atom"]
                energies[row["formula"]] = min(energy, energies.get(row["formula"], energy))
    return energies


def rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the finished results, in the order of the candidates."""
    energies = elements()
    structures = {
        name: structure
        for name, structure in unseen().items()
        if (folder / name / "relaxation" / "cost.json").is_file()
    }
    said = {each.id: each for each in predict(BUNDLE, [folder / name / "dos" for name in structures], strict=False)}
    for name, structure in structures.items():
        costs = {kind: json.loads((folder / name / kind / "cost.json").read_text()) for kind in ("dos", "relaxation")}
        run = (
            None
            if costs["relaxation"]["rc"]
            else Vasprun(folder / name / "relaxation" / "vasprun.xml", parse_dos=False)
        )
        converged = run is not None and run.converged
        e_form = None if run is None or not converged else _formation_energy(run, energies)
        esnet = next(each for key, each in said.items() if Path(key).parts[-2:] == (name, "dos"))
        yield {
            "id": name,
            "formula": structure.composition.formula.replace(" ", ""),
            "e_form": _text(e_form),
            "relaxation_failed": str(not converged).lower(),
            "dos_cpu_s": costs["dos"]["cpu_s"],
            "relax_cpu_s": costs["relaxation"]["cpu_s"],
            "e_form_ml:ESNet": _text(esnet.e_form),
            "uncertainty:ESNet": _text(esnet.uncertainty),
            "scorer_cpu_s:ESNet": costs["dos"]["cpu_s"],
        }


def with_potential(table: list[dict[str, Any]], name: str, candidates: dict[str, Structure]) -> list[dict[str, Any]]:
    """Add or replace the columns of a potential."""
    found = potential_energies(POTENTIALS[name], {row["id"]: candidates[row["id"]] for row in table})
    return [
        {
            **row,
            f"e_form_ml:{name}": _text(found[row["id"]][0]),
            f"uncertainty:{name}": DEVIATION,
            f"scorer_cpu_s:{name}": round(found[row["id"]][1], 2),
        }
        for row in table
    ]


def with_single_points(
    table: list[dict[str, Any]], name: str, candidates: dict[str, Structure], folder: Path
) -> list[dict[str, Any]]:
    """Add or replace the columns of the IS-DOS energies; their cost is that of the IS-DOS and the potential."""
    structures = {row["id"]: candidates[row["id"]] for row in table}
    energies, unrelaxed = elements(), {}
    for key, structure in structures.items():
        symbols = sorted(element.symbol for element in structure.composition)
        file = folder / f"{key.split('-')[0]}-{''.join(symbols)}" / "is_dos" / "vasprun.xml"
        run = Vasprun(file, parse_dos=False) if file.is_file() else None
        if run is not None and run.converged:
            assert np.allclose(run.final_structure.lattice.abc, structure.lattice.abc, rtol=0, atol=1e-3), key
            unrelaxed[key] = _formation_energy(run, energies)
    found, started = {}, time.process_time()
    for score in SINGLE_POINTS[name].score(list(structures), Crystals(structures, unrelaxed)):
        found[score.id] = score.e_form, time.process_time() - started
        started = time.process_time()
    return [
        {
            **row,
            f"e_form_ml:{name}": _text(found[row["id"]][0]),
            f"uncertainty:{name}": SINGLE_POINT_DEVIATIONS[name],
            f"scorer_cpu_s:{name}": round(float(row["dos_cpu_s"]) + found[row["id"]][1], 2),
        }
        for row in table
    ]


def read_table() -> list[dict[str, Any]]:
    """Return the rows of the existing table."""
    with TABLE.open(newline="") as stream:
        return list(csv.DictReader(line for line in stream if not line.startswith("#")))


def write_table(table: list[dict[str, Any]]) -> None:
    """Write the table, and print its length."""
    with TABLE.open("w", newline="") as stream:
        stream.write(HEADING)
        writer = csv.DictWriter(stream, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    print(f"{len(table)} candidates in {TABLE}")


def _formation_energy(run: Vasprun, energies: dict[str, float]) -> float:
    composition: Composition = run.final_structure.composition
    total = float(run.final_energy) - sum(number * energies[element.symbol] for element, number in composition.items())
    return total / composition.num_atoms


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


@dataclass
class Crystals:
    """Context that a Screen passes to a scorer, with crystals in its own process, one after the other."""

    crystals: dict[str, Structure]
    unrelaxed: Mapping[str, float | None] = field(default_factory=dict)
    """Formation energies of the unrelaxed crystals, eV/atom."""
    actors = SimpleNamespace(actors=None, actor_batch=None, gpus_per_actor=None)
    campaign = SimpleNamespace(name="cascade")
    step_id = None

    def on_usage(self, usage: Usage) -> None:
        """Count nothing, since everything runs in this process."""

    def structures(self, ids: Sequence[str]) -> Iterator[tuple[str, Structure]]:
        """Yield the crystals."""
        yield from ((name, self.crystals[name]) for name in ids)

    def element_structures(self, symbol: str) -> list[Structure]:
        """Return the built-in crystal of an element."""
        return [reference_structure(symbol)]

    def single_points(self, ids: Sequence[str]) -> Iterator[Score]:
        """Yield the energies of the unrelaxed crystals."""
        for name in ids:
            known = self.unrelaxed.get(name)
            yield Score(id=name, e_form=known, reason=None if known is not None else "no IS-DOS")

    def kept_energies(self) -> dict[str, float]:
        """Return nothing, since each potential relaxes the elements."""
        return {}

    def keep_energies(self, energies: Mapping[str, float]) -> None:
        """Keep nothing."""


def potential_energies(scorer: ForceField, structures: dict[str, Structure]) -> dict[str, tuple[float | None, float]]:
    """Return the uncorrected formation energies of the relaxed crystals, eV/atom, and the CPU-s of each.

    Each element is relaxed once; its cost is attributed to the first candidate that contains it.
    """
    given = scorer.energy_corrections(None)
    assert given is not None, f"{scorer.describe()}: it is not known which corrections its energies contain"
    found, started = {}, time.process_time()
    for score in scorer.score(list(structures), Crystals(structures)):
        energy = score.e_form
        if energy is not None:
            energy = convert_formation_energy(energy, structures[score.id], given=given, wanted="none").energy
        found[score.id] = energy, time.process_time() - started
        started = time.process_time()
    return found


def main() -> None:
    """Compute, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="folder of the DFT")
    parser.add_argument("--compute", type=int, metavar="NUMBER", help="of the first candidates")
    parser.add_argument("--table", action="store_true", help="write the table, with all potentials")
    parser.add_argument("--potential", choices=POTENTIALS, action="append", default=[])
    parser.add_argument("--single-points", type=Path, metavar="FOLDER", help="folder of benchmarks.open_set.densities")
    options = parser.parse_args()
    if options.folder is None and (options.compute or options.table):
        parser.error("--compute and --table need --folder")
    if options.compute:
        compute(options.folder, options.compute)
    if options.table or options.potential:
        table, candidates = list(rows(options.folder)) if options.table else read_table(), unseen()
        for name in POTENTIALS if options.table else options.potential:
            table = with_potential(table, name, candidates)
            write_table(table)  # saved after each potential, which takes minutes
    if options.single_points:
        table, candidates = read_table(), unseen()
        for name in SINGLE_POINTS:
            table = with_single_points(table, name, candidates, options.single_points)
        write_table(table)


if __name__ == "__main__":
    main()

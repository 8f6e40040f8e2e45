"""Makes data/cascade.csv: crystals that the shipped ESNet was not fitted to, with DFT, ESNet and potentials.

Candidates are those of examples/training_set.yaml (15 elements, B1, B2 and B3) whose materials the bundle
gpaw-fast-binary has neither trained nor stopped on: 210 of 315, in an order that a seed decides, so that the first n
are a fair sample. Each gets an IS-DOS and a relaxation by vasp-gpaw through the product's own input files (GPAW, PBE,
520 eV, quality fast), CPU-s of the processes as they were measured. Elements: the references in
data/training_structures.jsonl.gz, computed alike. ESNet predicts from the IS-DOS; CHGNet and SevenNet relax the same
cells and the same elements as the scorer ``force_field`` does; the Materials Project's corrections, if a potential's
energies contain them, are taken out (of compounds of silicon, the only anion here), since the DFT has none. E_hull is
against the elements: the data have no other phases.

    python benchmarks/cascade_data.py --compute 100 --folder FOLDER    DFT, as far as it comes; again: it continues
    python benchmarks/cascade_data.py --table --folder FOLDER          what is computed, into data/cascade.csv
    python benchmarks/cascade_data.py --potential SevenNet-l3i5        a potential's columns in that table, made anew
    python benchmarks/cascade_data.py --single-points FOLDER           those of the energies of the IS-DOS, with and
                                                                       without a potential's relaxation

The IS-DOS of the last are those that `python -m benchmarks.open_set.densities` has computed again of the same crystals,
in the same settings; E_f(IS) follows from their total energies.

Several `--compute` may work in one folder. A relaxation takes 12 to 60 CPU-s, an IS-DOS 8 to 20.
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
#: Potentials give no standard deviation. eV/atom: CHGNet's MAE is 0.052 on other intermetallics, so 0.07, and a margin.
DEVIATION = 0.1
POTENTIALS = {
    "CHGNet": ForceField(calculator="CHGNet", model="0.3.0"),
    "SevenNet-0": ForceField(calculator="SevenNet", model="SevenNet-0"),
    "SevenNet-l3i5": ForceField(calculator="SevenNet", model="l3i5"),
}
SINGLE_POINTS = {"single point": SinglePoint(), "single point, CHGNet": SinglePoint(calculator="CHGNet", model="0.3.0")}
"""By the name of a row; see `campaign.scorers.single_point`."""
SINGLE_POINT_DEVIATIONS = {"single point": 0.1, "single point, CHGNet": 0.05}
"""eV/atom; as for potentials, one for all, above the mean absolute errors (0.06 and 0.02)."""
SEED = 1
HEADING = "# Made by benchmarks/cascade_data.py, which says how: GPAW (PBE, quality fast), eV/atom, CPU-s.\n"


def unseen() -> dict[str, Structure]:
    """Unrelaxed candidates that the bundle does not know, by name, in random order."""
    spec = read_campaign_file(ROOT / "examples" / "training_set.yaml")
    # it was trained when version 1 of the built-in data was in force
    old, new = (_by_name(spec.model_copy(update={"built_in": version})) for version in (1, 2))
    known = TrainingFingerprints.from_arrays(np.load(bundle_folder(BUNDLE) / "assessment.npz"))
    seen = {*known.train_materials.tolist(), *known.validation_materials.tolist()}
    names = sorted(name for name, (identity, _) in old.items() if int(fingerprints([identity])[0]) not in seen)
    random.Random(SEED).shuffle(names)
    return {name: new[name][1] for name in names}


def _by_name(spec: CampaignSpec) -> dict[str, tuple[str, Structure]]:
    return {f"{each.prototype}-{each.formula}": (each.id, each.structure) for each in generate(spec)}


def compute(folder: Path, number: int) -> None:
    """Compute the next candidates, which another process may do as well."""
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
    """Run one calculation with the product's own input files; return its exit status and CPU-s, also in cost.json."""
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
    """Energies of the relaxed elements, eV/atom: of several crystals the lowest."""
    energies: dict[str, float] = {}
    with gzip.open(DATA / "training_structures.jsonl.gz", "rt") as lines:
        for row in map(json.loads, lines):
            if row["kind"] == "references":
                energy = row["relaxation"]["energy_per_atom"]
                energies[row["formula"]] = min(energy, energies.get(row["formula"], energy))
    return energies


def rows(folder: Path) -> Iterator[dict[str, Any]]:
    """What is computed, in the order of the candidates."""
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
    """Add a potential's columns, or replace them."""
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
    """Add the columns of the energies of the IS-DOS, or replace them; an IS-DOS and the potential are the cost."""
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
    """Rows of the table that is there."""
    with TABLE.open(newline="") as stream:
        return list(csv.DictReader(line for line in stream if not line.startswith("#")))


def write_table(table: list[dict[str, Any]]) -> None:
    """Write the table, and say how long it is."""
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
    """What a Screen hands to a scorer: crystals in its own process, one after the other."""

    crystals: dict[str, Structure]
    unrelaxed: Mapping[str, float | None] = field(default_factory=dict)
    """E_f of the unrelaxed crystals, eV/atom."""
    actors = SimpleNamespace(actors=None, actor_batch=None, gpus_per_actor=None)
    campaign = SimpleNamespace(name="cascade")
    step_id = None

    def on_usage(self, usage: Usage) -> None:
        """Count nothing: this process does all of it."""

    def structures(self, ids: Sequence[str]) -> Iterator[tuple[str, Structure]]:
        """Hand out the crystals."""
        yield from ((name, self.crystals[name]) for name in ids)

    def element_structures(self, symbol: str) -> list[Structure]:
        """Hand out the built-in crystal of an element."""
        return [reference_structure(symbol)]

    def single_points(self, ids: Sequence[str]) -> Iterator[Score]:
        """Hand out the energies of the unrelaxed crystals."""
        for name in ids:
            known = self.unrelaxed.get(name)
            yield Score(id=name, e_form=known, reason=None if known is not None else "no IS-DOS")

    def kept_energies(self) -> dict[str, float]:
        """Return nothing: each potential relaxes the elements."""
        return {}

    def keep_energies(self, energies: Mapping[str, float]) -> None:
        """Keep nothing."""


def potential_energies(scorer: ForceField, structures: dict[str, Structure]) -> dict[str, tuple[float | None, float]]:
    """Formation energies of the relaxed crystals without any corrections, eV/atom, and CPU-s of each.

    Each element is relaxed once, at the expense of the first candidate that has it.
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
            write_table(table)  # a potential takes minutes: what is there is kept
    if options.single_points:
        table, candidates = read_table(), unseen()
        for name in SINGLE_POINTS:
            table = with_single_points(table, name, candidates, options.single_points)
        write_table(table)


if __name__ == "__main__":
    main()

"""Compute the IS-DOS and RS-DOS of crystals relaxed by campaigns whose databases no longer exist.

data/training_structures.jsonl.gz contains the unrelaxed and the relaxed crystal and the energy of every candidate that
the project has relaxed, all with the same settings. The densities of states are computed from the crystals, at a
quarter of the cost of the relaxations.

    python -m benchmarks.open_set.densities --folder FOLDER         computes; repeat the command to continue
    python -m benchmarks.open_set --densities FOLDER                adds the finished results to the data set

Several processes may compute in one folder. A DOS takes 5 to 20 CPU-s.
"""

import argparse
import gzip
import json
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from pymatgen.core import Structure
from pymatgen.io.vasp.outputs import UnconvergedVASPWarning, Vasprun

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.cascade_data import DATA, SETTINGS, elements, run_engine
from esnet.dataset.dataset import DatasetWriter, Sample
from esnet.dataset.sample import DosKind
from esnet.representation.dos import project_dos, source_spacing
from esnet.representation.features import Representation
from esnet.residual.single_point import SINGLE_POINT_ENERGY

KINDS: tuple[DosKind, ...] = ("is_dos", "rs_dos")
LOST = {"training-B2": {"relax: reason lost with the database": 2}}
"""Number of candidates in those campaigns that failed permanently."""


def relaxed_candidates() -> dict[str, dict[str, Any]]:
    """Return the rows of the file by material, e.g. ``B2-PtZr``, each with its crystals by kind of DOS."""
    found = {}
    with gzip.open(DATA / "training_structures.jsonl.gz", "rt") as lines:
        for row in map(json.loads, lines):
            if row["kind"] == "candidates":
                crystals = (Structure.from_dict(each) for each in (row["structure"], row["relaxation"]["structure"]))
                name = f"{row['prototype']}-{row['chemsys'].replace('-', '')}"
                found[name] = {**row, **dict(zip(KINDS, crystals, strict=True))}
    return found


def compute(folder: Path) -> None:
    """Compute both densities of each crystal; several processes may do so at the same time."""
    for name, row in relaxed_candidates().items():
        try:
            (folder / name).mkdir(parents=True)
        except FileExistsError:
            continue
        costs = [run_engine(row[kind], "dos", folder / name / kind) for kind in KINDS]
        print(name, costs, flush=True)


def write_densities(folder: Path, path: Path) -> None:
    """Write the finished results as a data set, with the number of failures in its source."""
    source = {
        "kind": "campaign",
        "engine": SETTINGS.engine,
        "quality": SETTINGS.quality,
        "corrections": "none",
        "settings_hash": SETTINGS.hash,
    }
    rows, energies = relaxed_candidates(), elements()
    with DatasetWriter(path, representation=Representation(), source=source) as writer:
        failed: Counter[str] = Counter()
        for name in sorted(rows):
            files = {kind: folder / name / kind / "cost.json" for kind in KINDS}
            if not all(file.is_file() for file in files.values()):
                continue
            costs = {kind: json.loads(file.read_text()) for kind, file in files.items()}
            engine_failed = any(cost["rc"] for cost in costs.values())
            samples = [] if engine_failed else _samples(name, rows[name], folder / name, costs, energies)
            if not samples:
                failed[rows[name]["campaign"]] += 1
            for sample in samples:
                writer.add(sample)
        again = {campaign: {"dos, computed again: not converged": number} for campaign, number in failed.items()}
        writer.source["failures"] = {name: LOST.get(name, {}) | again.get(name, {}) for name in {*LOST, *again}}


def _samples(
    name: str, row: dict[str, Any], folder: Path, costs: dict[DosKind, dict[str, float]], energies: dict[str, float]
) -> list[Sample]:
    """Return both samples of a crystal; none if a calculation has not converged."""
    runs = {kind: _run(folder / kind / "vasprun.xml") for kind in KINDS}
    if not all(run.converged for run in runs.values()):
        return []
    representation = Representation()
    amounts = {symbol: float(n) for symbol, n in row["rs_dos"].composition.get_el_amt_dict().items()}
    total = row["relaxation"]["energy"] - sum(n * energies[symbol] for symbol, n in amounts.items())
    unrelaxed = float(runs["is_dos"].final_energy) - row["relaxation"]["energy"]
    return [
        Sample(
            id=f"{name}:{kind}",
            material=name,
            kind=kind,
            dos=project_dos(
                run.complete_dos,
                normalisation=representation.normalisation,
                energy_reference=representation.energy_reference,
            ),
            composition=amounts,
            energy=total / sum(amounts.values()),
            efermi=float(run.complete_dos.efermi),
            spacing=source_spacing(run.complete_dos),
            chemsys=row["chemsys"],
            prototype=row["prototype"],
            provenance={
                "campaign": row["campaign"],
                "document": row["_id"],
                "role": "candidate",
                "features": f"{name}:{kind}",
                "engine": SETTINGS.engine,
                "quality": SETTINGS.quality,
                "vasp_version": run.vasp_version,
                "cpu_s": costs[kind]["cpu_s"],
                "relaxation_cpu_s": row["relaxation"].get("cpu_s"),
                **({SINGLE_POINT_ENERGY: (total + unrelaxed) / sum(amounts.values())} if kind == "is_dos" else {}),
            },
            initial_structure=row["is_dos"],
            relaxed_structure=row["rs_dos"],
        )
        for kind, run in runs.items()
    ]


def _run(file: Path) -> Vasprun:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnconvergedVASPWarning)  # counted as a failure
        return Vasprun(file, parse_potcar_file=False)


def main() -> None:
    """Compute until all crystals are done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    compute(parser.parse_args().folder)


if __name__ == "__main__":
    main()

"""Compute the IS-DOS and RS-DOS of crystals that were relaxed by campaigns whose database is gone.

data/training_structures.jsonl.gz keeps the unrelaxed and the relaxed crystal and the energy of every candidate that
the project has relaxed, in one set of settings. The densities of states follow from the crystals, for a quarter of what
the relaxations cost.

    python -m benchmarks.open_set.densities --folder FOLDER         computes, as far as it comes; again: it continues
    python -m benchmarks.open_set --densities FOLDER                adds what is computed to the data set

Several may compute in one folder. A DOS takes 5 to 20 CPU-s.
"""

import argparse
import gzip
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pymatgen.core import Structure
from pymatgen.io.vasp import Vasprun

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.cascade_data import DATA, SETTINGS, elements, run_engine
from esnet.dataset.dataset import DatasetWriter, Sample
from esnet.dataset.sample import DosKind
from esnet.representation.dos import project_dos, source_spacing
from esnet.representation.features import Representation

KINDS: tuple[DosKind, ...] = ("is_dos", "rs_dos")
NAME = "recomputed"
"""What stands in place of a campaign's name."""


def relaxed_candidates() -> dict[str, dict[str, Any]]:
    """Rows of the file by the name of the material, e.g. ``B2-PtZr``; each has its crystals under the kind of DOS."""
    found = {}
    with gzip.open(DATA / "training_structures.jsonl.gz", "rt") as lines:
        for row in map(json.loads, lines):
            if row["kind"] == "candidates":
                crystals = (Structure.from_dict(each) for each in (row["structure"], row["relaxation"]["structure"]))
                name = f"{row['prototype']}-{row['chemsys'].replace('-', '')}"
                found[name] = {**row, **dict(zip(KINDS, crystals, strict=True))}
    return found


def compute(folder: Path) -> None:
    """Compute both densities of each crystal, which another process may do as well."""
    for name, row in relaxed_candidates().items():
        try:
            (folder / name).mkdir(parents=True)
        except FileExistsError:
            continue
        costs = [run_engine(row[kind], "dos", folder / name / kind) for kind in KINDS]
        print(name, costs, flush=True)


def write_densities(folder: Path, path: Path) -> dict[str, Any]:
    """Write what is computed as a data set; return what the datasheet says of it, as `__main__.facts` does."""
    settings = json.dumps(SETTINGS.physics(), sort_keys=True, separators=(",", ":"))
    source = {
        "kind": "campaign",
        "campaign": NAME,
        "engine": SETTINGS.engine,
        "quality": SETTINGS.quality,
        "corrections": "none",
        "settings_hash": hashlib.sha256(settings.encode()).hexdigest(),
    }
    rows, costs = relaxed_candidates(), dict.fromkeys(("dos", "relax", "rs_dos"), 0.0)
    failures = 0
    done = sorted(name for name in rows if (folder / name / KINDS[-1] / "cost.json").is_file())
    with DatasetWriter(path, representation=Representation(), source=source) as writer:
        for name in done:
            spent = {kind: json.loads((folder / name / kind / "cost.json").read_text()) for kind in KINDS}
            costs["dos"] += spent["is_dos"]["cpu_s"]
            costs["rs_dos"] += spent["rs_dos"]["cpu_s"]
            costs["relax"] += rows[name]["relaxation"].get("cpu_s", 0.0)
            if any(cost["rc"] for cost in spent.values()):
                failures += 1
                continue
            for sample in _samples(name, rows[name], folder / name):
                writer.add(sample)
    return {
        "name": NAME,
        "candidates": len(done),
        "states": {"relaxed": len(done)},
        "failures": {"dos: engine failed": failures} if failures else {},
        "cpu_s": costs,
    }


def _samples(name: str, row: dict[str, Any], folder: Path) -> Iterator[Sample]:
    energies, representation = elements(), Representation()
    amounts = {symbol: float(n) for symbol, n in row["rs_dos"].composition.get_el_amt_dict().items()}
    total = row["relaxation"]["energy"] - sum(n * energies[symbol] for symbol, n in amounts.items())
    for kind in KINDS:
        run = Vasprun(folder / kind / "vasprun.xml", parse_potcar_file=False)
        dos = run.complete_dos
        yield Sample(
            id=f"{name}:{kind}",
            material=name,
            kind=kind,
            dos=project_dos(
                dos, normalisation=representation.normalisation, energy_reference=representation.energy_reference
            ),
            composition=amounts,
            energy=total / sum(amounts.values()),
            efermi=float(dos.efermi),
            spacing=source_spacing(dos),
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
                "cpu_s": json.loads((folder / kind / "cost.json").read_text())["cpu_s"],
                "relaxation_cpu_s": row["relaxation"].get("cpu_s"),
            },
            initial_structure=row["is_dos"],
            relaxed_structure=row["rs_dos"],
        )


def main() -> None:
    """Compute, as far as it comes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    compute(parser.parse_args().folder)


if __name__ == "__main__":
    main()

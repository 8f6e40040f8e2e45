"""Write docs/reference/dataset.md, the datasheet of the open set, from its manifest, its campaigns and measurements."""

import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.leaderboard.numbers import moved
from benchmarks.leaderboard.page import table
from esnet.dataset.dataset import Dataset
from esnet.files.atomic import whole_file

LICENCE = "CC-BY-4.0"
_LOAD = """import esnet

data = esnet.Dataset.open("benchmarks/data/open_set")  # every checksum is compared
dos, energies = data.read(data.indices(kind="is_dos")), data.energies"""
_MEASURE = r"""
import re, sys, time
import esnet
start = time.process_time()
esnet.Dataset.open(sys.argv[1])
# not ru_maxrss, which begins with the memory of the process that started this one
print(time.process_time() - start, int(re.search(r"VmHWM:\s*(\d+)", open("/proc/self/status").read())[1]) / 1024)
"""


def loading(folder: Path) -> dict[str, float]:
    """Return the CPU-s for opening with all checksums, and the peak MiB, measured in a separate process."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", _MEASURE, str(folder.resolve())], cwd=root, check=True,
                          capture_output=True, text=True)  # fmt: skip
    seconds, memory = map(float, done.stdout.split())
    return {"cpu_s": seconds, "mib": memory}


def datasheet(dataset: Dataset, measured: Mapping[str, Any]) -> str:
    """Return the page as Markdown.

    Parameters
    ----------
    dataset
        The open data set.
    measured
        ``change_mev`` (largest change of a prediction by the rounding, meV/atom) and ``load`` (result of `loading`).
    """
    manifest, source = dataset.manifest, dataset.manifest.source
    system = dict(zip(dataset.materials, dataset.chemsys, strict=True))
    energy = dict(zip(dataset.materials, dataset.energies.tolist(), strict=True))
    compounds = sorted(name for name, found in system.items() if "-" in found)
    prototypes = Counter(name.split("-")[0] for name in compounds)
    energies = np.array([energy[name] for name in compounds])
    how_far = np.array(list(moved(dataset).values()))
    size = sum(entry["bytes"] for entry in manifest.files.values())
    files = table(
        ["file", "bytes", "SHA-256"],
        (
            [f"`{name}`", f"{entry['bytes']:,}", f"`{entry['sha256']}`"]
            for name, entry in sorted(manifest.files.items())
        ),
    )
    elements = sorted({symbol for name in compounds for symbol in system[name].split("-")})
    counts = Counter(symbol for name in compounds for symbol in system[name].split("-"))
    versions = ", ".join(f"{name} {version}" for name, version in sorted(manifest.versions.items()))
    engines = ", ".join(sorted({row["vasp_version"] for row in dataset.provenance(range(len(dataset)))
                                if row.get("vasp_version")})) or "not recorded"  # fmt: skip
    return f"""# The open data set

IS-DOS and RS-DOS, spin- and lm-resolved, of unrelaxed and relaxed crystals, with both crystals and the formation energy of the relaxed one. Made by `python -m benchmarks.open_set` from the project's own campaigns; this page too.

{len(compounds)} compounds ({", ".join(f"{number} {name}" for name, number in sorted(prototypes.items()))}) of {len(elements)} elements, and {len(system) - len(compounds)} crystals of elements; {manifest.counts.get("is_dos", 0)} IS-DOS and {manifest.counts.get("rs_dos", 0)} RS-DOS; {size / 1e6:.2f} MB in `benchmarks/data/open_set`, which is in the repository and not in the wheel. It grows towards all 975 pairs of 26 elements in B1, B2 and B3.

## Loading

```python
{_LOAD}
```

Opening it with all checksums took {measured["load"]["cpu_s"]:.2f} CPU-s; the process had {measured["load"]["mib"]:.0f} MiB at most, Python and its packages included. A byte that was altered is refused, with the file's name. Format 2 of [data sets](../how-to/data-sets.md).

## What is in it

* Formation energies: {energies.min():.3f} to {energies.max():.3f} eV/atom, median {np.median(energies):.3f}; {int((energies <= 0).sum())} of {len(compounds)} compounds have E_f <= 0 against the elements of the same campaign and settings. Corrections: {source.get("corrections")}.
* Relaxations moved the crystals by a median of {np.median(how_far):.3f} and at most {how_far.max():.3f} (norm of the strain, with the sites' displacements over the distance of atoms).
* Compounds by element: {", ".join(f"{name} {counts[name]}" for name in elements)}.

![Formation energies, elements and movement of the compounds](images/dataset-coverage.png)

## How it was computed

* Engine {source.get("engine")} ({engines}), quality {source.get("quality")}: PBE, 520 eV, k-points and DOS window as in [the science](../explanation/science.md); settings hash `{source.get("settings_hash")}`. Written with {versions}.
* Representation: {", ".join(f"{name} {value}" for name, value in manifest.representation.items())}. Filters left out {sum(manifest.n_dropped.values())} of {manifest.n_given} samples.
* Densities are {source.get("densities")}: predictions of the shipped ESNet change by at most {measured["change_mev"]:.4f} meV/atom on all {len(dataset)} samples.

{_campaigns(dataset)}
## Failures

{_failures(source.get("failures", {}))}
## Splits

`splits.json` has the fixed splits with their own checksum: `random-1` to `random-5`, `chemsys-1` to `chemsys-5` (no chemical system in two parts), and `element-X` for each element (all its compounds are the test part). `t` is test, `v` validation, `.` training, in the order of the sorted names of materials. Elements, whose formation energy is 0 by definition, are never tested. They are made anew when the set grows.

## Files

{files}
Content checksum `{dataset.checksum}`, written {manifest.created[:10]}. Licence: {LICENCE} (name the project and its version).

## To enlarge it

```text
campaign run training-B1.yaml                          # purpose: training_set, engine gpaw, quality fast
python -m benchmarks.open_set -l my_launchpad.yaml     # adds what the database has; remakes the splits and this page
make leaderboard                                       # trains what is missing, remakes the leaderboard
```

Campaigns whose names begin with `training-` are taken, or those of `--campaign`. What is in the set stays, so finished campaigns can be deleted. A set above 40 MB, or one whose rounding changes predictions by 1 meV/atom, is not written.

## What it is not good for

Small cells of few structure types, one functional, no magnetic search: no statement about other structures, oxides or magnetic order. E_f is against the elements alone, so E_f <= 0 is not stability against other compounds.
"""


def _campaigns(dataset: Dataset) -> str:
    """Return the number of compounds and their costs by campaign, from the provenance of the samples."""
    stages = {"is_dos": "IS-DOS", "relaxation": "relaxation", "rs_dos": "RS-DOS"}
    spent: dict[str, Counter[str]] = defaultdict(Counter)
    names: dict[str, set[str]] = defaultdict(set)
    provenance = dataset.provenance(range(len(dataset)))
    for material, kind, row in zip(dataset.materials, dataset.kinds, provenance, strict=True):
        campaign = row["campaign"]
        spent[campaign][kind] += row.get("cpu_s") or 0.0
        if material not in names[campaign]:
            spent[campaign]["relaxation"] += row.get("relaxation_cpu_s") or 0.0
        names[campaign].add(material)
    heading = ["campaign", "crystals", *(f"{title}, CPU-s" for title in stages.values())]
    return table(
        heading,
        (
            [name, str(len(names[name])), *(f"{costs[stage]:.0f}" for stage in stages)]
            for name, costs in sorted(spent.items())
        ),
    )


def _failures(failures: Mapping[str, Mapping[str, int]]) -> str:
    lines = [
        f"* {name}: {number} x {reason}" for name, each in sorted(failures.items()) for reason, number in each.items()
    ]
    return "\n".join(lines or ["No calculation of these campaigns has failed for good."]) + "\n"


def write_coverage(dataset: Dataset, file: Path) -> None:
    """Draw the energies, the number of compounds by element, and the changes of the crystals in the relaxation."""
    system = dict(zip(dataset.materials, dataset.chemsys, strict=True))
    energy = dict(zip(dataset.materials, dataset.energies.tolist(), strict=True))
    compounds = [name for name, found in system.items() if "-" in found]
    counts = Counter(symbol for name in compounds for symbol in system[name].split("-"))
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    left.hist([energy[name] for name in compounds], bins=20)
    left.set_xlabel("E_f, eV/atom")
    left.set_ylabel("compounds")
    middle.bar(sorted(counts), [counts[symbol] for symbol in sorted(counts)])
    middle.tick_params(axis="x", labelsize=6, rotation=90)
    middle.set_ylabel("compounds with the element")
    right.hist(list(moved(dataset).values()), bins=20)
    right.set_xlabel("how far it moved (strain, displacement)")
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as temporary:
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})

"""The fixed splits of the open set: random, by chemical system, by element left out; one file with a checksum.

A split gives each material a letter: ``t`` test, ``v`` validation, ``.`` training. Which one follows from a hash of the
seed and the material's name (or that of its chemical system), so that a data set that grows keeps its order. Elements
are references: their formation energy is 0 by definition, so they are trained on and never tested.
"""

import hashlib
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from esnet.dataset.dataset import Dataset, DatasetError
from esnet.dataset.splits import Split
from esnet.files.atomic import sha256_of_json, write_whole

FILE = "splits.json"
SEEDS = (1, 2, 3, 4, 5)
TEST, VALIDATION = 0.2, 0.1
LEAST_VALIDATION = 5


def make_splits(dataset: Dataset) -> dict[str, Any]:
    """All splits of a data set, in JSON types, with a checksum over them."""
    chemsys = dict(zip(dataset.materials, dataset.chemsys, strict=True))
    compounds = [name for name in sorted(chemsys) if "-" in chemsys[name]]
    splits = {}
    for seed in SEEDS:
        splits[f"random-{seed}"] = _parts(seed, {name: name for name in compounds})
        splits[f"chemsys-{seed}"] = _parts(seed, {name: chemsys[name] for name in compounds})
    for element in sorted({symbol for name in compounds for symbol in chemsys[name].split("-")}):
        test = {name for name in compounds if element in chemsys[name].split("-")}
        rest = {name: name for name in compounds if name not in test}
        splits[f"element-{element}"] = _parts(1, rest, n_test=0) | dict.fromkeys(test, "t")
    materials = sorted(chemsys)
    said = {
        "format": "esnet-splits",
        "dataset": dataset.checksum,
        "materials": materials,
        "splits": {name: "".join(parts.get(each, ".") for each in materials) for name, parts in splits.items()},
    }
    return said | {"sha256": sha256_of_json(said)}


def _parts(seed: int, unit_of: dict[str, str], *, n_test: int | None = None) -> dict[str, str]:
    """Letter of each material that is not trained on; those of one unit are not divided."""
    units = defaultdict(list)
    for name, unit in unit_of.items():
        units[unit].append(name)
    order = sorted(units, key=lambda unit: hashlib.sha256(f"{seed}\0{unit}".encode()).digest())
    left = {
        "t": round(TEST * len(unit_of)) if n_test is None else n_test,
        "v": max(LEAST_VALIDATION, round(VALIDATION * len(unit_of))),
    }
    parts = {}
    for unit in order:
        letter = next((each for each, number in left.items() if number > 0), None)
        if letter is None:
            break
        left[letter] -= len(units[unit])
        parts.update(dict.fromkeys(units[unit], letter))
    return parts


def write_splits(dataset: Dataset, file: Path) -> None:
    """Write them."""
    write_whole(file, json.dumps(make_splits(dataset), indent=1) + "\n")


def read_splits(dataset: Dataset, file: Path) -> dict[str, str]:
    """Read the splits of a data set, letters in the order of its sorted materials.

    Raises
    ------
    DatasetError
        If the file was altered or belongs to another data set.
    """
    said = json.loads(file.read_text(encoding="utf-8"))
    seal = said.pop("sha256", None)
    if seal != sha256_of_json(said):
        raise DatasetError(f"{file} was altered: its checksum is not that of what it says")
    if said["dataset"] != dataset.checksum:
        raise DatasetError(f"{file} is of the data set {said['dataset']}, {dataset.path} is {dataset.checksum}")
    return dict(said["splits"])


def split_of(dataset: Dataset, name: str, letters: str, *, n_train: int | None = None) -> Split:
    """A split as the trainings take it; with ``n_train`` that number of compounds is trained on, chosen by the seed."""
    part_of = dict(zip(sorted(set(dataset.materials)), letters, strict=True))
    by, _, number = name.partition("-")
    seed = int(number) if number.isdigit() else 1
    chosen = None
    if n_train is not None:
        chemsys = dict(zip(dataset.materials, dataset.chemsys, strict=True))
        compounds = [each for each, letter in part_of.items() if letter == "." and "-" in chemsys[each]]
        order = sorted(compounds, key=lambda each: hashlib.sha256(f"curve\0{seed}\0{each}".encode()).digest())
        # a curve is about what was computed for it: the elements, which every point has, stay
        chosen = {*order[:n_train], *(each for each in part_of if "-" not in chemsys[each])}
    letter = np.array([part_of[each] for each in dataset.materials])
    kept = np.array([chosen is None or each in chosen for each in dataset.materials])
    places = {part: np.flatnonzero((letter == part) & (kept | (part != "."))) for part in (".", "v", "t")}
    return Split(
        by="chemsys" if by == "chemsys" else "random",
        seed=seed,
        validation_fraction=VALIDATION,
        test_fraction=TEST,
        test_chemsys=(),
        train=places["."],
        validation=places["v"],
        test=places["t"],
        units=len(part_of),
        notes=(),
        checksum=hashlib.sha256(f"{name}\0{letters}\0{n_train}".encode()).hexdigest(),
    )

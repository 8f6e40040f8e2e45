"""Formation energies that potentials give by relaxing the initial crystals; each is kept as it comes."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import cascade_data
from benchmarks.cascade_data import Crystals
from campaign.scorers.force_field import ForceField
from esnet.dataset.dataset import Dataset
from esnet.dataset.mp2020 import convert_formation_energy
from esnet.files.atomic import sha256_of_json
from esnet.files.sealed import read_sealed_line, sealed_line

POTENTIALS = {**cascade_data.POTENTIALS, "EMT": ForceField(calculator="EMT")}
"""By the name of a row; EMT describes seven metals, has no corrections to convert, and is for tests."""
DEFAULT = tuple(cascade_data.POTENTIALS)


def relaxed_energies(
    dataset: Dataset, name: str, folder: Path, *, tell: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """Return ``e_form`` (eV/atom, in the data set's correction scheme; None: no prediction) and ``cpu_s`` by material.

    Elements of the data set are references and are not asked. A potential's own elements are relaxed at the expense of
    the first crystal that has them.
    """
    scorer = POTENTIALS[name]
    crystals = _initial_crystals(dataset)
    identity = {"potential": scorer.potential().identity(), "versions": scorer.potential().versions()}
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.jsonl"
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        row = read_sealed_line(line)
        key = _key(row["material"], crystals, identity, dataset) if row and row["material"] in crystals else None
        if row and row["key"] == key:
            found[row["material"]] = row
    missing = [material for material in crystals if material not in found]
    wanted, given = dataset.manifest.source.get("corrections") or "none", scorer.energy_corrections(None) or "none"
    started = time.process_time()
    with file.open("a", encoding="utf-8") as stream:
        for score in scorer.score(missing, Crystals(crystals)):
            energy = score.e_form
            if energy is not None:
                energy = convert_formation_energy(energy, crystals[score.id], given=given, wanted=wanted).energy
            row = {
                "material": score.id,
                "key": _key(score.id, crystals, identity, dataset),
                "e_form": energy,
                "reason": score.reason,
                "cpu_s": time.process_time() - started,
            }
            stream.write(sealed_line(row))
            stream.flush()
            found[score.id] = row
            tell(f"{name}: {len(found)} of {len(crystals)} crystals relaxed")
            started = time.process_time()
    return {material: found[material] for material in crystals}


def _initial_crystals(dataset: Dataset) -> dict[str, Any]:
    """Unrelaxed crystal of each compound that has one."""
    places = [place for place, name in enumerate(dataset.chemsys) if "-" in name]
    found = zip(places, dataset.structures(places, "initial"), strict=True)
    return {dataset.materials[place]: crystal for place, crystal in found if crystal is not None}


def _key(material: str, crystals: dict[str, Any], identity: dict[str, Any], dataset: Dataset) -> str:
    crystal = crystals[material]
    return sha256_of_json(
        [
            identity,
            dataset.manifest.source.get("corrections"),
            crystal.lattice.matrix.round(8).tolist(),
            crystal.frac_coords.round(8).tolist(),
            [site.species_string for site in crystal],
        ]
    )


def names_of(text: str) -> Sequence[str]:
    """Names with commas; ``none``: no potential."""
    named = [name.strip() for name in text.split(",") if name.strip() not in ("", "none")]
    if unknown := [name for name in named if name not in POTENTIALS]:
        raise SystemExit(f"--potentials {text}: {', '.join(unknown)} is not known; there are {', '.join(POTENTIALS)}")
    return named

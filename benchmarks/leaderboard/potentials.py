"""Formation energies by scorers that need no training: potentials and energies of the IS-DOS calculations.

Each is kept as soon as it is computed.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import cascade_data
from benchmarks.cascade_data import Crystals
from campaign.scorers.force_field import ForceField
from campaign.scorers.single_point import SinglePoint
from esnet.dataset.dataset import Dataset
from esnet.dataset.mp2020 import convert_formation_energy
from esnet.files.atomic import sha256_of_json
from esnet.files.sealed import read_sealed_line, sealed_line
from esnet.residual.single_point import SINGLE_POINT_ENERGY

_SINGLE_POINTS = {name.replace(", ", " + "): scorer for name, scorer in cascade_data.SINGLE_POINTS.items()}
POTENTIALS: dict[str, ForceField | SinglePoint] = {
    **cascade_data.POTENTIALS,
    **_SINGLE_POINTS,
    "EMT": ForceField(calculator="EMT"),
}
"""By the name of a row; EMT describes seven metals, has no corrections to convert, and is for tests."""
DEFAULT = (*cascade_data.POTENTIALS, *_SINGLE_POINTS)


def relaxed_energies(
    dataset: Dataset, name: str, folder: Path, *, tell: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """Return ``e_form`` (eV/atom, in the data set's correction scheme; None: no prediction) and ``cpu_s`` by material.

    Elements of the data set are references and are not predicted. A potential's own elements are relaxed at the expense
    of the first crystal that has them. ``cpu_s`` does not include an IS-DOS.
    """
    scorer = POTENTIALS[name]
    crystals = _initial_crystals(dataset)
    unrelaxed = _unrelaxed_energies(dataset) if scorer.needs_dos else {}
    identity = _identity(scorer)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name.replace(' ', '')}.jsonl"
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        row = read_sealed_line(line)
        known = row and row["material"] in crystals
        key = _key(row["material"], crystals, unrelaxed, identity, dataset) if row and known else None
        if row and row["key"] == key:
            found[row["material"]] = row
    missing = [material for material in crystals if material not in found]
    wanted = dataset.manifest.source.get("corrections") or "none"
    given = wanted if scorer.needs_dos else scorer.energy_corrections(None) or "none"
    started = time.process_time()
    with file.open("a", encoding="utf-8") as stream:
        for score in scorer.score(missing, Crystals(crystals, unrelaxed)):
            energy = score.e_form
            if energy is not None:
                energy = convert_formation_energy(energy, crystals[score.id], given=given, wanted=wanted).energy
            row = {
                "material": score.id,
                "key": _key(score.id, crystals, unrelaxed, identity, dataset),
                "e_form": energy,
                "reason": score.reason,
                "cpu_s": time.process_time() - started,
            }
            stream.write(sealed_line(row))
            stream.flush()
            found[score.id] = row
            tell(f"{name}: {len(found)} of {len(crystals)} crystals predicted")
            started = time.process_time()
    return {material: found[material] for material in crystals}


def _initial_crystals(dataset: Dataset) -> dict[str, Any]:
    """Unrelaxed crystal of each compound that has one."""
    places = [place for place, name in enumerate(dataset.chemsys) if "-" in name]
    found = zip(places, dataset.structures(places, "initial"), strict=True)
    return {dataset.materials[place]: crystal for place, crystal in found if crystal is not None}


def _unrelaxed_energies(dataset: Dataset) -> dict[str, float | None]:
    """Formation energy (eV/atom) of each unrelaxed crystal by its IS-DOS calculation."""
    places = [place for place, kind in enumerate(dataset.kinds) if kind == "is_dos"]
    rows = dataset.provenance(places)
    return {dataset.materials[place]: row.get(SINGLE_POINT_ENERGY) for place, row in zip(places, rows, strict=True)}


def _identity(scorer: ForceField | SinglePoint) -> dict[str, Any]:
    potential = scorer.potential()
    found = {} if potential is None else {"potential": potential.identity(), "versions": potential.versions()}
    return found | ({"kind": scorer.kind} if scorer.needs_dos else {})


def _key(
    material: str,
    crystals: dict[str, Any],
    unrelaxed: dict[str, float | None],
    identity: dict[str, Any],
    dataset: Dataset,
) -> str:
    crystal = crystals[material]
    return sha256_of_json(
        [
            *([unrelaxed.get(material)] if unrelaxed else []),
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

"""The doors through which files enter: for each, whole files to damage, and what reads them."""

import gzip
import io
import json
import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from damage import damage_bytes, damage_tree
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Poscar
from ruamel.yaml import YAML

from campaign.candidates.structure_files import read_structure_file
from campaign.hull.entries_file import read_entries_file
from campaign.spec.reader import read_campaign_file
from campaign.views.preview import format_preview
from esnet.bundle.files import _with_checksums
from esnet.bundle.info import BundleInfo
from esnet.bundle.shipped import bundle_folder
from esnet.files.atomic import file_entry
from esnet.sources.vasprun_xml import read_vasprun, read_vasprun_settings

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Door:
    """One way in.

    Attributes
    ----------
    damaged
        Writes a damaged file or folder below a folder that is empty, and returns its path.
    read
        Reads it.
    """

    damaged: Callable[[Path, random.Random], Path]
    read: Callable[[Path], Any]


def _twice(content: bytes, source: random.Random) -> bytes:
    content = damage_bytes(content, source)
    return damage_bytes(content, source) if source.random() < 0.4 else content


@cache
def _whole_structures() -> Mapping[str, str]:
    rock_salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.6), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    written = {"a.cif": str(CifWriter(rock_salt, symprec=0.01)), "b.cif": str(CifWriter(rock_salt))}
    return written | {"POSCAR": Poscar(rock_salt).get_str()}


def _damaged_structure(folder: Path, source: random.Random) -> Path:
    files = _whole_structures()
    name = source.choice(sorted(files))
    body = _twice(files[name].encode(), source)
    if source.random() < 0.1:
        name, body = f"{name}.gz", _twice(gzip.compress(body), source)
    (folder / name).write_bytes(body)
    return folder / name


def _damaged_entries(folder: Path, source: random.Random) -> Path:
    entries = [
        {
            "@class": "ComputedEntry",
            "energy": -3.7 * number,
            "composition": {element: number},
            "entry_id": f"{element}{number}",
            "correction": 0.0,
            "energy_adjustments": [{"@class": "ConstantEnergyAdjustment", "value": 0.0, "name": "MP2020 x"}],
            "parameters": {"run_type": "GGA", "potcar_symbols": [f"PBE {element}"], "hubbards": {}},
            "data": {"oxidation_states": {}},
        }
        for element in ("Al", "Pd", "Cu")
        for number in (1, 2)
    ]
    tree = damage_tree({"engine": "vasp", "functional": "PBE", "entries": entries}, source)
    body = json.dumps(tree).encode()
    (folder / "entries.json").write_bytes(_twice(body, source) if source.random() < 0.3 else body)
    return folder / "entries.json"


def _damaged_campaign(folder: Path, source: random.Random) -> Path:
    files = sorted((ROOT / "examples").glob("*.yaml"))
    text = source.choice(files).read_text(encoding="utf-8")
    if source.random() < 0.6:
        yaml = YAML(typ="safe", pure=True)
        written = io.StringIO()
        yaml.dump(damage_tree(yaml.load(text), source), written)
        body = written.getvalue().encode("utf-8", "surrogatepass")
    else:
        body = _twice(text.encode(), source)
    (folder / "campaign.yaml").write_bytes(body)
    return folder / "campaign.yaml"


def _damaged_vasprun(folder: Path, source: random.Random) -> Path:
    (folder / "vasprun.xml").write_bytes(_twice((folder.parent / "whole.xml").read_bytes(), source))
    return folder / "vasprun.xml"


def _damaged_bundle(folder: Path, source: random.Random) -> Path:
    bundle = folder / "bundle"
    shutil.copytree(bundle_folder("gpaw-fast-binary"), bundle)
    path = source.choice(sorted(found for found in bundle.rglob("*") if found.is_file()))
    kind = source.random()
    if kind < 0.1:
        path.unlink()
    elif kind < 0.2:
        path.unlink()
        path.mkdir()
    elif kind < 0.6 and path.suffix == ".json":
        path.write_text(json.dumps(damage_tree(json.loads(path.read_text()), source)))
        _seal(bundle, path)
    else:
        path.write_bytes(_twice(path.read_bytes(), source))
    return bundle


def _seal(bundle: Path, changed: Path) -> None:
    """Make the checksums right again, as a person who edits a bundle would."""
    manifest = bundle / "manifest.json"
    content = json.loads(manifest.read_text())
    if not isinstance(content, dict) or not isinstance(content.get("files"), dict):
        return
    if changed != manifest:
        content["files"][changed.name] = file_entry(changed)
    manifest.write_text(json.dumps(_with_checksums(content)))


def _read_campaign(path: Path) -> list[str]:
    return list(format_preview(read_campaign_file(path)))


def _read_vasprun(path: Path) -> tuple[object, object]:
    return read_vasprun_settings(path), read_vasprun(path)


DOORS: Mapping[str, Door] = {
    "structures": Door(_damaged_structure, read_structure_file),
    "entries": Door(_damaged_entries, read_entries_file),
    "campaigns": Door(_damaged_campaign, _read_campaign),
    "vaspruns": Door(_damaged_vasprun, _read_vasprun),
    "bundles": Door(_damaged_bundle, BundleInfo.read),
}

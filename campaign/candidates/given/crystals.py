"""Read and check one item of a source, and compute the properties by which crystals are compared."""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import spglib
from pymatgen.core import Element, Lattice, Structure

from campaign.candidates.elements import ElementError, check_element
from campaign.candidates.given.items import AtomsRow, Frame, Item, Value
from campaign.candidates.packed import PackedCrystal
from campaign.candidates.structure_files import RefusedCrystal, check_crystal, read_structure_text, structure_kind
from campaign.candidates.structure_hash import structure_hash
from campaign.candidates.structure_text import HYDROGEN_ISOTOPES, Reason, StructureFileError, read_text
from campaign.candidates.usual_volume import usual_volume
from esnet.files.atomic import sha256_of

_MATCH_SYMPREC = 0.1
"""Tolerance in A of the symmetry search used to sort crystals before comparison: crystals from generative models
deviate
from their symmetric positions by some hundredths of an A.
"""
_CENTRINGS = {"A": "C", "B": "C"}


@dataclass(frozen=True, kw_only=True)
class GivenCrystal:
    """A crystal that may become a candidate as given.

    Attributes
    ----------
    name, file, columns
        Its name, its file, and other information from its source.
    crystal
        As given, with sites sorted by element; rescaled only on request.
    structure_hash
        Hash of the crystal, see `campaign.candidates.structure_hash`.
    space_group, primitive
        Number in International Tables A and primitive cell, both within `_MATCH_SYMPREC`.
    kind
        Anonymous formula, Pearson symbol and space group, e.g. ``AB_cP2_221``.
    notes
        Notes for the user on how it was read.
    """

    name: str
    file: str
    columns: Mapping[str, Any]
    crystal: PackedCrystal
    structure_hash: str
    space_group: int
    primitive: PackedCrystal
    kind: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A crystal that does not become a candidate.

    Attributes
    ----------
    name, file
        Its name and its file.
    reason
        The reason in a word, for counting.
    detail
        What was found and what would be right.
    """

    name: str
    file: str
    reason: Reason
    detail: str


@dataclass(frozen=True)
class ReadItem:
    """Result of reading an item: crystals, crystals left out, and the SHA-256 of the file that it names, if any."""

    found: tuple[GivenCrystal | LeftOut, ...]
    sha256: str | None = None


def read_item(item: Item, *, rescale: bool, max_atoms: int) -> ReadItem:
    """Read an item; problems are part of the result.

    Parameters
    ----------
    rescale
        Whether to rescale cells to the volume of their atoms in the elements.
    max_atoms
        Largest number of atoms in a cell.
    """
    left_out = partial(LeftOut, file=item.place)
    found: list[GivenCrystal | LeftOut] = []
    sha256 = None
    try:
        if item.problem is not None:
            raise StructureFileError(item.problem)
        if isinstance(path := _path_of(item.content), Path):
            sha256 = _file_sha256(path)
        for name, structure, notes in _structures(item, path):
            if isinstance(structure, StructureFileError):
                found.append(left_out(name=name, reason=structure.reason, detail=str(structure)))
                continue
            try:
                crystal = _described(item, name, structure, notes, rescale=rescale, max_atoms=max_atoms)
            except StructureFileError as error:
                found.append(left_out(name=name, reason=error.reason, detail=str(error)))
            else:
                found.append(crystal)
    except StructureFileError as error:
        found.append(left_out(name=item.name, reason=error.reason, detail=str(error)))
    except Exception as error:  # noqa: BLE001 pymatgen, spglib and ASE fail on damaged input in their own ways
        detail = f"cannot be read: {type(error).__name__}: {str(error)[:200]}"
        found.append(left_out(name=item.name, reason=Reason.UNREADABLE, detail=detail))
    return ReadItem(tuple(found), sha256)


def read_items(items: list[Item], *, rescale: bool, max_atoms: int) -> list[ReadItem]:
    """Read several items in order."""
    return [read_item(item, rescale=rescale, max_atoms=max_atoms) for item in items]


def _path_of(content: Any) -> Path | None:
    """Return the file that an item is or that its column names, or None."""
    if isinstance(content, Path):
        return content
    if isinstance(content, Value) and isinstance(content.value, str):
        text = content.value.strip()
        if text and "\n" not in text and not text.startswith("{") and len(text) < 4096:
            return content.folder / Path(text).expanduser()
    return None


def _file_sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise StructureFileError(f"{path} cannot be read: {error.strerror}") from error


Found = tuple[str, Structure | StructureFileError, tuple[str, ...]]


def _structures(item: Item, path: Path | None) -> Iterator[Found]:
    """Yield the crystals of an item, or the problem of each."""
    content = item.content
    if path is not None:
        if (kind := structure_kind(path)) is None:
            raise StructureFileError(f"names {path.name}, which is neither a CIF nor a POSCAR file")
        yield from _text_structures(read_text(path), kind, item.name)
    elif isinstance(content, Frame):
        yield item.name, _from_frame(content.text), ()
    elif isinstance(content, AtomsRow):
        yield item.name, _from_atoms(content), ()
    elif isinstance(content, Value) and isinstance(content.value, str):
        text = content.value.strip()
        if text.startswith("{"):
            yield item.name, *_from_dict(_parsed(text))
        elif not text:
            raise StructureFileError("has no crystal: its column is empty")
        else:
            kind = "CIF" if text.lower().startswith("data_") or "\n_cell_length_a" in text else "POSCAR"
            yield from _text_structures(content.value.replace("\r\n", "\n"), kind, item.name)
    else:
        yield item.name, *_from_dict(content.value)


def _text_structures(text: str, kind: str, name: str) -> Iterator[Found]:
    for found in read_structure_text(text, kind, name=name):
        if isinstance(found, RefusedCrystal):
            yield found.name, found.error, ()
        else:
            yield found.name, found.structure, found.notes


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StructureFileError(f"does not parse as JSON: {error}") from error


def _from_dict(content: Any) -> tuple[Structure, tuple[str, ...]]:
    if not isinstance(content, dict) or not {"lattice", "sites"} <= content.keys():
        raise StructureFileError(
            "is not a crystal; right: the output of pymatgen's Structure.as_dict(), CIF or POSCAR text"
        )
    try:
        structure = Structure.from_dict(content)
    except Exception as error:  # damaged files raise errors of any kind
        said = f"{type(error).__name__}: {str(error)[:160]}"
        raise StructureFileError(f"cannot be parsed as a pymatgen Structure ({said})") from error
    isotopes = {symbol for each in structure.elements if (symbol := each.symbol) in HYDROGEN_ISOTOPES}
    if isotopes:
        structure.replace_species(dict.fromkeys(isotopes, "H"))
    if wrong := next((each.symbol for each in structure.elements if not Element.is_valid_symbol(each.symbol)), None):
        raise StructureFileError(f"has atoms {wrong!r}, which is not an element", reason=Reason.ELEMENT)
    notes = tuple(f"{symbol} ({HYDROGEN_ISOTOPES[symbol]}) is read as hydrogen" for symbol in sorted(isotopes))
    return check_crystal(structure), notes


def _from_frame(text: str) -> Structure:
    atoms = ase.io.read(io.StringIO(text), format="extxyz", index=0)
    assert isinstance(atoms, ase.Atoms)
    if any(sum(shares.values()) < 1 or len(shares) > 1 for shares in atoms.info.get("occupancy", {}).values()):
        raise StructureFileError("has partially occupied sites; right: an ordered crystal", reason=Reason.DISORDERED)
    return _from_atoms(AtomsRow(np.array(atoms.cell), atoms.numbers, atoms.positions, atoms.pbc))


def _from_atoms(atoms: AtomsRow) -> Structure:
    if not atoms.pbc.all():
        raise StructureFileError(
            'is not periodic in all three directions; right: a crystal, pbc="T T T"', reason=Reason.CELL
        )
    if abs(np.linalg.det(atoms.cell)) < 1e-6:
        raise StructureFileError("has a cell without volume; right: three vectors in Angstrom", reason=Reason.CELL)
    if not len(atoms.numbers):
        raise StructureFileError("has no atoms")
    if atoms.numbers.min() <= 0 or atoms.numbers.max() > 118:
        raise StructureFileError("has atoms that are not elements", reason=Reason.ELEMENT)
    species = [Element.from_Z(int(number)) for number in atoms.numbers]
    return check_crystal(Structure(Lattice(atoms.cell), species, atoms.positions, coords_are_cartesian=True))


def _described(
    item: Item, name: str, structure: Structure, notes: tuple[str, ...], *, rescale: bool, max_atoms: int
) -> GivenCrystal:
    if len(structure) > max_atoms:
        raise StructureFileError(
            f"has {len(structure)} atoms in the cell; right: at most {max_atoms} (candidates.max_atoms)",
            reason=Reason.TOO_LARGE,
        )
    for element in structure.elements:
        try:
            check_element(element.symbol)
        except ElementError as error:
            is_f_block = "f-block" in str(error)
            raise StructureFileError(str(error), reason=Reason.F_BLOCK if is_f_block else Reason.ELEMENT) from error
    if rescale:
        volume = usual_volume(structure, [site.specie.symbol for site in structure])
        structure = Structure(structure.lattice.scale(volume), structure.species, structure.frac_coords)
    try:
        space_group, primitive, kind = symmetry_of(structure)
        found_hash = structure_hash(structure)
    except ValueError as error:
        raise StructureFileError(str(error)) from error
    return GivenCrystal(
        name=name,
        file=item.place,
        columns=item.columns,
        crystal=PackedCrystal.of(structure),
        structure_hash=found_hash,
        space_group=space_group,
        primitive=primitive,
        kind=kind,
        notes=notes,
    )


def symmetry_of(structure: Structure) -> tuple[int, PackedCrystal, str]:
    """Return space group, primitive cell and structure type of a crystal, by which it is compared with others."""
    packed = PackedCrystal.of(structure)
    cell = (packed.cell, packed.positions, packed.numbers.astype(int))
    for symprec in (_MATCH_SYMPREC, _MATCH_SYMPREC / 10, _MATCH_SYMPREC / 100):
        dataset = spglib.get_symmetry_dataset(cell, symprec=symprec)
        primitive = spglib.standardize_cell(cell, to_primitive=True, no_idealize=False, symprec=symprec)
        if dataset is not None and primitive is not None:
            break
    else:
        raise ValueError(f"spglib finds no symmetry of {structure.composition.formula}: check its atoms and cell")
    primitive_cell = PackedCrystal(primitive[0], primitive[2].astype(np.uint8), primitive[1])
    centring = dataset.international[0]
    pearson = f"{_family(dataset.number)}{_CENTRINGS.get(centring, centring)}{len(dataset.std_types)}"
    return int(dataset.number), primitive_cell, f"{_anonymous(structure)}_{pearson}_{dataset.number}"


def _anonymous(structure: Structure) -> str:
    """Return the formula with letters in place of the elements, e.g. ``AB3``."""
    amounts = sorted(round(amount) for amount in structure.composition.reduced_composition.values())
    return "".join(
        f"{chr(ord('A') + place)}{amount if amount > 1 else ''}" for place, amount in enumerate(amounts[:26])
    )


def _family(number: int) -> str:
    """Return the letter of a space group's crystal family in a Pearson symbol."""
    families = ((2, "a"), (15, "m"), (74, "o"), (142, "t"), (194, "h"), (230, "c"))
    return next(letter for last, letter in families if number <= last)

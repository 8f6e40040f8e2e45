"""A user's crystal structures: folders of CIF and POSCAR files, each read with one rule.

What a file says and what was read must agree. What does not is refused, by file and by line or tag; what is unusual
and clear is read, with a note that `campaign check` shows.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.data import covalent_radii
from pymatgen.core import Structure

from campaign.candidates.cif import read_cif
from campaign.candidates.poscar import read_poscar
from campaign.candidates.structure_text import FARTHEST, MAX_SITES, Reason, StructureFileError, read_text, unpacked_name
from campaign.config.wording import format_count

_RIGHT = "right: files named *.cif, *.mcif, *.vasp, *.poscar, *POSCAR* or *CONTCAR*, also packed (.gz, .bz2, .xz)"
_LONGEST_CELL = 500.0  # A
_LEAST_THICKNESS = 0.5  # A, between opposite faces of the cell
_LEAST_DISTANCE = 0.5
"""A, and this times the sum of two covalent radii (B. Cordero et al., Dalton Trans. 2008, 2832)."""


@dataclass(frozen=True)
class Crystal:
    """A crystal from a file.

    Attributes
    ----------
    name
        The file's stem; ``stem#block`` where the file has several crystals.
    structure
        Ordered, without oxidation states or site properties; lengths in A.
    notes
        What a user should know of how it was read.
    """

    name: str
    structure: Structure
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RefusedCrystal:
    """A crystal of a file that cannot be used, and why."""

    name: str
    error: StructureFileError


@dataclass(frozen=True)
class StructureFolder:
    """What a folder of structures holds.

    Attributes
    ----------
    files
        Its CIF and POSCAR files in the order of their names.
    unused
        What else is there, each with the reason why it is not read.
    """

    files: list[Path]
    unused: list[str]

    def by_stem(self) -> dict[str, Path]:
        """The files by their names without endings."""
        return {structure_stem(path): path for path in self.files}


def structure_kind(path: Path) -> str | None:
    """Whether a file is CIF or POSCAR by its name; None: neither."""
    name = unpacked_name(path).lower()
    if name.endswith((".cif", ".mcif")):
        return "CIF"
    if name.endswith((".vasp", ".poscar")) or "poscar" in name or "contcar" in name:
        return "POSCAR"
    return None


def structure_stem(path: Path) -> str:
    """A file's name without its endings."""
    return Path(unpacked_name(path)).stem


def list_structure_folder(folder: Path) -> StructureFolder:
    """List the structure files of a folder, and what else is there.

    Raises
    ------
    StructureFileError
        The folder is absent or has no structure file, or two files have the same stem.
    """
    if not folder.is_dir():
        found = "is not a folder" if folder.exists() else "does not exist"
        raise StructureFileError(f"{folder} {found}; right: a folder with CIF or POSCAR files")
    try:
        content = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise StructureFileError(f"{folder} cannot be read: {error.strerror}") from error
    files = [path for path in content if path.is_file() and structure_kind(path)]
    unused = [f"{path.name} ({_why_unused(path)})" for path in content if path not in set(files)]
    if not files:
        there = f" (there are {', '.join(unused[:5])})" if unused else ""
        raise StructureFileError(f"{folder} has no structure file{there}; {_RIGHT}")
    by_stem: dict[str, Path] = {}
    for path in files:
        stem = structure_stem(path)
        if other := by_stem.get(stem):
            raise StructureFileError(
                f"{folder} has {other.name} and {path.name}, which would both be named {stem!r}; rename one"
            )
        by_stem[stem] = path
    return StructureFolder(files, unused)


def _why_unused(path: Path) -> str:
    if path.is_dir():
        inside = sum(1 for found in path.rglob("*") if found.is_file() and structure_kind(found))
        return f"a subfolder with {format_count(inside, 'structure file')}"
    if not path.exists():
        return "a link to nothing"
    return "another ending" if path.is_file() else "no file"


def read_structure_file(path: Path) -> list[Crystal]:
    """Read every crystal of a file; a CIF may hold several.

    Raises
    ------
    StructureFileError
        What the file says and what was read do not agree, or it is no ordered crystal.
    """
    kind = structure_kind(path)
    if kind is None:
        raise StructureFileError(f"{path.name} is neither a CIF nor a POSCAR file; {_RIGHT}")
    crystals = []
    for found in read_structure_text(read_text(path), kind, name=structure_stem(path)):
        if isinstance(found, RefusedCrystal):
            raise found.error
        crystals.append(found)
    return crystals


def read_structure_text(text: str, kind: str, *, name: str) -> list[Crystal | RefusedCrystal]:
    """Read every crystal of a text, each that cannot be used with its error.

    Parameters
    ----------
    text
        As `read_text` returns it.
    kind
        ``CIF`` or ``POSCAR``.
    name
        Of the crystal; several in one text are called ``name#block``.

    Raises
    ------
    StructureFileError
        The text as a whole cannot be read.
    """
    if kind == "POSCAR":
        try:
            structure, notes = read_poscar(text)
        except StructureFileError as error:
            raise StructureFileError(f"does not parse as POSCAR: {error}", reason=error.reason) from error
        return [Crystal(name, check_crystal(structure), tuple(notes))]
    found = read_cif(text)
    several = len(found) > 1
    crystals: list[Crystal | RefusedCrystal] = []
    for each in found:
        block = each[0] if isinstance(each, tuple) else each.block
        of_block = name + ("#" + re.sub(r"[^\w.+-]", "_", block) if several else "")
        if isinstance(each, tuple):
            crystals.append(RefusedCrystal(of_block, each[1]))
            continue
        try:
            crystals.append(Crystal(of_block, check_crystal(each.structure), tuple(each.notes)))
        except StructureFileError as error:
            said = f"data_{block}: {error}" if several else str(error)
            crystals.append(RefusedCrystal(of_block, StructureFileError(said, reason=error.reason)))
    return crystals


def check_crystal(structure: Structure) -> Structure:
    """The plain crystal, once nothing is left in it on which spglib or DFT would fail.

    Raises
    ------
    StructureFileError
        Naming what is wrong with the cell or the sites.
    """
    matrix = structure.lattice.matrix
    if not (np.isfinite(matrix).all() and np.isfinite(structure.frac_coords).all()):
        raise StructureFileError("has lengths or coordinates that are not finite", reason=Reason.CELL)
    if (farthest := np.abs(structure.frac_coords).max()) > FARTHEST:
        raise StructureFileError(f"has an atom {farthest:.3g} cells away; right: coordinates in or near the cell")
    lengths = np.linalg.norm(matrix, axis=1)
    if lengths.max() > _LONGEST_CELL:
        raise StructureFileError(
            f"has a cell vector of {lengths.max():.4g} A; right: at most {_LONGEST_CELL:g} A", reason=Reason.CELL
        )
    areas = np.linalg.norm(np.cross(np.roll(matrix, -1, axis=0), np.roll(matrix, -2, axis=0)), axis=1)
    thickness = abs(np.linalg.det(matrix)) / max(areas.max(), 1e-300)
    if thickness < _LEAST_THICKNESS:
        raise StructureFileError(
            f"has a cell that is {thickness:.2g} A thick (vectors that lie in a plane, or lengths in another unit); "
            "right: three independent vectors in Angstrom",
            reason=Reason.CELL,
        )
    if len(structure) > MAX_SITES:
        raise StructureFileError(
            f"has {len(structure)} atoms in the cell; right: at most {MAX_SITES}", reason=Reason.TOO_LARGE
        )
    if not structure.is_ordered:
        site = next(site for site in structure if not site.is_ordered)
        raise StructureFileError(
            f"has partially occupied sites ({site.species_string}); right: an ordered crystal", reason=Reason.DISORDERED
        )
    plain = Structure(structure.lattice, [site.specie.symbol for site in structure], structure.frac_coords)
    _check_distances(plain)
    return plain.get_sorted_structure()


def _check_distances(structure: Structure) -> None:
    radii = np.array([covalent_radii[site.specie.Z] for site in structure])
    centers, neighbours, _, distances = structure.get_neighbor_list(2 * _LEAST_DISTANCE * max(radii.max(), 0.5))
    least = np.maximum(_LEAST_DISTANCE, _LEAST_DISTANCE * (radii[centers] + radii[neighbours]))
    if (close := np.flatnonzero(distances < least)).size:
        worst = close[np.argmin(distances[close])]
        pair = f"{structure[centers[worst]].specie} and {structure[neighbours[worst]].specie}"
        raise StructureFileError(
            f"has atoms closer than is possible: {pair} {distances[worst]:.3f} A apart; right: one atom on each site, "
            f"no closer than {least[worst]:.2f} A",
            reason=Reason.TOO_CLOSE,
        )


def read_crystals(folder: Path) -> Iterator[tuple[Path, Crystal]]:
    """Read every crystal of every structure file of a folder, in the order of the names.

    Raises
    ------
    StructureFileError
        Naming the folder or the file that cannot be used.
    """
    for path in list_structure_folder(folder).files:
        try:
            for crystal in read_structure_file(path):
                yield path, crystal
        except StructureFileError as error:
            raise StructureFileError(f"{path}: {error}") from error


def read_structure_folder(folder: Path) -> Iterator[tuple[str, Structure]]:
    """Name and crystal of every structure in a folder, see `read_crystals`."""
    for _, crystal in read_crystals(folder):
        yield crystal.name, crystal.structure

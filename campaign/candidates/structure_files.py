"""A user's crystal structures: folders of CIF and POSCAR files, with one rule for reading all of them.

The file's statements and the crystal must agree. A contradiction is refused, naming file and line or tag; unusual but
unambiguous input is read with a note, which `campaign check` shows.
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
"""A, and also this times the sum of two covalent radii (B. Cordero et al., Dalton Trans. 2008, 2832)."""


@dataclass(frozen=True)
class Crystal:
    """A crystal from a file.

    Attributes
    ----------
    name
        The file's stem; ``stem#block`` if the file has several crystals.
    structure
        Ordered, without oxidation states or site properties; lengths in A.
    notes
        Notes for the user on how it was read.
    """

    name: str
    structure: Structure
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RefusedCrystal:
    """A crystal of a file that cannot be used, with the reason."""

    name: str
    error: StructureFileError


@dataclass(frozen=True)
class StructureFolder:
    """Content of a folder of structures.

    Attributes
    ----------
    files
        Its CIF and POSCAR files sorted by name.
    unused
        Other files, each with the reason why it is not read.
    """

    files: list[Path]
    unused: list[str]

    def by_stem(self) -> dict[str, Path]:
        """Return the files by their names without endings."""
        return {structure_stem(path): path for path in self.files}


def structure_kind(path: Path) -> str | None:
    """Return ``CIF`` or ``POSCAR`` by a file's name, or None."""
    name = unpacked_name(path).lower()
    if name.endswith((".cif", ".mcif")):
        return "CIF"
    if name.endswith((".vasp", ".poscar")) or "poscar" in name or "contcar" in name:
        return "POSCAR"
    return None


def structure_stem(path: Path) -> str:
    """Return a file's name without its endings."""
    return Path(unpacked_name(path)).stem


def list_structure_folder(folder: Path) -> StructureFolder:
    """List the structure files and other files of a folder.

    Raises
    ------
    StructureFileError
        If the folder is absent or has no structure file, or two files have the same stem.
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
        If the file contradicts the crystal read from it, or the crystal is not ordered.
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
    """Read every crystal of a text; unusable ones are returned with their errors.

    Parameters
    ----------
    text
        Result of `read_text`.
    kind
        ``CIF`` or ``POSCAR``.
    name
        Name of the crystal; several in one text are named ``name#block``.

    Raises
    ------
    StructureFileError
        If the text as a whole cannot be read.
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
    """Return the plain crystal after checking for anything on which spglib or DFT would fail.

    Raises
    ------
    StructureFileError
        Names the problem of the cell or the sites.
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
    """Yield path and crystal for all structure files of a folder, sorted by name.

    Raises
    ------
    StructureFileError
        Names the folder or file that cannot be used.
    """
    for path in list_structure_folder(folder).files:
        try:
            for crystal in read_structure_file(path):
                yield path, crystal
        except StructureFileError as error:
            raise StructureFileError(f"{path}: {error}") from error


def read_structure_folder(folder: Path) -> Iterator[tuple[str, Structure]]:
    """Yield name and crystal of every structure in a folder, see `read_crystals`."""
    for _, crystal in read_crystals(folder):
        yield crystal.name, crystal.structure

"""A user's crystal structures: folders of CIF and POSCAR files."""

import warnings
from collections.abc import Iterator
from pathlib import Path

from pymatgen.core import Structure
from pymatgen.io.cif import CifParser
from pymatgen.io.vasp import Poscar

from esnet.files.errors import UserError

_RIGHT = "right: files named *.cif, *.vasp, *.poscar, POSCAR* or CONTCAR*"

# What pymatgen's parsers raise on files that are not what their name says.
_PARSER_ERRORS = (ValueError, TypeError, KeyError, IndexError, AttributeError, ZeroDivisionError, AssertionError)


class StructureFileError(UserError, ValueError):
    """A folder or file of crystal structures cannot be used."""


def _kind(path: Path) -> str | None:
    name, suffix = path.name.lower(), path.suffix.lower()
    if suffix == ".cif":
        return "CIF"
    if suffix in (".vasp", ".poscar") or name.startswith(("poscar", "contcar")):
        return "POSCAR"
    return None


def structure_files(folder: Path) -> list[Path]:
    """The CIF and POSCAR files of a folder in the order of their names; other files are passed over.

    Raises
    ------
    StructureFileError
        The folder is absent or has no such file, or two files have the same stem.
    """
    if not folder.is_dir():
        found = "is not a folder" if folder.exists() else "does not exist"
        raise StructureFileError(f"{folder} {found}; right: a folder with CIF or POSCAR files")
    files = sorted(path for path in folder.iterdir() if path.is_file() and _kind(path))
    if not files:
        raise StructureFileError(f"{folder} has no structure file; {_RIGHT}")
    by_stem: dict[str, Path] = {}
    for path in files:
        if path.stem in by_stem:
            raise StructureFileError(
                f"{folder} has {by_stem[path.stem].name} and {path.name}, which would both be called "
                f"{path.stem!r}; rename one"
            )
        by_stem[path.stem] = path
    return files


def read_structure_file(path: Path) -> Structure:
    """One ordered crystal without oxidation states or site properties.

    Raises
    ------
    StructureFileError
        The file does not parse, or has partially occupied sites or sites closer than 0.5 A.
    """
    kind = _kind(path)
    if kind is None:
        raise StructureFileError(f"{path.name} is neither CIF nor POSCAR; {_RIGHT}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # rounding of CIF coordinates and the like
            if kind == "CIF":
                structure = CifParser(path).parse_structures(primitive=False)[0]
            else:
                structure = Poscar.from_str(path.read_text(encoding="utf-8")).structure
    except OSError as error:
        raise StructureFileError(f"cannot be read: {error.strerror}; {_RIGHT}") from error
    except _PARSER_ERRORS as error:
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise StructureFileError(
            f"does not parse as {kind} ({reason[0][:160]}); right: a {kind} file that pymatgen reads"
        ) from error
    if not structure.is_ordered:
        raise StructureFileError("has partially occupied sites; right: an ordered crystal")
    if len(structure) > 1 and not structure.is_valid(tol=0.5):
        raise StructureFileError("has atoms closer than 0.5 A; right: one atom on each site")
    plain = Structure(structure.lattice, [site.specie.symbol for site in structure], structure.frac_coords)
    return plain.get_sorted_structure()


def read_structure_folder(folder: Path) -> Iterator[tuple[str, Structure]]:
    """Name (the file's stem) and crystal of every CIF and POSCAR file of a folder, in the order of the names.

    Raises
    ------
    StructureFileError
        Naming the folder or the file that cannot be used.
    """
    for path in structure_files(folder):
        try:
            yield path.stem, read_structure_file(path)
        except StructureFileError as error:
            raise StructureFileError(f"{path}: {error}") from error

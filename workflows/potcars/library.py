"""The POTCARs on this machine, as found by pymatgen, and those missing or wrong for a campaign."""

import bz2
import gzip
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from monty.os.path import zpath
from pymatgen.core import SETTINGS
from pymatgen.io.vasp.inputs import POTCAR_FUNCTIONAL_MAP

from workflows.potcars.titles import potcar_symbol, potcar_titles, sets_with_title

#: Folders that VASP's archives unpack into, by pymatgen's names of the sets.
_VASP_FOLDERS = {
    "PBE": ("potpaw_PBE",),
    **{f"PBE_{number}": (f"potpaw_PBE.{number}", f"potpaw_PBE_{number}") for number in ("52", "54", "64")},
}
_NEW_LIBRARY = "~/vasp_potcars"


@dataclass(frozen=True)
class PotcarFinding:
    """Result of a check of POTCARs on this machine.

    Attributes
    ----------
    what
        What was looked for and found.
    remedy
        The remedy; None if calculations can run.
    """

    what: str
    remedy: str | None = None


def library_subfolders(functional: str) -> dict[str, str]:
    """Return the subfolder of PMG_VASP_PSP_DIR with a set, in the form of pymatgen's PMG_VASP_PSP_SUB_DIRS.

    pymatgen expects the layout made by ``pmg config -p``. Unpacked archives of VASP contain the same files under other
    names, in a subfolder or directly in PMG_VASP_PSP_DIR; these are found here.
    """
    configured: dict[str, str] = dict(SETTINGS.get("PMG_VASP_PSP_SUB_DIRS") or {})
    root = _library()
    known: str = configured.get(functional, POTCAR_FUNCTIONAL_MAP[functional])
    if root is None or (root / known).is_dir():
        return configured
    for name in _VASP_FOLDERS[functional]:
        # an archive with its own folder, unpacked into one of that name, gives two levels
        for place in (f"{name}/{name}", name):
            if (root / place).is_dir():
                return configured | {functional: place}
    if root.name in (known, *_VASP_FOLDERS[functional]) or (not _sets_in(root) and any(root.glob("*/POTCAR*"))):
        return configured | {functional: "."}
    return configured


def library_folder(functional: str) -> Path | None:
    """Return the folder of a set on this machine; None if PMG_VASP_PSP_DIR is not set."""
    root = _library()
    if root is None:
        return None
    name: str = library_subfolders(functional).get(functional, POTCAR_FUNCTIONAL_MAP[functional])
    return root / name


def potcar_findings(elements: Iterable[str], functional: str) -> Iterator[PotcarFinding]:
    """Check the POTCAR of every element, in the folder and under the name used by calculations.

    Parameters
    ----------
    functional
        Set of POTCARs: PBE, PBE_52, PBE_54 or PBE_64.

    Yields
    ------
    PotcarFinding
        Problems, and notes on usable POTCARs.
    """
    symbols = {element: potcar_symbol(element, functional) for element in elements}
    if not symbols:
        return
    wanted = ", ".join(symbols.values())
    example = f"{_VASP_FOLDERS[functional][0]}/{next(iter(symbols.values()))}/POTCAR"
    add = "`pmg config --add PMG_VASP_PSP_DIR FOLDER` or `export PMG_VASP_PSP_DIR=FOLDER`"
    root = _library()
    if root is None:
        yield PotcarFinding(
            f"PMG_VASP_PSP_DIR is not set, in the environment or in ~/.config/.pmgrc.yaml or ~/.pmgrc.yaml, so that no "
            f"POTCAR can be found; needed are those of the set {functional}: {wanted}",
            f"{add}, with the absolute path of the folder that holds {example} as VASP's archive unpacks it, or the "
            "folder made from it by `pmg config -p`",
        )
        return
    if not root.is_absolute() or not root.is_dir():
        found = (
            "does not exist or is not a folder" if root.is_absolute() else "is a relative path; jobs start elsewhere"
        )
        yield PotcarFinding(
            f"PMG_VASP_PSP_DIR is {str(root)!r}, which {found}; needed are the POTCARs of {functional}: {wanted}", add
        )
        return
    folder = library_folder(functional)
    assert folder is not None, "there is a library"
    if not folder.is_dir():
        others = _sets_in(root)
        named = f"; the sets there: {', '.join(others)}" if others else ""
        names = (POTCAR_FUNCTIONAL_MAP[functional], *_VASP_FOLDERS[functional])
        deeper = next((found.parent for name in names for found in root.glob(f"*/{name}")), None)
        yield PotcarFinding(
            f"the set {functional} is not in PMG_VASP_PSP_DIR ({root}): neither {folder.name} nor "
            f"{' nor '.join(_VASP_FOLDERS[functional])}{named}; needed are the POTCARs of {wanted}",
            f"`pmg config --add PMG_VASP_PSP_DIR {deeper}`"
            if deeper is not None
            else f"unpack VASP's archive of that set into {root / _VASP_FOLDERS[functional][0]}, or set "
            "dft.potcar_functional to an available set",
        )
        return
    for element, symbol in symbols.items():
        if finding := _finding(element, symbol, functional, folder):
            yield finding


def _library() -> Path | None:
    folder = SETTINGS.get("PMG_VASP_PSP_DIR")
    return Path(os.path.expanduser(str(folder))) if folder else None


def _sets_in(root: Path) -> list[str]:
    """Return the sets of PBE POTCARs in a folder, by pymatgen's names."""
    return [
        functional
        for functional, names in _VASP_FOLDERS.items()
        if any((root / name).is_dir() for name in (POTCAR_FUNCTIONAL_MAP[functional], *names))
    ]


def _finding(element: str, symbol: str, functional: str, folder: Path) -> PotcarFinding | None:
    """Return the problem of the POTCAR of one element, or None."""
    tried = [folder / f"POTCAR.{symbol}", folder / symbol / "POTCAR"]
    path = next((found for found in (Path(zpath(str(name))) for name in tried) if found.is_file()), None)
    if path is None:
        variants = ", ".join(_variants(element, folder))
        there = f"; of {element} there are {variants}" if variants else ""
        return PotcarFinding(
            f"the POTCAR {symbol} of {element} ({functional}) is missing: neither {tried[0]} nor {tried[1]}, packed or "
            f"not{there}",
            f"take {symbol} from VASP's archive of the set {functional}, or leave {element} out",
        )
    try:
        text = _read(path)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        if path.suffix in (".Z", ".z"):
            return PotcarFinding(
                f"the POTCAR {symbol} of {element} ({path}) is packed by compress, which pymatgen cannot read",
                _unpack(folder, functional),
            )
        return PotcarFinding(
            f"the POTCAR {symbol} of {element} ({path}) cannot be read: {error}", "the file as VASP's archive has it"
        )
    return _content_finding(text, path, element, symbol, functional)


def _content_finding(text: str, path: Path, element: str, symbol: str, functional: str) -> PotcarFinding | None:
    again = f"the file {symbol}/POTCAR of VASP's archive of the set {functional}"
    place = f"the POTCAR {symbol} of {element} ({path})"
    titles = re.findall(r"^\s*TITEL\s*=\s*(.+?)\s*$", text, flags=re.MULTILINE)
    if not titles:
        return PotcarFinding(f"{place} has no line TITEL: it is not a POTCAR, or is truncated", again)
    if len(titles) > 1:
        return PotcarFinding(f"{place} contains {len(titles)} data sets: {', '.join(titles)}", again)
    if "End of Dataset" not in text[-200:]:
        return PotcarFinding(f"{place} is cut off: it does not end with 'End of Dataset'", again)
    title = titles[0]
    words, known = title.split(), potcar_titles(element, functional)
    if "".join(words) in known:
        return None
    expected = " or ".join(sorted(known)) or f"PAW_PBE {symbol}"
    if words[0] != "PAW_PBE" or words[1:2] != [symbol]:
        return PotcarFinding(f"{place} is {title!r} by its TITEL; expected: {expected}", again)
    if others := sets_with_title(title):
        return PotcarFinding(
            f"{place} is {title!r} by its TITEL, which is of {', '.join(others)} and not of {functional} ({expected})",
            f"{again}, or dft.potcar_functional: {others[0]}",
        )
    return PotcarFinding(f"{place} is {title!r} by its TITEL, which pymatgen's list of {functional} does not have")


def _variants(element: str, folder: Path) -> list[str]:
    """Return the data sets of an element in the folder."""
    names = {path.name.removeprefix("POTCAR.").split(".")[0] for path in folder.glob(f"POTCAR.{element}*")}
    names |= {path.name for path in folder.glob(f"{element}*") if path.is_dir()}
    return sorted(name for name in names if re.fullmatch(rf"{element}(_\w+)?", name))


def _unpack(folder: Path, functional: str) -> str:
    """Return the commands that make files packed by ``compress`` readable for pymatgen; pmg knows a set by its folder
    name.
    """
    if folder.name in _VASP_FOLDERS[functional]:
        return f"`pmg config -p {folder} {_NEW_LIBRARY}`, then `pmg config --add PMG_VASP_PSP_DIR {_NEW_LIBRARY}`"
    return f"`gunzip {folder}/*/POTCAR.Z`"


def _read(path: Path) -> str:
    content = path.read_bytes()
    packed = path.suffix.lower()
    if packed in (".gz", ".z"):
        content = gzip.decompress(content)
    elif packed == ".bz2":
        content = bz2.decompress(content)
    return content.decode("utf-8", errors="replace")

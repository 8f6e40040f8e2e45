"""Elements with GPAW PAW data sets, and header-only POTCAR files for them.

pymatgen and atomate2 write a POTCAR before a calculation starts and read numbers from it (ZVAL, ENMAX). VASP's own
files may not be distributed; the files made here have GPAW's numbers in VASP's header, a body of three numbers, and
"GPAW" in their titles. They contain no VASP data, and real VASP cannot use them.

Neither GPAW nor atomate2 is imported, so that the module can be used for quick checks.
"""

import functools
import gzip
import importlib.resources
import importlib.util
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ruamel.yaml import YAML

from workflows.gpaw_vasp.version import gpaw_version

logger = logging.getLogger(__name__)

FUNCTIONAL_FOLDERS = ("POT_GGA_PAW_PBE", "POT_GGA_PAW_PBE_52", "POT_GGA_PAW_PBE_54", "POT_PAW_PBE_64")
"""Folders below PMG_VASP_PSP_DIR, one for each PBE release that pymatgen knows."""

TREE_VERSION = "2"
"""Increased whenever the content of the files changes, so that an old cache is not used."""

INPUT_SETS = ("MPRelaxSet", "PBE54Base", "PBE64Base", "MPSCANRelaxSet", "MP24RelaxSet", "MatPESStaticSet")
"""pymatgen's input sets whose POTCAR symbols are covered."""

ATOMATE2_SYMBOLS = {
    **{"Be": "Be", "Bi": "Bi_d", "Cu": "Cu", "Eu": "Eu_2", "Fe": "Fe", "Gd": "Gd_3", "Mg": "Mg", "Mo": "Mo_sv"},
    **{"Nb": "Nb_sv", "Ni": "Ni", "Os": "Os", "Re": "Re", "Ti": "Ti_sv", "V": "V_sv"},
}
"""Symbols in atomate2's base set that differ from pymatgen's (atomate2 0.1.5, vasp/sets/base.py)."""

HARD_ELEMENTS = frozenset({"O", "F", "N"})
"""Elements whose GPAW data sets need 700 eV; 500 eV suffices for the others (docs/explanation/engine.md)."""


def _setup_folders() -> list[Path]:
    """Return the folders that GPAW takes PAW data sets from: those of GPAW_SETUP_PATH, then that of ``gpaw_data``."""
    named = os.environ.get("GPAW_SETUP_PATH", "")
    folders = [Path(part) for part in named.split(os.pathsep) if part]
    spec = importlib.util.find_spec("gpaw_data")
    if spec is not None and spec.origin is not None:
        folders.append(Path(spec.origin).parent / "setups")
    return [folder for folder in folders if folder.is_dir()]


def _find_setup(element: str) -> Path | None:
    """Return GPAW's PBE data set of an element, ``<element>.PBE`` or ``<element>.PBE.gz``, or None."""
    for folder in _setup_folders():
        for name in (f"{element}.PBE", f"{element}.PBE.gz"):
            if (folder / name).is_file():
                return folder / name
    return None


def available_elements() -> frozenset[str]:
    """Return the elements with a PBE PAW data set here; empty if ``gpaw_data`` is not installed."""
    names = (path.name for folder in _setup_folders() for path in folder.iterdir())
    found = (re.fullmatch(r"([A-Z][a-z]?)\.PBE(\.gz)?", name) for name in names)
    return frozenset(match[1] for match in found if match)


@functools.cache
def valence(element: str) -> float:
    """Return the number of valence electrons per atom of GPAW's data set.

    Raises
    ------
    ValueError
        If there is no data set for the element, or it does not state the number.
    """
    path = _find_setup(element)
    if path is None:
        available = " ".join(sorted(available_elements())) or "none (is gpaw-data installed?)"
        raise ValueError(f"element {element}: GPAW has no PBE PAW data set; available: {available}")
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        match = re.search(r'valence="([\d.]+)"', file.read(20_000))
    if match is None:
        raise ValueError(f'{path}: no valence="..." in its head; is it a GPAW data set?')
    return float(match[1])


def recommended_cutoff(element: str) -> float:
    """Return the cutoff given as ENMAX in the header-only POTCAR, in eV."""
    return 700.0 if element in HARD_ELEMENTS else 500.0


def title(symbol: str) -> str:
    """Return the TITEL of the header-only POTCAR of a symbol such as ``Mo_sv``."""
    return f"PAW_PBE {symbol} GPAW"


def header_potcar(symbol: str) -> str:
    """Return the text of a header-only POTCAR that pymatgen's PotcarSingle reads.

    The symbol is VASP's name of the data set, such as ``Mo_sv``; the element's GPAW data set is used for all of them.
    It has GPAW's ZVAL, so that NELECT and NBANDS agree.

    Raises
    ------
    ValueError
        There is no data set for the element.
    """
    element = symbol.split("_")[0].split(".")[0]
    electrons, cutoff = valence(element), recommended_cutoff(element)
    return f"""  {title(symbol)}
   {electrons:.10f}
 parameters from PSCTR are:
   VRHFIN ={element}: GPAW
   LEXCH  = PE
   EATOM  =     0.0000 eV,    0.0000 Ry

   TITEL  = {title(symbol)}
   LULTRA =        F    use ultrasoft PP ?
   IUNSCR =        0    unscreen: 0-lin 1-nonlin 2-no
   RPACOR =     .000    partial core radius
   POMASS =    1.000; ZVAL   =   {electrons:.3f}    mass and valenz
   RCORE  =    2.000    outmost cutoff radius
   RWIGS  =    2.000; RWIGS  =    1.058    wigner-seitz radius (au A)
   ENMAX  =  {cutoff:.3f}; ENMIN  =  {0.75 * cutoff:.3f} eV
   LCOR   =        T    correct aug charges
   LPAW   =        T    paw PP
   EAUG   =  {2 * cutoff:.3f}
 END of PSCTR-controll parameters
 header only, made by esnet-campaign from GPAW's data set; no VASP data, not for VASP
   1.0 0.5 0.25
 End of Dataset
"""


def _potcar_symbols() -> frozenset[str]:
    """Return all POTCAR symbols used by the input sets of pymatgen and atomate2, and all bare elements.

    Only symbols of elements with a GPAW data set.
    """
    elements = available_elements()
    named = (*ATOMATE2_SYMBOLS.items(), *_input_set_symbols())
    return elements | {symbol for element, symbol in named if element in elements}


def _input_set_symbols() -> Iterator[tuple[str, str]]:
    folder = importlib.resources.files("pymatgen.io.vasp")
    for name in INPUT_SETS:
        file = folder / f"{name}.yaml"
        if not file.is_file():
            continue
        document = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
        for element, entry in (document.get("POTCAR") or {}).items():
            yield str(element), str(entry["symbol"] if isinstance(entry, dict) else entry)


def default_tree() -> Path:
    """Return the folder of the tree: below XDG_CACHE_HOME, or ~/.cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "esnet-campaign" / f"potcars-{TREE_VERSION}-gpaw-{gpaw_version()}"


def header_potcar_tree(directory: Path | None = None) -> Path:
    """Create the folder for PMG_VASP_PSP_DIR unless it exists; return it.

    It appears complete or not at all, since two processes may request it at the same time. If ``directory`` is None, it
    is a versioned folder in the user's cache.

    Raises
    ------
    ValueError
        If no GPAW data set is installed.
    FileExistsError
        If ``directory`` exists and is not such a tree.
    """
    target = default_tree() if directory is None else Path(directory)
    if all((target / folder).is_dir() for folder in FUNCTIONAL_FOLDERS):
        return target
    symbols = _potcar_symbols()
    if not symbols:
        raise ValueError("no GPAW PAW data sets found: install gpaw-data, or name their folder in GPAW_SETUP_PATH")
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=target.name + ".", dir=target.parent))
    try:
        scratch.chmod(0o755)
        for folder in FUNCTIONAL_FOLDERS:
            (scratch / folder).mkdir()
        for symbol in sorted(symbols):
            text = header_potcar(symbol)
            for folder in FUNCTIONAL_FOLDERS:
                (scratch / folder / f"POTCAR.{symbol}").write_text(text, encoding="utf-8")
        try:
            scratch.rename(target)
        except OSError:
            # Another process may have been first; anything else in the way must not be replaced.
            if not all((target / folder).is_dir() for folder in FUNCTIONAL_FOLDERS):
                raise FileExistsError(
                    f"{target}: exists and is not a tree of header-only POTCARs; name another folder"
                ) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    logger.info("header-only POTCARs for %d symbols in %s", len(symbols), target)
    return target

"""Header-only POTCARs with VASP's titles, in the layouts that sites have; they hold no VASP data."""

from __future__ import annotations

import gzip
import re
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Literal

from monty.serialization import loadfn
from pymatgen.io.vasp.inputs import POTCAR_STATS_PATH
from pymatgen.io.vasp.sets import MPRelaxSet

from workflows.gpaw_vasp.potcars import available_elements, header_potcar, valence

Layout = Literal["flat", "folders", "unpacked"]
#: Folders of the sets, as pymatgen wants them and as VASP's archives unpack.
_FOLDERS = {
    "PBE": ("POT_GGA_PAW_PBE", "potpaw_PBE"),
    "PBE_52": ("POT_GGA_PAW_PBE_52", "potpaw_PBE.52"),
    "PBE_54": ("POT_GGA_PAW_PBE_54", "potpaw_PBE.54"),
    "PBE_64": ("POT_PAW_PBE_64", "potpaw_PBE.64"),
}
#: What the Materials Project's choice lacks and later sets have instead.
_FURTHER = ("W_sv",)
_VALENCE_ELSEWHERE = 4.0


def write_library(
    folder: Path,
    *,
    functionals: Collection[str] = ("PBE", "PBE_54"),
    layout: Layout = "flat",
    without: Collection[str] = (),
) -> Path:
    """Write a library of the Materials Project's symbols; return the folder.

    Parameters
    ----------
    functionals
        pymatgen's names of the sets. A symbol that a set really lacks (W_pv in PBE_54) is not written.
    layout
        ``flat``: ``POT_GGA_PAW_PBE/POTCAR.Fe_pv.gz``, which `pmg config -p` makes. ``folders``:
        ``POT_GGA_PAW_PBE/Fe_pv/POTCAR``, which pymatgen reads too. ``unpacked``: ``potpaw_PBE/Fe_pv/POTCAR``, as VASP's
        archives are unpacked, which pymatgen does not find.
    without
        Symbols that are left out.
    """
    symbols = {*MPRelaxSet.CONFIG["POTCAR"].values(), *_FURTHER} - set(without)
    for functional in functionals:
        place = folder / _FOLDERS[functional][1 if layout == "unpacked" else 0]
        for symbol in sorted(symbols):
            if (title := titel(symbol, functional)) is None:
                continue
            text = potcar(symbol, title)
            path = place / f"POTCAR.{symbol}.gz" if layout == "flat" else place / symbol / "POTCAR"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress(text.encode(), mtime=0) if layout == "flat" else text.encode())
    return folder


@cache
def titel(symbol: str, functional: str) -> str | None:
    """TITEL of a data set, ``PAW_PBE Fe_pv 02Aug2007``; None where the set does not have it."""
    start = f"PAW_PBE{symbol}"
    dates = (title[len(start) :] for title in sorted(_known_titles()[functional]) if title.startswith(start))
    return next((f"PAW_PBE {symbol} {date}" for date in dates if date[:1].isdigit()), None)


@cache
def _known_titles() -> dict[str, list[str]]:
    """Pymatgen's list of all titles by their set, without spaces."""
    return {functional: list(titles) for functional, titles in loadfn(POTCAR_STATS_PATH).items()}


@cache
def potcar(symbol: str, title: str) -> str:
    """Text of a POTCAR that pymatgen reads: GPAW's numbers, where it has the element, under VASP's title."""
    element = symbol.split("_")[0]
    known = element if element in available_elements() else "Si"
    electrons = valence(known) if known == element else _VALENCE_ELSEWHERE
    text = header_potcar(known).replace(f"PAW_PBE {known} GPAW", title)
    text = re.sub(r"VRHFIN =.*", f"VRHFIN ={element}: none", text)
    text = re.sub(r"(ZVAL\s*=\s*)[\d.]+", rf"\g<1>{electrons:.3f}", text)
    text = re.sub(r"^   [\d.]+\n", f"   {electrons:.10f}\n", text, count=1, flags=re.MULTILINE)
    return re.sub(r"header only.*", "header only, made for tests; no VASP data, not for VASP", text)

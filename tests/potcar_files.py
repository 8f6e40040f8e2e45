"""POTCARs for tests: VASP's header with a title, and no data. They lie in the layouts that sites have."""

import bz2
import gzip
import re
from pathlib import Path

from workflows.potcars.titles import potcar_symbol, potcar_titles

HEADER = """  {title}
   {valence:.10f}
 parameters from PSCTR are:
   VRHFIN ={element}: made for a test
   LEXCH  = PE
   EATOM  =     1.0000 eV,    0.0735 Ry

   TITEL  = {title}
   LULTRA =        F    use ultrasoft PP ?
   POMASS =    1.000; ZVAL   =   {valence:.3f}    mass and valenz
   RWIGS  =    2.000; RWIGS  =    1.058    wigner-seitz radius (au A)
   ENMAX  =  400.000; ENMIN  =  300.000 eV
   EAUG   =  800.000
 END of PSCTR-controll parameters
   1.0 0.5 0.25
 End of Dataset
"""


def title_of(element: str, functional: str = "PBE") -> str:
    """The title that the newest POTCAR of a set has."""
    symbol = potcar_symbol(element, functional)
    squeezed = max(potcar_titles(element, functional), key=lambda title: title[-4:])
    return f"PAW_PBE {symbol} {re.sub(f'^PAW_PBE{symbol}', '', squeezed)}"


def potcar_text(element: str, functional: str = "PBE", *, title: str | None = None) -> str:
    """Text of a POTCAR without data."""
    return HEADER.format(title=title or title_of(element, functional), element=element, valence=11.0)


def write_potcars(folder: Path, elements: str, functional: str = "PBE", *, layout: str = "{symbol}/POTCAR") -> Path:
    """Write the POTCARs of elements into a folder, e.g. ``potpaw_PBE.54``; the layout names each file."""
    for element in elements.split():
        path = folder / layout.format(symbol=potcar_symbol(element, functional))
        path.parent.mkdir(parents=True, exist_ok=True)
        pack = {".gz": gzip.compress, ".bz2": bz2.compress}.get(path.suffix, bytes)
        path.write_bytes(pack(potcar_text(element, functional).encode()))
    return folder

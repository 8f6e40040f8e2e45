"""Read the fields of `esnet.sources.vasp_dos.VaspDos` from a vasprun.xml.

The tests compare the results with pymatgen's ``Vasprun``, whose rules are followed for non-collinear runs, convergence
and the total energy. The header is parsed as XML, without entities, DTD or network access; of the rest, only the last
ionic steps and the densities of states are read.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from esnet.representation.composition import ELEMENTS
from esnet.sources.vasp_dos import SiteElements, VaspDos, VaspReadError, VaspRun
from esnet.sources.vasprun_numbers import RowsError, read_rows
from esnet.sources.vasprun_steps import fields_of_steps, total_energy
from esnet.sources.vasprun_stream import VasprunParts, read_parts

_SET, _SET_END = b'<set comment="', b"</set>"
_FIELD = re.compile(rb"<field[^>]*>([^<]*)</field>")
_EFERMI = re.compile(rb'<i name="efermi"[^>]*>\s*([^<]*?)\s*</i>')
_TEXT = re.compile(rb'(<i [^>]*type="string"[^>]*>)(.*?)(</i>)')
_AMPERSAND = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[0-9a-fA-F]+);)")
_SYMBOLS = {"X": "Xe", "r": "Zr"}  # VASP truncates these two in the list of atoms


def read_vasprun(path: Path) -> VaspDos:
    """Read the projected DOS of a vasprun.xml, compressed or not; see `esnet.sources.vasprun.read_dos`.

    Raises
    ------
    VaspReadError
        If the file is not a vasprun.xml, is truncated or malformed in a part that is read, or has no projected DOS.
    """
    parts = read_parts(path)
    said = _run_fields(path, parts)
    if parts.dos is None:
        raise VaspReadError(f"{path}: has no densities of states (VASP: LORBIT=11)")
    if b"<partial>" not in parts.dos:
        raise VaspReadError(f"{path}: its densities of states have no projections; the calculation needs LORBIT=11")
    try:
        efermi, energies, pdos = _dos(parts.dos)
    except RowsError as error:
        raise VaspReadError(f"{path}: malformed densities of states: {error}") from error
    n_spins = len(next(iter(next(iter(pdos.values())).values())))
    return VaspDos(**said, energies=energies, efermi=efermi, pdos=pdos, n_spins=n_spins)


def read_vasprun_settings(path: Path) -> VaspRun:
    """Read the description of a run from a vasprun.xml, with or without DOS; see `esnet.sources.vasprun.read_run`."""
    return VaspRun(**_run_fields(path, read_parts(path)))


def _run_fields(path: Path, parts: VasprunParts) -> dict[str, Any]:
    """Return the fields of a VaspRun."""
    header = _header(path, parts.header)
    atoms = header.find("atominfo")
    symbols = elements_of(path, _column(atoms, "atoms", 0))
    incar, parameters = _tags(header.find("incar")), _tags(header.find("parameters"))
    return {
        "path": path,
        "structure": SiteElements(symbols),
        "energy": total_energy(parts.step),
        "converged": _is_converged(parts, incar, parameters),
        "incar": incar,
        "parameters": parameters,
        "potcars": tuple(_column(atoms, "atomtypes", 4)),
        "types": elements_of(path, types) if (types := _column(atoms, "atomtypes", 1)) else (),
        "valences": tuple(_float(word.encode()) for word in _column(atoms, "atomtypes", 3)),
        "version": str(_tags(header.find("generator")).get("version", "")),
        **fields_of_steps(header, parts, symbols),
    }


def elements_of(path: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Return the elements of species as VASP names them, e.g. ``Fe`` for ``Fe_pv``.

    Raises
    ------
    VaspReadError
        If there are no species, or one is not an element.
    """
    symbols = tuple(_SYMBOLS.get(name, name).partition("_")[0].partition("/")[0].strip() for name in names)
    if not symbols:
        raise VaspReadError(f"{path}: its header names no atoms")
    if unknown := sorted(set(symbols) - set(ELEMENTS)):
        raise VaspReadError(f"{path}: its header has an atom {unknown[0]!r}, which is not an element from H to Rg")
    return symbols


def _header(path: Path, text: bytes) -> Any:
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise VaspReadError(f"{path}: has a document type or entities, which VASP never writes; it is not read")
    # VASP copies text such as SYSTEM unescaped from INCAR
    text = _TEXT.sub(lambda found: found[1] + found[2].replace(b"<", b"&lt;") + found[3], text)
    text = _AMPERSAND.sub(b"&amp;", text)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(text + b"</modeling>", parser)
    except etree.XMLSyntaxError as error:
        raise VaspReadError(f"{path}: malformed XML in its header: {error.msg}") from error


def _column(atominfo: Any, name: str, place: int) -> list[str]:
    """Return one column of a table of <atominfo>, stripped."""
    rows = [] if atominfo is None else atominfo.findall(f"array[@name='{name}']/set/rc")
    return [(row.findtext(f"c[{place + 1}]") or "").strip() for row in rows]


def _tags(element: Any) -> dict[str, Any]:
    """Return INCAR tags as bool, int, float, str, or lists of them.

    If a tag occurs twice, the last one counts, except for the repetitions among the response functions (as in
    pymatgen). Numbers that overflowed their column (``****``) remain text.
    """
    tags: dict[str, Any] = {}
    for item in [] if element is None else element.iter("i", "v"):
        # VASP 6.4.3 writes names with trailing blanks
        name, kind = item.get("name", "").strip(), item.get("type", "")
        text = (item.text or "").strip()
        repeated = name in tags and item.getparent().get("name") == "response functions"
        if not repeated:
            tags[name] = _value(text, kind) if item.tag == "i" else [_value(word, kind) for word in text.split()]
    return tags


def _value(text: str, kind: str) -> bool | int | float | str:
    if kind == "logical":
        return text == "T"
    if kind == "string":
        return text
    try:
        return int(text) if kind == "int" else float(text)
    except ValueError:
        return text


def _dos(text: bytes) -> tuple[float, NDArray[np.float64], dict[int, dict[str, dict[int, NDArray[np.float64]]]]]:
    """Return the Fermi level, the energies and the projections of each site."""
    efermi, total, partial = _EFERMI.search(text), text.find(b"<total>"), text.find(b"<partial>")
    if efermi is None or total < 0:
        raise RowsError("no Fermi level or no total DOS among them")
    totals = [table for _, table in _tables(text, total, partial)]
    # a non-collinear run has four sets: the density and the three components of the magnetisation
    n_spins = len(totals) if len(totals) <= 2 else 1
    names = _fields(text, partial)
    sites: dict[int, list[NDArray[np.float64]]] = {}
    for ion, table in _tables(text, partial, len(text)):
        sites.setdefault(ion, []).append(table)
    if not totals or not sites or list(sites) != list(range(1, len(sites) + 1)):
        raise RowsError(f"the ions are not numbered from 1: {list(sites)[:5]}")
    shapes = {(len(tables), *(len(table) for table in tables)) for tables in (totals, *sites.values())}
    if len(shapes) != 1:
        raise RowsError("not the same number of spins and energies for each ion")
    pdos = {
        ion - 1: {
            name: {1 - 2 * spin: table[:, column] for spin, table in enumerate(tables[:n_spins])}
            for column, name in enumerate(names)
            if column  # the first column is the energy
        }
        for ion, tables in sites.items()
    }
    return _float(efermi.group(1)), totals[-1][:, 0], pdos


def _tables(text: bytes, start: int, stop: int) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield the number of the ion (0: none) and the table of each spin, in order."""
    n_columns = len(_fields(text, start))
    ion, spin, length = 0, 0, 0
    place = text.find(_SET, start, stop)
    while place >= 0:
        opened = text.find(b">", place) + 1
        kind, _, number = text[place + len(_SET) : opened].rstrip(b'">').partition(b" ")
        if kind == b"ion" and number.isdigit():
            ion, spin = int(number), 0
        elif kind == b"spin" and number == b"%d" % (spin + 1):
            spin += 1
            # the sets usually have the same length; searching for the end of each would take longer than reading it
            guess = text[opened + length : opened + length + len(_SET_END)]
            if guess != _SET_END:
                length = text.find(_SET_END, opened, stop) - opened
            if length < 0:
                raise RowsError("a <set> that does not end")
            yield ion, read_rows(text[opened : opened + length], n_columns)
            opened += length
        else:
            raise RowsError(f"{text[place:opened]!r} is out of order")
        place = text.find(_SET, opened, stop)


def _fields(text: bytes, start: int) -> list[str]:
    """Return the names of the columns of a table, which precede its rows."""
    end = text.find(b"<set", start)
    return [name.decode("ascii", "replace").strip() for name in _FIELD.findall(text, start, end)]


def _float(word: bytes) -> float:
    try:
        return float(word)
    except ValueError:
        return float("nan")


def _is_converged(parts: VasprunParts, incar: dict[str, Any], parameters: dict[str, Any]) -> bool | None:
    """Return pymatgen's ``Vasprun.converged``; None for runs that are neither static nor relaxations."""
    n_electronic, n_max = parts.step.count(b"<scstep>"), parameters.get("NELM")
    nsw, ibrion = parameters.get("NSW", 0), parameters.get("IBRION", -1)
    if not isinstance(n_max, int) or not isinstance(nsw, int) or incar.get("LEPSILON") or ibrion == 0:
        return None
    if n_electronic >= n_max and not (incar.get("ALGO") == "Exact" and incar.get("NELM") == 1):
        return False
    if ibrion in (1, 2) and parameters.get("EDIFFG", 1) == 0:
        return nsw <= 1 or parts.n_steps == nsw
    return nsw <= 1 or parts.n_steps < nsw

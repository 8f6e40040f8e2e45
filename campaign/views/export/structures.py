"""Export of a campaign's crystals as files, with a table of their data."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import ase.io
from ase import Atoms
from pymatgen.core import Structure
from pymatgen.io.vasp import Poscar

from campaign.store.campaigns import Campaign
from campaign.views.export.cells import csv_line
from campaign.views.export.formats import cif_text
from campaign.views.export.full_rows import FullRow, column_names, full_rows
from campaign.views.export.selection import Which, file_names, plain_structure, selected_rows
from esnet.files.output_folder import new_output_folder

FileFormat = Literal["cif", "poscar", "extxyz"]
INDEX = "index.csv"
_ENDINGS = {"cif": ".cif", "poscar": ".vasp", "extxyz": ".extxyz"}
_DIGITS = 10  # of coordinates


def chosen_structures(
    campaign: Campaign, *, which: Which, unrelaxed: bool
) -> Iterator[tuple[FullRow, Structure, bool]]:
    """Yield the candidates' rows with a crystal, and whether it is the relaxed one.

    Parameters
    ----------
    unrelaxed
        Take the unrelaxed crystals; else the relaxed one where there is one.
    """
    for row in full_rows(campaign, selected_rows(campaign, which)):
        relaxed = None if unrelaxed else row.relaxed_structure
        content = relaxed or row.structure
        if content is not None:
            yield row, plain_structure(content), relaxed is not None


def write_structures(
    campaign: Campaign, folder: Path, *, form: FileFormat, which: Which = "stable", unrelaxed: bool = False
) -> int:
    """Write one file per crystal and ``index.csv`` atomically into a new folder.

    Parameters
    ----------
    form
        ``cif`` (P 1, every atom as it is), ``poscar`` or ``extxyz``; lengths in A.
    which, unrelaxed
        See `chosen_structures`.

    Returns
    -------
    int
        Number of crystals.

    Raises
    ------
    NothingToExportError
        If there is none.
    OutputExistsError, OutputPlaceError
        If the folder is there, or cannot be made.
    """
    columns = [name for name in column_names(structures=False) if name != "columns"]
    number = 0
    with new_output_folder(folder) as temporary, (temporary / INDEX).open("w", encoding="utf-8") as index:
        index.write(csv_line(["file", "relaxed", *columns]))
        for name, row, structure, relaxed in _named(campaign, which=which, unrelaxed=unrelaxed):
            file = f"{name}{_ENDINGS[form]}"
            _write(temporary / file, structure, row, form)
            values = [file, relaxed, *(getattr(row, column) for column in columns)]
            index.write(csv_line(values, ["", "", *columns]))
            number += 1
    return number


def _named(campaign: Campaign, *, which: Which, unrelaxed: bool) -> Iterator[tuple[str, FullRow, Structure, bool]]:
    """Yield the crystals with unique file names."""
    current: list[tuple[FullRow, Structure, bool]] = []

    def rows() -> Iterator[tuple[FullRow, str]]:
        for found in chosen_structures(campaign, which=which, unrelaxed=unrelaxed):
            current[:] = [found]
            yield found[0], found[0].name or found[0].prototype

    for name in file_names(rows()):
        yield name, *current[0]


def _write(file: Path, structure: Structure, row: FullRow, form: FileFormat) -> None:
    if form == "cif":
        text = cif_text(structure)
    elif form == "poscar":
        text = str(Poscar(structure, comment=row.id).get_str(significant_figures=_DIGITS))
    else:
        symbols = [site.specie.symbol for site in structure]
        atoms = Atoms(symbols, positions=structure.cart_coords, cell=structure.lattice.matrix, pbc=True)
        known = {name: getattr(row, name) for name in ("e_form_ml", "e_form_dft", "e_hull_dft")}
        atoms.info = {"id": row.id} | {name: value for name, value in known.items() if value is not None}
        ase.io.write(file, atoms, format="extxyz")
        return
    file.write_text(text, encoding="utf-8")

"""Write vasprun.xml as read by pymatgen, custodian and emmet.

The parsers read the file once: the whole header must precede the first <calculation>.
They infer convergence from counts: fewer electronic steps than NELM, fewer ionic steps than NSW.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from ase.data import atomic_masses, atomic_numbers

from workflows.gpaw_vasp.dos import ORBITALS, Dos
from workflows.gpaw_vasp.incar import Value
from workflows.gpaw_vasp.potcars import valence
from workflows.gpaw_vasp.results import ElectronicStructure, IonicStep, RunResult, ScfStep
from workflows.gpaw_vasp.settings import Settings
from workflows.gpaw_vasp.version import version_string


def write_vasprun(path: Path, settings: Settings, result: RunResult, dos: Dos) -> None:
    """Write the file atomically, so that it is never read half-written."""
    if result.electrons is None or not result.steps:
        raise ValueError(f"{path}: nothing was computed, there is nothing to write")
    bands = result.electrons
    scratch = path.with_name(path.name + ".part")
    with scratch.open("w", encoding="ISO-8859-1") as file:
        file.write('<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n')
        file.writelines(_generator())
        file.writelines(_block("incar", [_tag(name, value) for name, value in settings.tags.items()]))
        file.writelines(_kpoints(settings, bands))
        file.writelines(_block("parameters", [_tag(*item) for item in _parameters(settings, bands).items()]))
        file.writelines(_atominfo(settings))
        first, last = result.steps[0], result.steps[-1]
        file.writelines(_structure(first, "initialpos"))
        for step in result.steps:
            file.write(" <calculation>\n")
            file.writelines(_ionic_step(step))
            if step is last:
                file.writelines(_eigenvalues(bands))
                file.writelines(_dos(bands, dos, settings))
            file.write(" </calculation>\n")
        file.writelines(_structure(last, "finalpos"))
        file.write("</modeling>\n")
    os.replace(scratch, path)


def _parameters(settings: Settings, bands: ElectronicStructure) -> dict[str, Value]:
    """Return the tags in use, defaults included.

    pymatgen derives the kind of run from LHFCALC, AEXX, LDAU, METAGGA and LUSE_VDW, and interprets a missing one as a
    hybrid or +U calculation, so they are always written.
    """
    return {
        "SYSTEM": str(settings.tags.get("SYSTEM", settings.poscar.comment or "unknown system")),
        "PREC": str(settings.tags.get("PREC", "normal")).lower(),
        "ENMAX": settings.encut,
        "EDIFF": settings.ediff,
        "ISYM": settings.isym,
        "NELECT": bands.electrons,
        "NBANDS": int(bands.eigenvalues.shape[2]),
        "ISMEAR": settings.ismear,
        "SIGMA": settings.sigma,
        "ISPIN": settings.ispin,
        "MAGMOM": list(settings.magmom),
        "LNONCOLLINEAR": False,
        "LSORBIT": False,
        "NELM": settings.nelm,
        "NELMIN": settings.nelmin,
        "LREAL": False,
        "LASPH": True,
        "NSW": settings.nsw,
        "IBRION": settings.ibrion,
        "ISIF": settings.isif,
        "EDIFFG": settings.ediffg,
        "NEDOS": settings.nedos,
        "EMIN": settings.emin if settings.emin is not None else 10.0,
        "EMAX": settings.emax if settings.emax is not None else -10.0,
        "LORBIT": settings.lorbit,
        "GGA": "PE",
        "METAGGA": "--",
        "LHFCALC": False,
        "AEXX": 0.0,
        "HFSCREEN": 0.0,
        "LDAU": False,
        "LUSE_VDW": False,
        "IVDW": 0,
        "LMETAGGA": False,
    }


def _block(name: str, lines: Iterable[str]) -> list[str]:
    return [f" <{name}>\n", *lines, f" </{name}>\n"]


def _tag(name: str, value: Any) -> str:
    items = value if isinstance(value, list | tuple) else [value]
    if all(isinstance(item, bool) for item in items):
        kind, words = ' type="logical"', ["T" if item else "F" for item in items]
    elif all(isinstance(item, int) for item in items):
        kind, words = ' type="int"', [str(item) for item in items]
    elif all(isinstance(item, int | float) and not isinstance(item, bool) for item in items):
        kind, words = "", [_real(float(item)) for item in items]
    else:
        kind, words = ' type="string"', [str(item) for item in items]
    element = "v" if isinstance(value, list | tuple) else "i"
    text = escape(" ".join(words)).encode("ascii", "xmlcharrefreplace").decode("ascii")
    return f'  <{element}{kind} name="{name}">{text}</{element}>\n'


def _real(value: float) -> str:
    return f"{value:.8f}" if abs(value) >= 1e-3 or value == 0 else f"{value:.8e}"


def _generator() -> list[str]:
    lines = [_tag("program", "vasp"), _tag("version", version_string()), _tag("platform", "GPAW, not VASP")]
    return _block("generator", lines)


def _rows(values: np.ndarray, element: str = "v", form: str = "%16.8f") -> list[str]:
    table = np.atleast_2d(values)
    line = f"   <{element}> " + " ".join([form] * table.shape[1]) + f" </{element}>\n"
    return [line % tuple(row) for row in table]


def _varray(name: str, values: np.ndarray) -> list[str]:
    return [f'  <varray name="{name}" >\n', *_rows(values), "  </varray>\n"]


def _kpoints(settings: Settings, bands: ElectronicStructure) -> list[str]:
    mesh = settings.mesh
    size = " ".join(f"{count:8d}" for count in mesh.size)
    shift = " ".join(f"{item:16.8f}" for item in mesh.shift)
    lines = [
        f'  <generation param="{mesh.style}">\n',
        f'   <v type="int" name="divisions">{size}</v>\n',
        f'   <v name="usershift">{shift}</v>\n',
    ]
    for axis in range(3):
        vector = " ".join(f"{item:16.8f}" for item in np.eye(3)[axis] / mesh.size[axis])
        lines.append(f'   <v name="genvec{axis + 1}">{vector}</v>\n')
    lines.append('   <v name="shift">0.0 0.0 0.0</v>\n  </generation>\n')
    lines += _varray("kpointlist", bands.kpoints) + _varray("weights", bands.weights[:, None])
    return _block("kpoints", lines)


def _atominfo(settings: Settings) -> list[str]:
    groups = settings.poscar.groups()
    atoms = [
        f"<rc><c>{symbol}</c><c>{kind}</c></rc>\n"
        for kind, (symbol, count) in enumerate(groups, start=1)
        for _ in range(count)
    ]
    types = [
        f"<rc><c>{count}</c><c>{symbol}</c><c>{atomic_masses[atomic_numbers[symbol]]:.4f}</c>"
        f"<c>{valence(symbol):.4f}</c><c>{escape(title)}</c></rc>\n"
        for (symbol, count), title in zip(groups, settings.titles, strict=True)
    ]
    lines = [
        f"  <atoms>{len(atoms)}</atoms>\n  <types>{len(groups)}</types>\n",
        *_array(["element", "atomtype"], atoms, name="atoms"),
        *_array(["atomspertype", "element", "mass", "valence", "pseudopotential"], types, name="atomtypes"),
    ]
    return _block("atominfo", lines)


def _array(fields: Sequence[str], body: Iterable[str], *, name: str = "") -> list[str]:
    head = f'  <array name="{name}" >\n' if name else "  <array>\n"
    return [
        head,
        '   <dimension dim="1">row</dimension>\n',
        *(f"   <field>{field}</field>\n" for field in fields),
        "   <set>\n",
        *body,
        "   </set>\n  </array>\n",
    ]


def _structure(step: IonicStep, name: str = "") -> list[str]:
    head = f' <structure name="{name}" >\n' if name else " <structure>\n"
    return [
        head,
        "  <crystal>\n",
        *_varray("basis", step.cell),
        f'  <i name="volume">{step.volume:16.8f}</i>\n',
        *_varray("rec_basis", np.linalg.inv(step.cell).T),
        "  </crystal>\n",
        *_varray("positions", step.positions),
        " </structure>\n",
    ]


def _energy(scf: ScfStep) -> str:
    return (
        f'  <energy>\n   <i name="e_fr_energy">{scf.free:16.8f}</i>\n'
        f'   <i name="e_wo_entrp">{scf.without_entropy:16.8f}</i>\n'
        f'   <i name="e_0_energy">{scf.extrapolated:16.8f}</i>\n  </energy>\n'
    )


def _ionic_step(step: IonicStep) -> list[str]:
    return [
        *(f"  <scstep>\n{_energy(scf)}  </scstep>\n" for scf in step.scf),
        *_structure(step),
        *_varray("forces", step.forces),
        *_varray("stress", step.stress),
        _energy(step.energy),
    ]


def _spin_sets(tables: Sequence[np.ndarray], form: str) -> list[str]:
    lines: list[str] = []
    for spin, table in enumerate(tables, start=1):
        lines += [f'   <set comment="spin {spin}">\n', *_rows(table, "r", form), "   </set>\n"]
    return lines


def _eigenvalues(bands: ElectronicStructure) -> list[str]:
    body: list[str] = []
    for spin in range(bands.spins):
        body.append(f'   <set comment="spin {spin + 1}">\n')
        for point in range(len(bands.weights)):
            rows = np.column_stack([bands.eigenvalues[spin, point], bands.occupations[spin, point]])
            body += [f'   <set comment="kpoint {point + 1}">\n', *_rows(rows, "r", "%12.6f"), "   </set>\n"]
        body.append("   </set>\n")
    return ["  <eigenvalues>\n", *_array(["eigene", "occ"], body), "  </eigenvalues>\n"]


def _dos(bands: ElectronicStructure, dos: Dos, settings: Settings) -> list[str]:
    total = [np.column_stack([dos.energies, dos.total[spin], dos.integrated[spin]]) for spin in range(bands.spins)]
    lines = [
        f'  <dos>\n   <i name="efermi">{bands.fermi:16.8f}</i>\n   <total>\n',
        *_array(["energy", "total", "integrated"], _spin_sets(total, "%14.6f")),
        "   </total>\n",
    ]
    if settings.lorbit >= 10:
        fields, partial = projected(dos, settings)
        body: list[str] = []
        for ion in range(len(partial)):
            tables = [np.column_stack([dos.energies, partial[ion, spin]]) for spin in range(bands.spins)]
            body += [f'   <set comment="ion {ion + 1}">\n', *_spin_sets(tables, "%14.6f"), "   </set>\n"]
        lines += ["   <partial>\n", *_array(["energy", *fields], body), "   </partial>\n"]
    lines.append("  </dos>\n")
    return lines


def projected(dos: Dos, settings: Settings) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the projected DOS in the detail requested by LORBIT.

    Returns
    -------
    tuple
        Names of the orbitals, and an ndarray of shape (N, S, E, orbitals): nine for LORBIT = 11 and 12,
        s, p, d for LORBIT = 10.
    """
    if settings.lorbit >= 11:
        return ORBITALS, dos.partial
    parts = [dos.partial[..., :1], dos.partial[..., 1:4], dos.partial[..., 4:]]
    return ("s", "p", "d"), np.stack([part.sum(axis=-1) for part in parts], axis=-1)

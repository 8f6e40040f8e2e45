"""Write synthetic vasprun.xml files for benchmarks/features.py, in the layouts of VASP and of vasp-gpaw."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

NEDOS, EMIN, EMAX = 1500, -20.0, 10.0
ENERGIES = np.linspace(EMIN, EMAX, NEDOS)
ORBITALS = ("s", "py", "pz", "px", "dxy", "dyz", "dz2", "dxz", "x2-y2")
ELEMENTS = ("Al", "Pd")
SPINS = ("spin 1", "spin 2")
FERMI = 5.12345678


def write_vasp(path: Path, n_atoms: int) -> None:
    """Write a static, spin-polarised run in the layout of VASP 5.4: eigenvalues, DOS, projections of eigenvalues."""
    generator = np.random.default_rng(n_atoms)
    with path.open("w", encoding="ISO-8859-1") as file:
        file.writelines(_vasp_pieces(n_atoms, generator))


def write_gpaw(path: Path, n_atoms: int) -> None:
    """Write the same run with the writer of vasp-gpaw, which has no projections of eigenvalues (needs gpaw-data)."""
    from workflows.gpaw_vasp.dos import Dos
    from workflows.gpaw_vasp.kpoints import KMesh
    from workflows.gpaw_vasp.poscar import Poscar
    from workflows.gpaw_vasp.results import ElectronicStructure, IonicStep, RunResult, ScfStep
    from workflows.gpaw_vasp.settings import build_settings
    from workflows.gpaw_vasp.vasprun import write_vasprun

    generator = np.random.default_rng(n_atoms)
    n_kpoints, n_bands = mesh_and_bands(n_atoms)
    positions = generator.uniform(0, 1, (n_atoms, 3))
    symbols = tuple(element for element in ELEMENTS for _ in range(n_atoms // 2))
    settings = build_settings(
        {"LORBIT": 11, "NEDOS": NEDOS, "EMIN": EMIN, "EMAX": EMAX, "NELM": 100, "ISPIN": 2, "ISMEAR": 0, "GGA": "PE"},
        ignored=[],
        poscar=Poscar("benchmark", symbols, 10 * np.eye(3), positions),
        titles=[f"PAW_PBE {element} GPAW" for element in ELEMENTS],
        mesh=KMesh((2, 2, 2)),
    )
    levels = generator.uniform(-15, 12, (2, n_kpoints, n_bands))
    bands = ElectronicStructure(
        kpoints=generator.uniform(-0.5, 0.5, (n_kpoints, 3)),
        weights=np.full(n_kpoints, 1 / n_kpoints),
        eigenvalues=levels,
        occupations=(levels < FERMI).astype(float),
        projections=np.zeros((2, 1, 1, n_atoms, 9)),
        fermi=FERMI,
        electrons=settings.nelect,
        grid_points=4096,
        plane_waves=np.full(n_kpoints, 200),
    )
    scf = tuple(ScfStep(-12.0, -0.002, -12.0) for _ in range(12))
    step = IonicStep(10 * np.eye(3), positions, np.zeros((n_atoms, 3)), np.eye(3), scf, converged=True)
    partial = densities(n_atoms, generator)
    total = partial.sum(axis=(0, 3))
    dos = Dos(ENERGIES, total, np.cumsum(total, axis=1), partial)
    write_vasprun(path, settings, RunResult(steps=[step], electrons=bands), dos)


def mesh_and_bands(n_atoms: int) -> tuple[int, int]:
    """Return the number of irreducible k-points, which decreases with the size of the cell, and of bands."""
    return max(4, 400 // n_atoms), 8 * n_atoms + 8


def densities(n_atoms: int, generator: np.random.Generator) -> np.ndarray:
    """Return sums of Gaussian bands, states/eV, shape (atoms, spins, energies, 9)."""
    centres = generator.uniform(-12, 6, (n_atoms, 2, 9, 4, 1))
    bands = np.exp(-((ENERGIES - centres) ** 2) / 0.3).sum(axis=3)
    return np.moveaxis(generator.uniform(0.01, 0.4, (n_atoms, 2, 9, 1)) * bands, 2, 3)


def _vasp_pieces(n_atoms: int, generator: np.random.Generator) -> Iterator[str]:
    n_kpoints, n_bands = mesh_and_bands(n_atoms)
    positions = generator.uniform(0, 1, (n_atoms, 3))
    kpoints = [f"kpoint {number}" for number in range(1, n_kpoints + 1)]
    yield from _header(n_atoms, n_kpoints, positions, generator)
    yield " <calculation>\n" + (f"  <scstep>\n{_energy()}  </scstep>\n" * 12) + _structure("", positions) + _energy()
    levels = generator.uniform(-15, 12, (2, n_kpoints, n_bands))
    tables = [[_rows(np.column_stack([level, level < FERMI]), "%9.4f") for level in spin] for spin in levels]
    body = _sets(SPINS, [_sets(kpoints, spin) for spin in tables])
    yield f"  <eigenvalues>\n{_array(('eigene', 'occ'), body)}  </eigenvalues>\n"
    partial = densities(n_atoms, generator)
    total = [np.column_stack([ENERGIES, values, np.cumsum(values)]) for values in partial.sum(axis=(0, 3))]
    yield f'  <dos>\n   <i name="efermi">{FERMI:16.8f} </i>\n   <total>\n'
    yield _array(("energy", "total", "integrated"), _sets(SPINS, [_rows(table, "%10.4f") for table in total]))
    ions = [
        _sets(SPINS, [_rows(np.column_stack([ENERGIES, values]), "%10.4f") for values in spins]) for spins in partial
    ]
    names = [f"ion {number}" for number in range(1, n_atoms + 1)]
    yield f"   </total>\n   <partial>\n{_array(('energy', *ORBITALS), _sets(names, ions))}   </partial>\n  </dos>\n"
    band = _rows(generator.uniform(0, 0.1, (n_atoms, 9)), "%8.4f")
    weights = _sets(
        kpoints, [_sets([f"band {number}" for number in range(1, n_bands + 1)], [band] * n_bands)] * n_kpoints
    )
    yield f"  <projected>\n{_array(ORBITALS, _sets(['spin1', 'spin2'], [weights, weights]))}  </projected>\n"
    yield f" </calculation>\n{_structure('finalpos', positions)}</modeling>\n"


def _header(n_atoms: int, n_kpoints: int, positions: np.ndarray, generator: np.random.Generator) -> Iterator[str]:
    half = n_atoms // 2
    yield '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n <generator>\n'
    yield '  <i name="program" type="string">vasp </i>\n  <i name="version" type="string">5.4.4  </i>\n </generator>\n'
    yield ' <incar>\n  <i type="int" name="LORBIT">    11</i>\n </incar>\n <kpoints>\n'
    yield _varray("kpointlist", generator.uniform(0, 1, (n_kpoints, 3)))
    yield _varray("weights", np.full((n_kpoints, 1), 1 / n_kpoints)) + " </kpoints>\n <parameters>\n"
    for name, value in (("NELM", 100), ("NSW", 0), ("IBRION", -1)):
        yield f'  <i type="int" name="{name}">{value:6d}</i>\n'
    for name in ("AEXX", "ENMAX", *(f"SETTING{number}" for number in range(200))):
        yield f'  <i name="{name}">      0.00000000</i>\n'
    yield f' </parameters>\n <atominfo>\n  <atoms>{n_atoms:8d} </atoms>\n  <array name="atoms" >\n   <set>\n'
    for atom in range(n_atoms):
        yield f"    <rc><c>{ELEMENTS[atom >= half]}</c><c>{1 + (atom >= half):4d}</c></rc>\n"
    yield '   </set>\n  </array>\n  <array name="atomtypes" >\n   <set>\n'
    for element in ELEMENTS:
        titel = f"PAW_PBE {element} 04Jan2001"
        yield f"    <rc><c>{half}</c><c>{element}</c><c> 30.0</c><c> 10.0</c><c>  {titel}</c></rc>\n"
    yield "   </set>\n  </array>\n </atominfo>\n" + _structure("initialpos", positions)


def _rows(table: np.ndarray, form: str) -> str:
    line = "       <r> " + " ".join([form] * table.shape[1]) + " </r>\n"
    return (line * len(table)) % tuple(table.ravel())


def _sets(names: Sequence[str], bodies: Sequence[str]) -> str:
    pairs = zip(names, bodies, strict=True)
    return "".join(f'      <set comment="{name}">\n{body}      </set>\n' for name, body in pairs)


def _array(fields: Sequence[str], body: str) -> str:
    named = "".join(f"     <field>{field:>5}</field>\n" for field in fields)
    return f"    <array>\n{named}     <set>\n{body}     </set>\n    </array>\n"


def _varray(name: str, values: np.ndarray) -> str:
    line = "   <v> " + " ".join(["%16.8f"] * values.shape[1]) + " </v>\n"
    return f'  <varray name="{name}" >\n' + (line * len(values)) % tuple(values.ravel()) + "  </varray>\n"


def _structure(name: str, positions: np.ndarray) -> str:
    head = f' <structure name="{name}" >\n' if name else " <structure>\n"
    crystal = f"  <crystal>\n{_varray('basis', 10 * np.eye(3))}  </crystal>\n"
    return f"{head}{crystal}{_varray('positions', positions)} </structure>\n"


def _energy() -> str:
    lines = "".join(
        f'   <i name="{name}">    -12.34567890 </i>\n' for name in ("e_fr_energy", "e_wo_entrp", "e_0_energy")
    )
    return f"  <energy>\n{lines}  </energy>\n"

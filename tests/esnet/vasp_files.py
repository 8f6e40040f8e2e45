"""Small vasprun.xml and vaspout.h5 files, laid out as VASP lays them out, for the tests of the readers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

VASP_ORDER = ("s", "py", "pz", "px", "dxy", "dyz", "dz2", "dxz", "x2-y2")
F_ORBITALS = ("f-3", "f-2", "f-1", "f0", "f1", "f2", "f3")
TITLES = {"Al": "PAW_PBE Al 04Jan2001", "Pd": "PAW_PBE Pd 04Jan2005", "O": "PAW_PBE O 08Apr2002"}


@dataclass(frozen=True, kw_only=True)
class FakeRun:
    """A run whose files hold random numbers.

    Attributes
    ----------
    elements
        Of the sites.
    n_sets
        Sets of the DOS: 1, 2, or 4 for a non-collinear run.
    orbitals
        Names of the columns.
    energy
        Total energy, eV for the cell.
    energies_before
        Of the ionic steps before the last one; those that are missing are as ``energy``.
    edge, initial_edge
        Of the cell, cubic or (three edges) orthorhombic, at the end and (None: the same) at the beginning, A.
    sites, initial_sites
        Fractional coordinates; None: along the diagonal, and the same.
    force, stress
        Of the first atom along x, eV/A, and along all axes, kB, in the last ionic step.
    force_before
        As ``force``, in the steps before the last one; None: the same.
    incar
        Tags in INCAR beside LORBIT.
    kpoints
        What stands inside <kpoints>; None: a mesh of one point.
    types
        Elements in POSCAR; None: each once.
    """

    elements: tuple[str, ...] = ("Al", "Pd", "Pd")
    n_sets: int = 2
    orbitals: tuple[str, ...] = VASP_ORDER
    energy: float = -12.5
    window: tuple[float, float] = (-13.0, 8.0)
    n_energies: int = 61
    efermi: float = 2.25
    n_electronic: int = 7
    n_ionic: int = 1
    nsw: int = 0
    seed: int = 1
    tags: Mapping[str, Any] | None = None
    titles: Mapping[str, str] | None = None
    energies_before: tuple[float, ...] = ()
    edge: float | tuple[float, float, float] = 6.0
    initial_edge: float | None = None
    sites: Sequence[Sequence[float]] | None = None
    initial_sites: Sequence[Sequence[float]] | None = None
    force: float = 0.0
    force_before: float | None = None
    stress: float | None = None
    incar: Mapping[str, Any] | None = None
    kpoints: str | None = None
    types: tuple[tuple[str, int], ...] | None = None

    @property
    def energies(self) -> np.ndarray:
        return np.round(np.linspace(*self.window, self.n_energies), 4)

    @property
    def densities(self) -> np.ndarray:
        """(sites, sets, energies, orbitals), as they are written."""
        shape = (len(self.elements), self.n_sets, self.n_energies, len(self.orbitals))
        return np.round(np.random.default_rng(self.seed).uniform(-0.2, 3.0, shape), 4)

    @property
    def species(self) -> list[tuple[str, int]]:
        return (
            list(self.types)
            if self.types
            else [(element, self.elements.count(element)) for element in dict.fromkeys(self.elements)]
        )

    def title(self, element: str) -> str:
        return (self.titles or TITLES).get(element, f"PAW_PBE {element} 01Jan2000")

    def positions(self, *, first: bool) -> np.ndarray:
        sites = self.initial_sites if first and self.initial_sites is not None else self.sites
        if sites is not None:
            return np.array(sites, dtype=float)
        return np.column_stack([np.arange(len(self.elements)) / len(self.elements)] * 3)

    @property
    def step_energies(self) -> list[float]:
        before = [*self.energies_before, *[self.energy] * self.n_ionic]
        return [*before[: self.n_ionic - 1], self.energy]

    def forces(self, *, last: bool) -> np.ndarray:
        forces = np.zeros((len(self.elements), 3))
        forces[0, 0] = self.force if last or self.force_before is None else self.force_before
        return forces

    def lattice(self, *, first: bool) -> np.ndarray:
        return np.eye(3) * (self.initial_edge if first and self.initial_edge is not None else self.edge)


def vasprun_text(run: FakeRun) -> str:
    """The whole file."""
    steps = "".join(_step(run, energy, number, run.n_ionic - 1) for number, energy in enumerate(run.step_energies))
    return f"{_header(run)}{steps}{_structure(run, 'finalpos')}</modeling>\n"


def write_vasprun(path: Path, run: FakeRun) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(vasprun_text(run), encoding="ISO-8859-1")
    return path


def dos_text(run: FakeRun, *, comment: str = "") -> str:
    """The <dos> of a run."""
    partial, energies = run.densities, run.energies
    spins = [f"spin {number + 1}" for number in range(run.n_sets)]
    totals = [np.column_stack([energies, density, density]) for density in partial.sum(axis=(0, 3))]
    ions = [_sets(spins, [_rows(np.column_stack([energies, table])) for table in tables]) for tables in partial]
    names = [f"ion {number + 1}" for number in range(len(run.elements))]
    return (
        f'  <dos{comment}>\n   <i name="efermi">{run.efermi:16.8f} </i>\n'
        f"   <total>\n{_array(('energy', 'total', 'integrated'), _sets(spins, list(map(_rows, totals))))}   </total>\n"
        f"   <partial>\n{_array(('energy', *run.orbitals), _sets(names, ions))}   </partial>\n  </dos>\n"
    )


def write_vaspout(path: Path, run: FakeRun, *, potcar: bool = False) -> Path:
    """Write a vaspout.h5 with what VASP 6 puts there, as far as pymatgen's Vaspout reads it; ``potcar``: POTCAR too."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = np.moveaxis(run.densities, 2, 3)  # sites, spins, orbitals, energies
    positions = {
        "scale": 1.0,
        "lattice_vectors": run.lattice(first=False),
        "ion_types": np.array([name for name, _ in run.species], dtype="S8"),
        "number_ion_types": np.array([count for _, count in run.species]),
        "position_ions": run.positions(first=False),
        "direct_coordinates": 1,
        "selective_dynamics": 0,
        "system": np.bytes_("test"),
    }
    with h5py.File(path, "w") as file:
        for part, number in (("major", 6), ("minor", 4), ("patch", 2)):
            file[f"version/{part}"] = number
        for name, value in ({"ENCUT": 520.0, "ISMEAR": 0, "GGA": "PE", "KSPACING": 0.2} | dict(run.tags or {})).items():
            file[f"input/incar/{name}"] = np.bytes_(value) if isinstance(value, str) else value
        for folder in ("input/poscar", "results/positions"):
            for name, value in positions.items():
                file[f"{folder}/{name}"] = value
        if potcar:
            file["input/potcar/content"] = np.bytes_("".join(_potcar(run.title(name)) for name, _ in run.species))
        else:  # as pymatgen leaves it, so that files can be passed on
            file["input/potcar/spec"] = np.bytes_(json.dumps([{"titel": run.title(name)} for name, _ in run.species]))
        dynamics = "intermediate/ion_dynamics"
        tags = ["free energy    TOTEN", "energy without entropy", "energy(sigma->0)"]
        file[f"{dynamics}/energies_tags"] = np.array(tags, dtype="S24")
        file[f"{dynamics}/energies"] = np.array([[energy] * 3 for energy in run.step_energies])
        file[f"{dynamics}/forces"] = np.array([run.forces(last=step == run.n_ionic - 1) for step in range(run.n_ionic)])
        file[f"{dynamics}/lattice_vectors"] = np.array([run.lattice(first=step == 0) for step in range(run.n_ionic)])
        file[f"{dynamics}/position_ions"] = np.array([run.positions(first=step == 0) for step in range(run.n_ionic)])
        dos = "results/electron_dos"
        file[f"{dos}/energies"], file[f"{dos}/efermi"] = run.energies, run.efermi
        file[f"{dos}/dos"] = file[f"{dos}/dosi"] = partial.sum(axis=(0, 2))
        file[f"{dos}/dospar"] = partial
        file["results/projectors/lchar"] = np.array([name.ljust(8) for name in run.orbitals], dtype="S8")
    return path


def _potcar(title: str) -> str:
    """The lines of a POTCAR that are read; 3 valence electrons, as in the vasprun.xml."""
    return (
        f"  {title}\n   3.00000000000000\n parameters from PSCTR are:\n   TITEL  = {title}\n"
        "   POMASS =   26.982; ZVAL   =    3.000    mass and valenz\n End of Dataset\n"
    )


def _header(run: FakeRun) -> str:
    tags = {"NELM": 60, "NSW": run.nsw, "IBRION": 2 if run.nsw else -1, "ENMAX": 520.0, "AEXX": 0.0, "GGA": "PE"}
    tags |= {"LHFCALC": False, "LDAU": False, "METAGGA": "--", "EDIFFG": -0.03, "EDIFF": 1e-5} | dict(run.tags or {})
    incar = {"LORBIT": 11} | dict(run.incar or {})
    atoms = "".join(f"    <rc><c>{element}</c><c>   1</c></rc>\n" for element in run.elements)
    types = "".join(
        f"    <rc><c>{count}</c><c>{element}</c><c>30.</c><c>3.</c><c>  {run.title(element)}  </c></rc>\n"
        for element, count in run.species
    )
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n <generator>\n'
        '  <i name="program" type="string">vasp </i>\n  <i name="version" type="string">6.4.2  </i>\n </generator>\n'
        f" <incar>\n{''.join(_tag(*item) for item in incar.items())} </incar>\n <kpoints>\n"
        f"{kpoints_text(np.zeros((1, 3)), mesh=True) if run.kpoints is None else run.kpoints} </kpoints>\n"
        f' <parameters>\n  <separator name="electronic" >\n{"".join(_tag(*item) for item in tags.items())}'
        '  </separator>\n  <separator name="response functions" >\n'
        f"{_tag('NELM', 1)}  </separator>\n </parameters>\n"
        f' <atominfo>\n  <array name="atoms" >\n   <set>\n{atoms}   </set>\n  </array>\n'
        f'  <array name="atomtypes" >\n   <set>\n{types}   </set>\n  </array>\n </atominfo>\n'
        f"{_structure(run, 'initialpos', first=True)}"
    )


def _tag(name: str, value: Any) -> str:
    kinds = {bool: ' type="logical"', int: ' type="int"', str: ' type="string"'}
    if isinstance(value, list):
        return f'   <v name="{name}">{" ".join(f"{item:14.8f}" for item in value)}</v>\n'
    text = ("T" if value else "F") if isinstance(value, bool) else str(value)
    return f'   <i{kinds.get(type(value), "")} name="{name}"> {text}</i>\n'


def kpoints_text(points: np.ndarray, *, mesh: bool = False) -> str:
    """What stands inside <kpoints>: the points, all of one weight, and whether VASP made a mesh of them."""
    generation = '  <generation param="Gamma">\n   <v type="int" name="divisions">   1  1  1</v>\n  </generation>\n'
    weights = np.full((len(points), 1), 1 / len(points))
    return f"{generation if mesh else ''}{_varray('kpointlist', points)}{_varray('weights', weights)}"


def _step(run: FakeRun, energy: float, number: int, last_number: int) -> str:
    last = number == last_number
    stress = "" if run.stress is None else _varray("stress", run.stress * np.eye(3))
    scf = f"  <scstep>\n{_energy(energy)}  </scstep>\n" * run.n_electronic
    eigenvalues = _sets(["spin 1"], [_sets(["kpoint 1"], [_rows(np.array([[-1.5, 1.0], [3.5, 0.0]]))])])
    return (
        f" <calculation>\n{scf}{_structure(run, '', first=number == 0)}"
        f"{_varray('forces', run.forces(last=last))}{stress}{_energy(energy)}"
        + (f"  <eigenvalues>\n{_array(('eigene', 'occ'), eigenvalues)}  </eigenvalues>\n" if last else "")
        + (dos_text(run) if last else "")
        + " </calculation>\n"
    )


def _energy(energy: float) -> str:
    names = ("e_fr_energy", "e_wo_entrp", "e_0_energy")
    return "  <energy>\n" + "".join(f'   <i name="{name}">{energy:16.8f} </i>\n' for name in names) + "  </energy>\n"


def _structure(run: FakeRun, name: str, *, first: bool = False) -> str:
    # a static run has one step, the first and the last
    first = first and run.n_ionic > 1
    head = f' <structure name="{name}" >\n' if name else " <structure>\n"
    return (
        f"{head}  <crystal>\n{_varray('basis', run.lattice(first=first))}  </crystal>\n"
        f"{_varray('positions', run.positions(first=first))} </structure>\n"
    )


def _varray(name: str, values: np.ndarray) -> str:
    rows = "".join("   <v>" + "".join(f"{value:16.8f}" for value in row) + " </v>\n" for row in values)
    return f'  <varray name="{name}" >\n{rows}  </varray>\n'


def _rows(table: np.ndarray) -> str:
    return "".join("       <r> " + " ".join(f"{value:10.4f}" for value in row) + " </r>\n" for row in table)


def _sets(names: Sequence[str], bodies: Sequence[str]) -> str:
    pairs = zip(names, bodies, strict=True)
    return "".join(f'      <set comment="{name}">\n{body}      </set>\n' for name, body in pairs)


def _array(fields: Sequence[str], body: str) -> str:
    named = "".join(f"     <field>{field:>5}</field>\n" for field in fields)
    return f"    <array>\n{named}     <set>\n{body}     </set>\n    </array>\n"

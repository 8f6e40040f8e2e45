"""Test that relaxations end in the same state regardless of their starting volume.

Binary cells, drawn with a seed from B1, B2, B3, L1_0 and L1_2 and from the d and p blocks, are relaxed by ``vasp-gpaw``
(ISIF = 3, through its input and output files) from volumes that are 5 % too large and 5 % too small. No setting of the
engine was tuned on any of them. The two final states should agree within 2 meV/atom and 0.5 % in volume, or be reported
as unconverged.

    python benchmarks/relaxation.py --output relaxation.json [--markdown relaxation.md] [--cells 22]

Settings: PBE, 520 eV, k-points 0.4 1/A (``quality: fast``), EDIFF 1e-5 eV, EDIFFG -0.03 eV/A, first-order
Methfessel-Paxton smearing of 0.1 eV, no spin (to limit the cost, since forces and stress are tested rather than
magnetism). The equilibrium volume, around which the starting volumes lie, is found first with a secant method in the
pressure at fixed shape. Both starts use the same k-point mesh. A cell that is already in the --output file is not
computed again.

2026-11-23, one core of a shared machine: 22 cells, 1501 CPU-s in relaxations, 54 minutes; result in
docs/explanation/engine-benchmark.md.
"""

import argparse
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SEED = 20261123
PROTOTYPES = ("B2", "L1_0", "B1", "B3", "L1_2")
TUNED_ON = ({"Cd", "Au"}, {"Pd", "Hg"}, {"Ni", "Al"}, {"Cu", "Pd"})
D_BLOCK = (
    "Sc Ti V Cr Mn Fe Co Ni Cu Zn Y Zr Nb Mo Ru Rh Pd Ag Cd Hf Ta W Re Os Ir Pt Au Hg".split()  # noqa: SIM905
)
P_BLOCK = "B C Al Si P S Ga Ge As Se In Sn Sb Te Tl Pb Bi".split()  # noqa: SIM905
ENERGY_LIMIT = 2.0  # meV/atom
VOLUME_LIMIT = 0.5  # %
INCAR = {
    "GGA": "PE",
    "ENCUT": 520,
    "ISPIN": 1,
    "EDIFF": 1e-5,
    "NELM": 100,
    "ISMEAR": 1,
    "SIGMA": 0.1,
    "LREAL": ".FALSE.",
}
RELAX_INCAR = INCAR | {"NSW": 60, "IBRION": 2, "ISIF": 3, "EDIFFG": -0.03}


def draw_cells(count: int) -> list[tuple[str, str, str]]:
    """Return (prototype, element A, element B), with A from the d block and B from the d or p block.

    Most cells have 2 atoms; one in eleven is L1_2 (4 atoms).
    """
    generator = random.Random(SEED)
    cells: list[tuple[str, str, str]] = []
    while len(cells) < count:
        prototype = "L1_2" if len(cells) % 11 == 10 else PROTOTYPES[len(cells) % 4]
        first = generator.choice(D_BLOCK)
        second = generator.choice(P_BLOCK if prototype in ("B1", "B3") else D_BLOCK + P_BLOCK[2:])
        cell = (prototype, first, second)
        if first != second and {first, second} not in TUNED_ON and cell not in cells:
            cells.append(cell)
    return cells


def build(prototype: str, first: str, second: str, volume: float) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the elements, lattice vectors (A) and fractional positions of a primitive cell.

    Parameters
    ----------
    prototype
        One of :data:`PROTOTYPES`.
    first, second
        Elements; L1_2 has one atom of the first and three of the second.
    volume
        Volume of the cell, A^3.
    """
    fcc = np.array([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]])
    half = [0.5, 0.5, 0.5]
    if prototype == "L1_2":
        positions = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
        cell, symbols = np.eye(3), [first, second, second, second]
    else:
        symbols = [first, second]
        cell, position = {
            "B1": (fcc, half),
            "B2": (np.eye(3), half),
            "B3": (fcc, [0.25, 0.25, 0.25]),
            "L1_0": (np.diag([1.0, 1.0, 2**0.5]), half),
        }[prototype]
        positions = [[0, 0, 0], position]
    scale = (volume / abs(np.linalg.det(cell))) ** (1 / 3)
    return symbols, cell * scale, np.array(positions, dtype=float)


def guess_volume(prototype: str, first: str, second: str) -> float:
    """Return a rough volume at which spheres of the covalent radii touch, A^3."""
    from ase.data import atomic_numbers, covalent_radii

    ra, rb = (float(covalent_radii[atomic_numbers[element]]) for element in (first, second))
    bond = ra + rb
    if prototype == "B1":
        return 2 * (0.95 * bond) ** 3
    if prototype == "B3":
        return (4 * 0.95 * bond / 3**0.5) ** 3 / 4
    if prototype == "B2":
        return (2 * bond / 3**0.5) ** 3
    mean = (ra + rb) / 2 if prototype == "L1_0" else (ra + 3 * rb) / 4
    return (2 * mean) ** 3 / 2**0.5 * (2 if prototype == "L1_0" else 4)


def write_inputs(directory: Path, symbols: list[str], cell: np.ndarray, positions: np.ndarray, **options: Any) -> None:
    """Write INCAR, POSCAR and, with ``mesh``, KPOINTS."""
    from workflows.gpaw_vasp.contcar import poscar_text
    from workflows.gpaw_vasp.poscar import Poscar

    tags, mesh = options["tags"], options["mesh"]
    (directory / "INCAR").write_text("".join(f"{name} = {value}\n" for name, value in tags.items()))
    poscar = Poscar(comment="benchmark", symbols=tuple(symbols), cell=cell, positions=positions)
    (directory / "POSCAR").write_text(poscar_text(poscar, cell, positions))
    (directory / "KPOINTS").write_text(f"mesh\n0\nGamma\n{' '.join(map(str, mesh))}\n0 0 0\n")


def run_program(directory: Path) -> Any:
    """Run the program in this process, with its standard output in a file."""
    from workflows.gpaw_vasp.program import run

    with (directory / "vasp.out").open("w") as out, contextlib.redirect_stdout(out):
        return run(directory)


def mesh_for(cell: np.ndarray) -> tuple[int, int, int]:
    """Return the k-point mesh with a spacing of 0.4 1/A."""
    from workflows.gpaw_vasp.kpoints import read_mesh

    return read_mesh(None, {"KSPACING": 0.4}, cell).size


def equilibrium(prototype: str, first: str, second: str, directory: Path) -> tuple[float, tuple[int, int, int]]:
    """Find the volume of zero pressure at fixed shape, to about 1 %, and its k-point mesh."""
    volume, mesh = guess_volume(prototype, first, second), (0, 0, 0)
    before: tuple[float, float] | None = None
    for _ in range(12):
        symbols, cell, positions = build(prototype, first, second, volume)
        mesh = mesh_for(cell)
        write_inputs(directory, symbols, cell, positions, tags=INCAR | {"NSW": 0, "EDIFF": 1e-3}, mesh=mesh)
        pressure = float(np.trace(run_program(directory).steps[-1].stress)) / 3  # kB
        modulus = 1500.0
        if before is not None and abs(np.log(volume / before[0])) > 1e-4:
            modulus = max(200.0, -(pressure - before[1]) / np.log(volume / before[0]))
        change = float(np.clip(pressure / modulus, -0.15, 0.15))
        before = (volume, pressure)
        volume *= float(np.exp(change))
        if abs(change) < 0.01:
            break
    return volume, mesh


def relax_start(
    cell: tuple[str, str, str], volume: float, mesh: tuple[int, int, int], directory: Path
) -> dict[str, float | int | bool]:
    """Relax from one volume, and return the final state according to the files."""
    from pymatgen.io.vasp import Vasprun

    symbols, lattice, positions = build(*cell, volume)
    write_inputs(directory, symbols, lattice, positions, tags=RELAX_INCAR, mesh=mesh)
    started = time.process_time()
    run_program(directory)
    spent = time.process_time() - started
    vasprun = Vasprun(str(directory / "vasprun.xml"), parse_potcar_file=False)
    final = vasprun.final_structure
    return {
        "start_volume": volume / len(symbols),
        "volume": float(final.volume) / len(symbols),
        "energy": float(vasprun.final_energy) / len(symbols),
        "steps": len(vasprun.ionic_steps),
        "cpu_s": round(spent, 1),
        "converged": bool(vasprun.converged),
        "stress_kB": float(np.abs(np.array(vasprun.ionic_steps[-1]["stress"])).max()),
        "c_over_a": float(final.lattice.c / final.lattice.a),
    }


def measure(cell: tuple[str, str, str]) -> dict[str, Any]:
    """Relax one cell from both starts."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        started = time.process_time()
        volume, mesh = equilibrium(*cell, directory)
        spent = time.process_time() - started
        starts = [relax_start(cell, factor * volume, mesh, directory) for factor in (1.05, 0.95)]
    return {"cell": list(cell), "mesh": list(mesh), "equilibrium_cpu_s": round(spent, 1), "starts": starts}


def verdict(record: dict[str, Any]) -> tuple[float, float, str]:
    """Return the differences in energy (meV/atom) and volume (%), and their meaning."""
    large, small = record["starts"]
    energy = 1000 * abs(large["energy"] - small["energy"])
    volume = 200 * abs(large["volume"] - small["volume"]) / (large["volume"] + small["volume"])
    if not (large["converged"] and small["converged"]):
        return energy, volume, "unconverged"
    return energy, volume, "agree" if energy <= ENERGY_LIMIT and volume <= VOLUME_LIMIT else "DISAGREE"


def settings_in_use() -> str:
    """Return the stress tolerance and cell scaling of the engine's relaxations, as text."""
    from workflows.gpaw_vasp import basis, relaxation

    return (
        f"stress tolerance {relaxation.STRESS_TOLERANCE} kB, cell stiffness {relaxation.CELL_STIFFNESS} eV/A^3"
        f" (cell scaled by sqrt({relaxation.CELL_STIFFNESS} V / {relaxation.ATOM_STIFFNESS:g})), smooth band"
        f" {basis.SMOOTH_BAND:g} eV above ENCUT, steepness {basis.STEEPNESS:g}; ENCUT 520 eV, k-points 0.4 1/A"
    )


def markdown(records: list[dict[str, Any]]) -> str:
    """Return the table."""
    lines = [
        "| cell | prototype | V (A^3/atom) | ionic steps | CPU-s | dE (meV/atom) | dV (%) | verdict |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for record in records:
        energy, volume, text = verdict(record)
        (prototype, first, second), (large, small) = record["cell"], record["starts"]
        formula = f"{first}{second}3" if prototype == "L1_2" else f"{first}{second}"
        lines.append(
            f"| {formula} | {prototype} | {large['volume']:.3f} | {large['steps']}, {small['steps']} |"
            f" {large['cpu_s']:.0f}, {small['cpu_s']:.0f} | {energy:.2f} | {volume:.2f} | {text} |"
        )
    verdicts = [verdict(record)[2] for record in records]
    counts = ", ".join(f"{verdicts.count(name)} {name}" for name in ("agree", "unconverged", "DISAGREE"))
    steps = [start["steps"] for record in records for start in record["starts"]]
    spent = sum(start["cpu_s"] for record in records for start in record["starts"])
    lines.append("")
    lines.append(f"{len(records)} cells: {counts}. Ionic steps: median {int(np.median(steps))}, most {max(steps)}.")
    lines.append(f"{spent:.0f} CPU-s in relaxations. In use: {settings_in_use()}. {time.strftime('%Y-%m-%d')}.")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run the benchmark; exit code 1 if two converged starts disagree."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="JSON file, also what is skipped next time")
    parser.add_argument("--markdown", type=Path, help="where to write the table too")
    parser.add_argument("--cells", type=int, default=22, help="how many cells (default 22)")
    options = parser.parse_args()
    print(settings_in_use(), flush=True)
    known = json.loads(options.output.read_text())["records"] if options.output.exists() else []
    records = {tuple(record["cell"]): record for record in known}
    wanted = draw_cells(options.cells)
    for cell in wanted:
        if cell not in records:
            records[cell] = measure(cell)
            document = {"settings": settings_in_use(), "records": list(records.values())}
            scratch = options.output.with_suffix(".part")
            scratch.write_text(json.dumps(document, indent=1))
            os.replace(scratch, options.output)
        print(cell, *records[cell]["starts"], "%.2f meV/atom %.2f %% %s" % verdict(records[cell]), flush=True)  # noqa: UP031
    table = markdown([records[cell] for cell in wanted])
    print(table)
    if options.markdown:
        options.markdown.write_text(table)
    return 1 if "DISAGREE" in table.split("\n\n")[0] else 0


if __name__ == "__main__":
    sys.exit(main())

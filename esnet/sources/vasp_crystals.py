"""Assignment of VASP runs to crystals, and detection of structures that are not crystals."""

from collections import defaultdict

import numpy as np

from esnet.sources.vasp_dos import Crystal, VaspRun

TOLERANCE = 0.01
"""Tolerance for lattice vectors and sites of one crystal, A; files have 8 digits, and relaxations move further."""
_ALIKE = 0.03
"""Largest relative difference of volumes or coordination numbers of two cells of one crystal."""
_RANGE = 5.0
"""Distance within which neighbours are counted, A."""
FARTHEST_NEIGHBOUR = 6.1
"""Upper limit of nearest-neighbour distances, A. Those in the crystals of the elements are at most 5.3 A (caesium)."""


def deviation(first: Crystal, second: Crystal) -> float:
    """Return the largest distance between lattice vectors or sites of two cells with the same site order, A."""
    if first.symbols != second.symbols:
        return float("inf")
    apart = first.positions - second.positions
    apart = (apart - np.round(apart)) @ first.lattice
    vectors = first.lattice - second.lattice
    return float(max(np.linalg.norm(rows, axis=1).max() for rows in (apart, vectors)))


class CrystalIndex:
    """Numbering of crystals: cells of the same crystal, within `TOLERANCE`, get the same number."""

    def __init__(self) -> None:
        self._known: defaultdict[str, list[tuple[int, Crystal, float]]] = defaultdict(list)
        self._n = 0

    def number(self, run: VaspRun, crystal: Crystal | None) -> int:
        """Return the number of a run's crystal; a run whose file contains no crystal gets a new number."""
        if crystal is not None:
            known = self._known[run.formula]
            deviations = [(deviation(crystal, other), number) for number, other, _ in known]
            if deviations and min(deviations)[0] < TOLERANCE:
                return min(deviations)[1]
            neighbours = _neighbours(crystal)
            for number, other, others in known:
                if sorted(crystal.symbols) == sorted(other.symbols) and _same_lattice(crystal, other):
                    if _same_sites(crystal, other):
                        return number
                    continue
                alike = abs(crystal.volume / other.volume - 1) < _ALIKE and abs(neighbours / others - 1) < _ALIKE
                if alike and _match(crystal, other):
                    return number
            known.append((self._n, crystal, neighbours))
        self._n += 1
        return self._n - 1


def _same_lattice(first: Crystal, second: Crystal) -> bool:
    return float(np.linalg.norm(first.lattice - second.lattice, axis=1).max()) < TOLERANCE


def _same_sites(first: Crystal, second: Crystal) -> bool:
    """Return whether the sites of two cells of one lattice agree, in any order and from any origin."""
    symbols, others = np.array(first.symbols), np.array(second.symbols)
    rarest = min(set(first.symbols), key=first.symbols.count)
    start = first.positions[symbols == rarest][0]
    for origin in second.positions[others == rarest]:
        apart = (first.positions - start)[:, None] - (second.positions - origin)[None]
        distances = np.linalg.norm((apart - np.round(apart)) @ first.lattice, axis=2)
        # a difference of two sites has the errors of both
        close = (distances < 2 * TOLERANCE) & (symbols[:, None] == others[None])
        if close.any(axis=1).all() and close.any(axis=0).all():
            return True
    return False


def _neighbours(crystal: Crystal) -> float:
    """Return the mean weighted coordination number: equal in all cells of one crystal, and fast to compute."""
    distances = crystal.structure().get_neighbor_list(_RANGE)[3]
    return 1.0 + float((np.exp(-distances) * (1 - distances / _RANGE) ** 2).sum()) / len(crystal.symbols)


def _match(first: Crystal, second: Crystal) -> bool:
    """Return whether two cells describe the same crystal, with sites in any order and axes in any direction."""
    from pymatgen.analysis.structure_matcher import ElementComparator, StructureMatcher

    cells = [crystal.structure().get_primitive_structure(tolerance=TOLERANCE) for crystal in (first, second)]
    shortest = min(min(cell.lattice.abc) for cell in cells)
    matcher = StructureMatcher(
        ltol=TOLERANCE / shortest,
        stol=TOLERANCE / np.cbrt(first.volume),
        angle_tol=float(np.degrees(TOLERANCE / shortest)),
        primitive_cell=False,
        scale=False,
        comparator=ElementComparator(),
    )
    return bool(matcher.fit(*cells))


def vacuum_around(crystal: Crystal) -> str | None:
    """Return a note if a cell holds an atom, molecule, wire or slab in vacuum; None for a crystal.

    In a crystal, all atoms are connected in three dimensions through neighbours at most `FARTHEST_NEIGHBOUR` apart.
    """
    structure = crystal.structure()
    centers, neighbours, images, _ = structure.get_neighbor_list(FARTHEST_NEIGHBOUR)
    shifts: dict[int, np.ndarray] = {0: np.zeros(3)}
    loops: list[np.ndarray] = []
    links: defaultdict[int, list[tuple[int, np.ndarray]]] = defaultdict(list)
    for center, neighbour, image in zip(centers.tolist(), neighbours.tolist(), images, strict=True):
        links[center].append((neighbour, image))
    waiting = [0]
    while waiting:
        center = waiting.pop()
        for neighbour, image in links[center]:
            shift = shifts[center] + image
            if neighbour not in shifts:
                shifts[neighbour] = shift
                waiting.append(neighbour)
            elif (shift != shifts[neighbour]).any():
                loops.append(shift - shifts[neighbour])
    directions = int(np.linalg.matrix_rank(np.unique(loops, axis=0))) if loops else 0
    if directions == 3:
        return None
    n_atoms = len(shifts)
    what = ("an isolated atom" if n_atoms == 1 else f"an isolated molecule of {n_atoms} atoms", "a wire", "a slab")
    return (
        f"is {what[directions]} surrounded by vacuum ({crystal.volume:.0f} A^3 per atom), not a crystal of the element"
    )

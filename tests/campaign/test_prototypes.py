"""A shipped prototype is the crystal that its name says."""

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from monty.serialization import loadfn

from campaign.candidates.prototypes import UnknownPrototypeError, check_prototype_name, shipped_prototypes

NAMES = tuple(shipped_prototypes())
ASKED_FOR = {"B1", "B2", "B3", "B4", "B8_1", "L1_0", "L1_2", "D0_3", "D0_11", "D0_19", "D0_22", "A15", "C1", "C1_b"}
ASKED_FOR |= {"C3", "C4", "C14", "C15", "C36", "D5_1", "E2_1", "H1_1", "L2_1"}
CENTRING = {"P": 1, "I": 2, "F": 4, "C": 2, "R": 3}


def test_the_promised_prototypes_ship():
    assert set(NAMES) >= ASKED_FOR


@pytest.mark.parametrize("name", NAMES)
def test_space_group_sites_and_pearson_symbol_are_right(name):
    import spglib

    prototype = shipped_prototypes()[name]
    cell = prototype.conventional_cell()
    lattice, centring, count = re.fullmatch(r"([acmoth])([PIFCR])(\d+)", prototype.pearson).groups()
    # the Pearson symbol of a rhombohedral crystal counts the atoms of its primitive cell
    assert len(cell) == int(count) * (CENTRING["R"] if centring == "R" else 1)
    assert len(prototype.structure()) == len(cell) // CENTRING[centring]
    dataset = spglib.get_symmetry_dataset(
        (cell.lattice.matrix, cell.frac_coords, [site.specie.Z for site in cell]), symprec=1e-4
    )
    assert dataset.number == prototype.space_group
    assert dataset.international[0] == centring
    system = {"c": (195, 230), "h": (143, 194), "t": (75, 142), "o": (16, 74)}[lattice]
    assert system[0] <= prototype.space_group <= system[1]
    expected = Counter()
    for site in prototype.sites:
        expected[site.element] += int(site.wyckoff[:-1])
    assert Counter(site.specie.symbol for site in cell) == expected
    # letters may differ by a permitted shift of the origin; multiplicities may not
    orbits = Counter(dataset.crystallographic_orbits)
    assert sorted(orbits.values()) == sorted(int(site.wyckoff[:-1]) for site in prototype.sites)


@pytest.mark.parametrize("name", NAMES)
def test_the_compound_has_the_formula_and_sensible_distances(name):
    from pymatgen.core import Composition

    prototype = shipped_prototypes()[name]
    structure = prototype.structure()
    assert structure.composition.reduced_formula == Composition(prototype.compound).reduced_formula
    distances = structure.get_neighbor_list(4.0)[3]
    shortest = 1.6 if "B" in prototype.elements else 1.8
    assert shortest < min(distances) < 3.8


#: What pymatgen's copy of the library has otherwise than the papers that `prototypes.yaml` names: Ti-O of 2.05 A in
#: anatase, Mg-Mg of 1.46 A in MgNi2.
NOT_AS_IN_PYMATGEN = {"C5", "C36"}


@pytest.mark.parametrize("name", NAMES)
def test_a_prototype_is_that_of_the_aflow_library(name):
    from pymatgen.analysis.structure_matcher import StructureMatcher

    prototype = shipped_prototypes()[name]
    pearson, space_group = prototype.aflow.split("_")[1:3]
    assert (pearson, int(space_group)) == (prototype.pearson, prototype.space_group)
    matcher = StructureMatcher(ltol=0.03, stol=0.03, angle_tol=1.5)
    same = [matcher.fit_anonymous(prototype.structure(), crystal) for crystal in aflow_library()[prototype.aflow]]
    assert any(same) == (name not in NOT_AS_IN_PYMATGEN)


@cache
def aflow_library():
    from pymatgen.analysis import prototypes

    library = {}
    for entry in loadfn(Path(prototypes.__file__).parent / "aflow_prototypes.json.gz"):
        library.setdefault(entry["tags"]["aflow"], []).append(entry["snl"].structure)
    return library


@pytest.mark.parametrize(
    ("name", "element", "neighbours"),
    [
        ("B1", "Cl", 6), ("B2", "Cl", 8), ("B3", "S", 4), ("B4", "S", 4), ("B8_1", "As", 6), ("L1_2", "Au", 12),
        ("C1", "Ca", 8), ("C1", "F", 4), ("C1_b", "Mg", 4), ("L2_1", "Mn", 8), ("E2_1", "Ca", 12), ("E2_1", "Ti", 6),
        ("C4", "Ti", 6), ("C4", "O", 3), ("C5", "Ti", 6), ("H1_1", "Mg", 4), ("H1_1", "Al", 6), ("H1_1", "O", 4),
        ("D5_1", "Al", 6), ("C3", "Cu", 2), ("C3", "O", 4), ("C2", "Fe", 6), ("D0_9", "Re", 6), ("E1_1", "Cu", 4),
        ("F5_1", "Na", 6), ("C6", "Cd", 6), ("C7", "Mo", 6), ("B_h", "W", 6), ("C14", "Mg", 16),
        ("C15", "Mg", 16), ("C36", "Mg", 16), ("D2_1", "Ca", 24), ("D2_d", "Ca", 18),
        ("B32", "Na", 8),
    ],
)  # fmt: skip
def test_every_site_has_the_neighbours_that_it_is_known_for(name, element, neighbours):
    structure = shipped_prototypes()[name].structure()
    found = set()
    for site in structure:
        if site.specie.symbol == element:
            distances = [neighbour.nn_distance for neighbour in structure.get_neighbors(site, 5.0)]
            found.add(sum(distance < 1.1 * min(distances) for distance in distances))
    assert found == {neighbours}


def test_other_names_lead_to_the_same_prototype():
    assert check_prototype_name("NiAs") == "B8_1"
    for name in NAMES:
        assert check_prototype_name(name) == name
    others = [other for prototype in shipped_prototypes().values() for other in prototype.also]
    assert len(others) == len(set(others))
    assert not set(others) & set(NAMES)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("B81", "B8_1"), ("b8_1", "B8_1"), ("L12", "L1_2"), ("l2_1", "L2_1"), ("D022", "D0_22"), ("C1b", "C1_b"),
        ("C1_{b}", "C1_b"), ("half heusler", "C1_b"), ("Full-Heusler", "L2_1"), ("Perovskite", "E2_1"),
        ("rutile", "C4"), ("spinel", "H1_1"), ("cementite", "D0_11"), ("A2BC4_cF56_227_d_a_e", "H1_1"),
    ],
)  # fmt: skip
def test_names_are_taken_as_people_type_them(typed, name):
    assert check_prototype_name(typed) == name


def test_a_label_of_two_prototypes_asks_which():
    shared = Counter(prototype.aflow for prototype in shipped_prototypes().values())
    for label in (label for label, count in shared.items() if count > 1):
        with pytest.raises(UnknownPrototypeError, match="name one"):
            check_prototype_name(label)


def test_an_unknown_prototype_lists_what_there_is():
    with pytest.raises(UnknownPrototypeError, match=r"did you mean 'L1_2'\? \(known here: B1, .*H1_1\)"):
        check_prototype_name("L1_3")

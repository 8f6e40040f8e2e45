"""A shipped prototype is the crystal that its name says."""

import re
from collections import Counter

import pytest

from campaign.candidates.prototypes import UnknownPrototypeError, check_prototype_name, shipped_prototypes

NAMES = tuple(shipped_prototypes())
ASKED_FOR = {"B1", "B2", "B3", "L1_0", "L1_2", "D0_3", "D0_22", "A15", "C15", "B8_1"}
CENTRING = {"P": 1, "I": 2, "F": 4, "C": 2, "R": 3}


def test_the_promised_prototypes_ship():
    assert set(NAMES) >= ASKED_FOR


@pytest.mark.parametrize("name", NAMES)
def test_space_group_sites_and_pearson_symbol_are_right(name):
    import spglib

    prototype = shipped_prototypes()[name]
    cell = prototype.conventional_cell()
    lattice, centring, count = re.fullmatch(r"([acmoth])([PIFCR])(\d+)", prototype.pearson).groups()
    assert len(cell) == int(count)
    assert len(prototype.structure()) == int(count) // CENTRING[centring]
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
    assert 2.2 < min(distances) < 3.8


@pytest.mark.parametrize(
    ("name", "neighbours"), [("B1", 6), ("B2", 8), ("B3", 4), ("B4", 4), ("B8_1", 6), ("L1_2", 12)]
)
def test_coordination_is_what_the_volume_factor_assumes(name, neighbours):
    structure = shipped_prototypes()[name].structure()
    distances = [neighbour.nn_distance for neighbour in structure.get_neighbors(structure[-1], 5.0)]
    assert sum(distance < 1.05 * min(distances) for distance in distances) == neighbours


def test_other_names_lead_to_the_same_prototype():
    assert check_prototype_name("NiAs") == "B8_1"
    for name in NAMES:
        assert check_prototype_name(name) == name
    others = [other for prototype in shipped_prototypes().values() for other in prototype.also]
    assert len(others) == len(set(others))
    assert not set(others) & set(NAMES)


def test_an_unknown_prototype_lists_what_there_is():
    with pytest.raises(UnknownPrototypeError, match=r"did you mean 'L1_2'\? \(known here: B1, .*C15\)"):
        check_prototype_name("L12")

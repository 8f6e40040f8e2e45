"""Every element that a campaign accepts has a size, and its reference crystal is the one that nature has."""

import pytest
from ase.collections import dcdft

from campaign.candidates.elements import (
    ElementError,
    MissingReferenceError,
    check_element,
    elements_without_reference,
    is_f_block,
    reference_structure,
    symbols,
    volume_per_atom,
)

LISTED = {"H", "He", "B", "N", "O", "F", "P", "S", "Cl", "Mn", "Ga", "Se", "Br", "Te", "I"}
ALLOWED = [symbol for symbol in symbols() if not is_f_block(symbol)]


def test_the_f_block_is_lanthanides_and_actinides_only():
    refused = [symbol for symbol in symbols() if is_f_block(symbol)]
    assert len(symbols()) == 111
    assert symbols()[-1] == "Rg"
    assert len(refused) == 30
    assert {"La", "Lu", "Ac", "Lr"} <= set(refused)
    assert not {"Ba", "Hf", "Ra", "Rf", "Y", "Sc"} & set(refused)


@pytest.mark.parametrize(
    ("word", "guess"), [("AL", "Al"), ("gold", "Au"), ("Aluminum", "Al"), ("Paladium", "Pd"), ("Cuu", "Cu")]
)
def test_a_misspelt_element_is_recognised(word, guess):
    with pytest.raises(ElementError, match=f"did you mean '{guess}'"):
        check_element(word)


@pytest.mark.parametrize("word", ["X", "", "Uuo", "Cn"])
def test_what_is_no_element_up_to_111_is_refused(word):
    with pytest.raises(ElementError):
        check_element(word)


@pytest.mark.parametrize(
    ("symbol", "space_group", "n_sites"),
    [("Al", 225, 1), ("Fe", 229, 1), ("Mg", 194, 2), ("Si", 227, 2), ("Po", 221, 1), ("In", 139, 1), ("Sb", 166, 2),
     ("Sn", 141, 2), ("Hg", 166, 1), ("H", 194, 4), ("B", 166, 12), ("C", 194, 4), ("N", 205, 8), ("O", 12, 2),
     ("F", 15, 4), ("P", 64, 4), ("S", 70, 32), ("Cl", 64, 4), ("Br", 64, 4), ("I", 64, 4), ("Mn", 217, 29),
     ("Ga", 64, 4), ("Se", 152, 3), ("Te", 152, 3), ("As", 166, 2), ("He", 194, 2), ("Ne", 225, 1), ("Xe", 225, 1)],
)  # fmt: skip
def test_reference_crystals_have_their_known_symmetry(symbol, space_group, n_sites):
    structure = reference_structure(symbol)
    assert structure.get_space_group_info()[1] == space_group
    assert len(structure) == n_sites


def test_an_element_without_a_crystal_names_the_remedy():
    with pytest.raises(MissingReferenceError, match=r"references\.structures"):
        reference_structure("Ra")
    assert elements_without_reference(["Al", "O", "Ra", "Mn", "At"]) == ("Ra", "At")
    with pytest.raises(ElementError, match="lanthanide"):
        reference_structure("Ce")


@pytest.mark.parametrize("symbol", ALLOWED)
def test_every_allowed_element_has_a_sensible_volume(symbol):
    assert 5.0 < volume_per_atom(symbol) < 150.0


def test_every_element_up_to_bismuth_has_a_crystal():
    assert elements_without_reference(symbol for symbol in symbols()[:83] if not is_f_block(symbol)) == ()


@pytest.mark.parametrize(("symbol", "bond"), [("H", 0.75), ("N", 1.11), ("O", 1.23), ("F", 1.42), ("Cl", 2.0),
                                              ("Br", 2.34), ("I", 2.73), ("S", 2.05), ("P", 2.23)])  # fmt: skip
def test_gases_are_crystals_of_their_molecules(symbol, bond):
    from collections import Counter

    first, _, _, distance = reference_structure(symbol).get_neighbor_list(6.0)
    assert distance.min() == pytest.approx(bond, rel=0.02)
    bonds = Counter(first[distance < 1.1 * distance.min()].tolist())
    assert set(bonds.values()) == {{"S": 2, "P": 3}.get(symbol, 1)}


def test_oxygen_starts_as_a_triplet_and_manganese_compensated():
    assert reference_structure("O").site_properties["magmom"] == [1.0, 1.0]
    moments = reference_structure("Mn").site_properties["magmom"]
    assert (max(moments), min(moments), len(moments)) == (2.8, -2.2, 29)
    others = [symbol for symbol in ALLOWED if symbol not in ("O", "Mn") and not elements_without_reference([symbol])]
    assert not any(reference_structure(symbol).site_properties for symbol in others)


def test_the_users_moment_goes_before_that_of_a_built_in_crystal():
    from campaign.references.phases import reference_phases
    from campaign.spec.campaign_spec import CampaignSpec

    content = {"name": "x", "candidates": {"prototypes": ["B1"], "elements": ["Mn", "O"]}, "dft": {"magmom": {"Mn": 4}}}
    phases = dict(reference_phases(CampaignSpec.model_validate(content), ["Mn", "O"]))
    assert phases["Mn"].site_properties == {}
    assert phases["O"].site_properties == {"magmom": [1.0, 1.0]}


def test_version_1_of_the_built_in_data_has_diamond():
    assert reference_structure("C", built_in=1).get_space_group_info()[1] == 227
    assert reference_structure("C").get_space_group_info()[1] == 194


@pytest.mark.parametrize("symbol", sorted(set(dcdft.names) - {"S", "Sn", "Lu", "Rn"}))  # other phases; none here
def test_reference_crystals_have_the_volume_of_an_independent_set(symbol):
    """The Delta project's PBE cells: half the entries of elements.yaml come from there, none of ASE's do."""
    ours, theirs = reference_structure(symbol), dcdft[symbol]
    # what van der Waals forces hold together is larger in PBE
    tolerance = 1.0 if symbol in ("Ne", "Ar", "Kr", "Xe", "Hg") else 0.1
    assert ours.volume / len(ours) == pytest.approx(theirs.get_volume() / len(theirs), rel=tolerance)


@pytest.mark.parametrize(
    "symbol", [symbol for symbol in ALLOWED if not elements_without_reference([symbol]) and symbol not in LISTED]
)
def test_reference_crystals_have_the_measured_density(symbol):
    """Molar volumes of pymatgen's periodic table are an independent source, of liquids for some elements."""
    from pymatgen.core import Element

    structure = reference_structure(symbol, built_in=1)
    assert structure.volume / len(structure) == pytest.approx(volume_per_atom(symbol))
    if symbol == "C":
        return  # diamond here, graphite there
    measured = Element(symbol).molar_volume / 0.602214076
    assert volume_per_atom(symbol) == pytest.approx(measured, rel=0.07)

"""Every element that a campaign accepts has a size, and its reference crystal is the one that nature has."""

import pytest

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
     ("Sn", 141, 2), ("Hg", 166, 1)],
)  # fmt: skip
def test_reference_crystals_have_their_known_symmetry(symbol, space_group, n_sites):
    structure = reference_structure(symbol)
    assert structure.get_space_group_info()[1] == space_group
    assert len(structure) == n_sites


def test_an_element_without_a_crystal_names_the_remedy():
    with pytest.raises(MissingReferenceError, match=r"references\.structures"):
        reference_structure("O")
    assert elements_without_reference(["Al", "O", "Pd", "Mn"]) == ("O", "Mn")
    with pytest.raises(ElementError, match="lanthanide"):
        reference_structure("Ce")


@pytest.mark.parametrize("symbol", ALLOWED)
def test_every_allowed_element_has_a_sensible_volume(symbol):
    assert 5.0 < volume_per_atom(symbol) < 150.0


@pytest.mark.parametrize("symbol", [symbol for symbol in ALLOWED if not elements_without_reference([symbol])])
def test_reference_crystals_have_the_measured_density(symbol):
    """Molar volumes of pymatgen's periodic table are an independent source."""
    from pymatgen.core import Element

    structure = reference_structure(symbol)
    assert structure.volume / len(structure) == pytest.approx(volume_per_atom(symbol))
    if symbol == "C":
        return  # diamond here, graphite there
    measured = Element(symbol).molar_volume / 0.602214076
    assert volume_per_atom(symbol) == pytest.approx(measured, rel=0.07)

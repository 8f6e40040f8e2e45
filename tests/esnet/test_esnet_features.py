"""The network must get scaled, finite features of the right shape, and the elements in the right places."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esnet.representation.checks import finite_samples
from esnet.representation.composition import ELEMENTS, composition_vector
from esnet.representation.dos import DOS_SHAPE
from esnet.representation.errors import FeatureError, RepresentationError
from esnet.representation.features import Representation, network_inputs
from esnet.representation.scaling import ChannelScaler, TargetScaling


def random_dos(n_samples, seed=0):
    return np.random.default_rng(seed).normal(2.0, 3.0, (n_samples, *DOS_SHAPE)).astype(np.float32)


def test_elements_stand_at_their_atomic_number():
    from pymatgen.core import Element

    assert [Element(symbol).Z for symbol in ELEMENTS] == list(range(1, 112))


def test_composition_vector_has_presence_or_fraction():
    from pymatgen.core import Composition

    presence = composition_vector(Composition("Cu3Au"))
    assert presence.shape == (111,)
    assert presence.dtype == np.float32
    assert {ELEMENTS[place]: presence[place] for place in np.flatnonzero(presence)} == {"Cu": 1.0, "Au": 1.0}
    fraction = composition_vector({"Cu": 6, "Au": 2}, mode="fraction")
    assert fraction[ELEMENTS.index("Cu")] == 0.75
    assert fraction.sum() == 1.0


def test_oxidation_states_are_the_same_element():
    from pymatgen.core import Composition

    assert np.array_equal(
        composition_vector(Composition({"Fe2+": 1, "Fe3+": 2, "O2-": 4}), mode="fraction"),
        composition_vector({"Fe": 3, "O": 4}, mode="fraction"),
    )


@pytest.mark.parametrize(
    ("composition", "message"),
    [({"Xx": 1}, "'Xx'"), ({}, "empty"), ({"Cu": -1}, "Cu is -1"), ({"Cu": np.nan}, "Cu is nan"), (5, "is 5")],
)
def test_wrong_compositions_are_refused_by_name(composition, message):
    with pytest.raises(FeatureError, match=message):
        composition_vector(composition)


def test_scaler_standardises_each_channel_and_survives_json():
    dos = random_dos(300)
    dos[:, 1, :, 3] = 7.0
    scaler = ChannelScaler.fit(dos)
    scaled = scaler.transform(dos)
    varying = np.ones((2, 9), dtype=bool)
    varying[1, 3] = False
    assert np.allclose(scaled.mean(axis=(0, 2))[varying], 0.0, atol=1e-4)
    assert np.allclose(scaled.std(axis=(0, 2))[varying], 1.0, atol=1e-4)
    assert not scaled[:, 1, :, 3].any()
    assert ChannelScaler.from_dict(json.loads(json.dumps(scaler.to_dict()))) == scaler


@pytest.mark.parametrize("number", [0, 1, 4, 9])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_every_sample_is_scaled_wherever_it_lies_in_memory(number, kind):
    dos = random_dos(10).astype(kind)
    scaler = ChannelScaler.fit(dos)
    mean, scale = (np.array(values, np.float32)[:, None] for values in (scaler.mean, scaler.scale))
    for part in (dos[:number], np.asfortranarray(dos)[:number], dos[::-1][:number]):
        expected = (part.astype(np.float32) - mean) / scale
        # doubles are rounded once, not twice
        np.testing.assert_allclose(scaler.transform(part), expected, rtol=0, atol=0 if kind == np.float32 else 1e-5)


def test_samples_are_finite_also_where_their_sum_is_not():
    huge = np.full((4, 2, 30), 3e38, np.float32)
    huge[2, 1, 7] = np.inf
    huge[3, 0, 0] = np.nan
    assert finite_samples(huge).tolist() == [True, True, False, False]


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(0, 12), max_size=3), seed=st.integers(0, 100))
def test_scaler_does_not_depend_on_the_batches(cuts, seed):
    dos = random_dos(12, seed)
    batches = np.split(dos, sorted(cuts))
    assert np.allclose(ChannelScaler.fit_batches(batches).mean, dos.mean(axis=(0, 2), dtype=float))
    assert np.allclose(ChannelScaler.fit_batches(batches).scale, dos.std(axis=(0, 2), dtype=float))


def test_features_that_are_wrong_are_refused_by_name():
    scaler = ChannelScaler.fit(random_dos(3))
    compositions = np.zeros((3, 111))
    broken = random_dos(3)
    broken[1, 0, 5, 2] = np.nan
    with pytest.raises(FeatureError, match="dos has values that are not finite in 1 samples: b"):
        network_inputs(broken, compositions, scaler=scaler, ids=["a", "b", "c"])
    with pytest.raises(FeatureError, match=r"dos has shape \(3, 1500, 2, 9\)"):
        network_inputs(random_dos(3).transpose(0, 2, 1, 3), compositions, scaler=scaler)
    with pytest.raises(FeatureError, match=r"compositions have shape \(3, 110\)"):
        network_inputs(random_dos(3), compositions[:, :110], scaler=scaler)


def test_inputs_are_up_down_and_composition():
    dos = random_dos(4)
    scaler = ChannelScaler.fit(dos)
    inputs = network_inputs(dos, np.ones((4, 111)), scaler=scaler)
    assert {name: array.shape for name, array in inputs.items()} == {
        "up": (4, 1500, 9),
        "down": (4, 1500, 9),
        "composition": (4, 111),
    }
    assert np.array_equal(inputs["down"], scaler.transform(dos)[:, 1])


def test_target_scaling_restores_energies_also_when_all_are_the_same():
    for energies in (np.array([-1.0, 0.5, 0.2]), np.array([-0.3, -0.3])):
        scaling = TargetScaling.fit(energies)
        assert np.allclose(scaling.restore(scaling.standardise(energies)), energies, atol=1e-6)


def test_representation_names_what_is_wrong_or_differs():
    representation = Representation(normalisation="element")
    assert Representation.from_dict(representation.to_dict()) == representation
    with pytest.raises(ValueError, match="normalisation='cell'"):
        Representation(normalisation="cell")
    with pytest.raises(ValueError, match="composition='mass'"):
        Representation(composition="mass")
    with pytest.raises(ValueError, match="must have"):
        Representation.from_dict({"normalisation": "atom"})
    with pytest.raises(RepresentationError, match="normalisation: the model has 'element', requested is 'atom'"):
        representation.require(Representation())

"""What is far from the training set must be told from what is not, whatever order, number and twins it comes in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esnet.bundle.novelty import USUAL, NoveltyReference, reference_places

N_HIDDEN = 64


def hidden_of(n_samples: int, *, seed: int = 0, members: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(members, n_samples, N_HIDDEN)).astype(np.float32)


def names(n_samples: int) -> list[str]:
    return [f"material-{number}" for number in range(n_samples)]


def test_what_is_far_away_is_flagged_and_what_is_alike_is_not():
    reference = NoveltyReference.fit(hidden_of(400), names(400))
    alike = reference.novelty(hidden_of(200, seed=1))
    far = reference.novelty(hidden_of(200, seed=1) + 3.0)
    assert (alike > 1).mean() == pytest.approx(1 - USUAL, abs=0.05)
    assert (far > 1).all()
    assert far.min() > alike.max()


def test_the_unrelaxed_twin_does_not_make_every_other_material_look_novel():
    """IS and RS of one material lie close together; the distance to the twin is not what is usual."""
    one = hidden_of(200)
    twins = np.concatenate([one, one + 0.01], axis=1)
    reference = NoveltyReference.fit(twins, names(200) * 2)
    assert (reference.novelty(hidden_of(100, seed=1)) > 1).mean() < 0.2
    taken_as_neighbours = NoveltyReference.fit(twins, names(400))
    assert reference.unit > taken_as_neighbours.unit


def test_a_dominating_member_does_not_hide_the_others():
    hidden = hidden_of(300)
    hidden[0] *= 1000
    odd = hidden_of(1, seed=1)
    odd[0] *= 1000
    odd[1] += 5.0
    assert NoveltyReference.fit(hidden, names(300)).novelty(odd)[0] > 1


def test_no_distance_is_made_up_where_there_is_none():
    assert NoveltyReference.fit(hidden_of(0), []) is None
    assert NoveltyReference.fit(hidden_of(2), ["one", "one"]) is None
    dead = np.zeros((2, 50, N_HIDDEN), np.float32)
    assert NoveltyReference.fit(dead, names(50)) is None
    few = NoveltyReference.fit(hidden_of(3), ["one", "one", "two"])
    assert few.neighbours == 1
    assert np.isfinite(few.novelty(hidden_of(4, seed=2))).all()


def test_a_reference_read_back_says_the_same_bits_and_one_that_does_not_fit_is_refused():
    reference = NoveltyReference.fit(hidden_of(60), names(60))
    again = NoveltyReference.from_parts(reference.arrays(), reference.to_dict())
    samples = hidden_of(20, seed=3)
    assert np.array_equal(reference.novelty(samples), again.novelty(samples))
    with pytest.raises(ValueError, match="shapes"):
        NoveltyReference.from_parts(reference.arrays(), reference.to_dict() | {"n_points": 59})
    with pytest.raises(ValueError, match="neighbours"):
        NoveltyReference.from_parts(reference.arrays(), reference.to_dict() | {"neighbours": 61})


@given(n_materials=st.integers(1, 60), limit=st.integers(2, 80), seed=st.integers(0, 99))
@settings(deadline=None)
def test_a_large_training_set_is_thinned_by_whole_materials_whatever_its_order(n_materials, limit, seed):
    materials = [f"m{number}" for number in range(n_materials) for _ in range(2)]
    indices = np.arange(len(materials))
    chosen = reference_places(indices, materials, seed=seed, limit=limit)
    assert len(chosen) <= limit
    assert len(chosen) >= min(limit - 1, len(indices))
    if len(indices) > limit:
        assert all(chosen.tolist().count(place ^ 1) == 1 for place in chosen)
    order = np.random.default_rng(seed).permutation(len(materials))
    shuffled = reference_places(indices, [materials[place] for place in order], seed=seed, limit=limit)
    assert sorted(materials[place] for place in chosen) == sorted(materials[order[place]] for place in shuffled)


def test_novelty_is_the_same_in_whatever_blocks_it_is_asked_for():
    reference = NoveltyReference.fit(hidden_of(100, members=1), names(100))
    many = hidden_of(2000, seed=4, members=1)
    whole = reference.novelty(many)
    parts = np.concatenate([reference.novelty(many[:, start : start + 300]) for start in range(0, 2000, 300)])
    assert whole == pytest.approx(parts, rel=1e-9)

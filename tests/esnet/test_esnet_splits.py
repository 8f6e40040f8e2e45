"""Training, validation and test have nothing in common, and the same data give the same parts."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_dataset import synthetic, tiny_sample, write

from esnet.dataset.dataset import Dataset
from esnet.dataset.splits import PARTS, Split, SplitError, split_dataset
from esnet.representation.scaling import ChannelScaler

BY = ("random", "chemsys", "prototype")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """60 materials, 120 samples."""
    return synthetic(tmp_path_factory.mktemp("datasets") / "synthetic", 60)


class Labels(SimpleNamespace):
    """What a split reads of a data set."""

    def __len__(self) -> int:
        return len(self.ids)


def labelled(rows: list[tuple[str, int, str, str]]) -> Any:
    """Material, number of the DOS, chemical system and prototype of each sample."""
    return Labels(
        path=Path("labels"),
        ids=tuple(f"{material}:{place}" for place, (material, *_) in enumerate(rows)),
        materials=tuple(row[0] for row in rows),
        digests=tuple(row[1].to_bytes(32, "big") for row in rows),
        chemsys=tuple(row[2] for row in rows),
        prototypes=tuple(row[3] for row in rows),
        energies=np.zeros(len(rows)),
    )


def values(dataset: Any, split: Split, column: str) -> list[set]:
    return [{getattr(dataset, column)[place] for place in split.part(part)} for part in PARTS]


def assert_disjoint(sets: list[set]) -> None:
    train, validation, test = sets
    assert train.isdisjoint(validation)
    assert train.isdisjoint(test)
    assert validation.isdisjoint(test)


rows = st.lists(
    st.tuples(
        st.integers(0, 30).map("material-{}".format),
        st.integers(0, 60),
        st.integers(0, 8).map("system-{}".format),
        st.sampled_from(["", "B1", "B2", "B3", "L1_2", "D0_3"]),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(rows=rows, by=st.sampled_from(BY), seed=st.integers(0, 5), data=st.data())
def test_parts_share_a_material_or_a_dos_or_depend_on_the_order(rows: list, by: str, seed: int, data: st.DataObject):
    dataset = labelled(rows)
    fractions = {"validation_fraction": data.draw(st.floats(0, 0.45)), "test_fraction": data.draw(st.floats(0, 0.45))}
    try:
        split = split_dataset(dataset, by=by, seed=seed, **fractions)
    except SplitError:
        return
    assert sorted(np.concatenate([split.part(part) for part in PARTS]).tolist()) == list(range(len(rows)))
    assert_disjoint(values(dataset, split, "materials"))
    assert_disjoint(values(dataset, split, "digests"))
    if by == "chemsys":
        assert_disjoint(values(dataset, split, "chemsys"))
    if by == "prototype":
        assert_disjoint([names - {""} for names in values(dataset, split, "prototypes")])
    assert len(split.train)
    assert bool(len(split.test)) == bool(fractions["test_fraction"])

    order = data.draw(st.permutations(range(len(rows))))
    shuffled = labelled([rows[place] for place in order])
    # the ids hold the place; here a sample keeps its name wherever it is
    shuffled.ids = tuple(dataset.ids[place] for place in order)
    again = split_dataset(shuffled, by=by, seed=seed, **fractions)
    assert values(shuffled, again, "ids") == values(dataset, split, "ids")
    assert again.checksum == split.checksum


@pytest.mark.parametrize("by", BY)
def test_parts_are_far_from_the_sizes_asked_for(dataset: Dataset, by: str):
    split = split_dataset(dataset, by=by, validation_fraction=0.2, test_fraction=0.2)
    # a prototype has about a fifth of the samples
    assert 12 <= len(split.test) <= 40
    assert 12 <= len(split.validation) <= 40
    assert len(split.train) >= 60


def test_is_dos_and_rs_dos_of_a_material_are_divided(dataset: Dataset):
    split = split_dataset(dataset)
    assert_disjoint(values(dataset, split, "materials"))
    assert all(len(dataset.indices(materials=names)) == 2 * len(names) for names in values(dataset, split, "materials"))


def test_a_copy_under_another_name_is_in_two_parts(tmp_path: Path):
    samples = [tiny_sample(number, dos=tiny_sample(number % 5).dos) for number in range(50)]
    dataset = Dataset.open(write(tmp_path / "d", samples))
    split = split_dataset(dataset, validation_fraction=0.2, test_fraction=0.2)
    assert_disjoint(values(dataset, split, "digests"))
    assert split.units == 5


def test_another_seed_gives_the_same_parts(dataset: Dataset):
    assert len({split_dataset(dataset, seed=seed).checksum for seed in range(5)}) == 5


def test_no_part_is_made_although_none_was_asked_for(dataset: Dataset):
    split = split_dataset(dataset, validation_fraction=0, test_fraction=0)
    assert len(split.train) == len(dataset)
    assert len(split.validation) == len(split.test) == 0


def test_the_scaler_sees_more_than_the_training_part(dataset: Dataset):
    split = split_dataset(dataset)
    scaler = ChannelScaler.fit_batches(dataset.blocks(split.train, size=16))
    alone = ChannelScaler.fit(dataset.read(split.train))
    np.testing.assert_allclose(scaler.mean, alone.mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(scaler.scale, alone.scale, rtol=1e-9, atol=1e-12)
    everything = ChannelScaler.fit_batches(dataset.blocks(dataset.indices()))
    assert not np.allclose(scaler.mean, everything.mean, rtol=1e-6)


def test_a_recorded_split_is_made_again_of_other_data(dataset: Dataset, tmp_path: Path):
    split = split_dataset(dataset, by="chemsys", seed=3)
    again = Split.of(dataset, split.to_dict())
    assert again.test.tolist() == split.test.tolist()
    other = synthetic(tmp_path / "other", 61)
    with pytest.raises(SplitError, match="is not the data set that was split"):
        Split.of(other, split.to_dict())
    with pytest.raises(SplitError, match="lacks seed, test_chemsys, checksum"):
        Split.of(dataset, {"by": "random", "validation_fraction": 0.1, "test_fraction": 0.1})


def test_unknown_prototypes_are_taken_for_one_prototype_without_a_word(tmp_path: Path):
    some = [tiny_sample(number, prototype="" if number % 2 else f"P{number % 10}") for number in range(40)]
    split = split_dataset(Dataset.open(write(tmp_path / "some", some)), by="prototype")
    assert "prototype of 20 of 40 samples is unknown" in split.notes[0]
    assert split.units == 5 + 20
    none = [tiny_sample(number, prototype="") for number in range(4)]
    with pytest.raises(SplitError, match="no sample has a known prototype"):
        split_dataset(Dataset.open(write(tmp_path / "none", none)), by="prototype")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "element"}, "must be one of random, chemsys, prototype"),
        ({"seed": -1}, "seed=-1"),
        ({"test_fraction": 1.0}, "test_fraction=1.0: must be 0 or above and below 1"),
        ({"validation_fraction": float("nan")}, "validation_fraction=nan"),
        ({"validation_fraction": 0.5, "test_fraction": 0.5}, "leave nothing to train on"),
    ],
)
def test_a_wrong_option_is_taken(dataset: Dataset, options: dict, message: str):
    with pytest.raises(SplitError, match=message):
        split_dataset(dataset, **options)


def test_a_part_is_empty_without_a_word():
    one_system = labelled([(f"m{number}", number, "Al-Cu", "B1") for number in range(10)])
    with pytest.raises(SplitError, match=r"the test part would be empty.*1 units \(chemical systems.*split by random"):
        split_dataset(one_system, by="chemsys")
    two = labelled([("a", 1, "Al-Cu", "B1"), ("b", 2, "Al-Ni", "B1")])
    with pytest.raises(SplitError, match="the train part would be empty"):
        split_dataset(two)


def test_a_chemical_system_that_is_held_out_reaches_the_training(dataset: Dataset):
    held_out = sorted(set(dataset.chemsys))[:3]
    split = split_dataset(dataset, test_fraction=0, test_chemsys=held_out)
    train, validation, test = values(dataset, split, "chemsys")
    assert test == set(held_out)
    assert not (train | validation) & set(held_out)
    assert Split.of(dataset, split.to_dict()).checksum == split.checksum
    with_more = split_dataset(dataset, test_fraction=0.1, test_chemsys=held_out)
    assert set(split.test) < set(with_more.test)
    assert_disjoint(values(dataset, with_more, "materials"))


def test_a_misspelt_chemical_system_is_held_out_in_silence(dataset: Dataset):
    with pytest.raises(SplitError, match="no sample of Pd-Al"):
        split_dataset(dataset, test_chemsys=["Pd-Al"])

"""A data set gives back what was written, tells what it left out, and is not used when anything in it was changed."""

import json
import logging
import os
import pickle
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_dataset import ALL, synthetic, tiny_sample, write

from esnet.dataset.dataset import Dataset, DatasetError, DatasetExistsError, DatasetWriter, Filters, Sample
from esnet.dataset.format import MANIFEST, SHARD_SIZE, DatasetManifest
from esnet.dataset.synthetic import synthetic_samples
from esnet.dataset.writer import suspicious_energies
from esnet.files.atomic import file_entry
from esnet.representation.composition import ELEMENTS, composition_vector
from esnet.representation.dos import DOS_SHAPE
from esnet.representation.errors import FeatureError
from esnet.representation.features import Representation


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """20 materials, 40 samples."""
    return synthetic(tmp_path_factory.mktemp("datasets") / "synthetic", 20)


@pytest.fixture(scope="module")
def several_files(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """More samples than one file of densities takes."""
    path = tmp_path_factory.mktemp("datasets") / "several"
    return Dataset.open(write(path, (tiny_sample(number) for number in range(SHARD_SIZE + 6))))


def test_a_sample_comes_back_otherwise_than_it_went_in(dataset: Dataset):
    samples = list(synthetic_samples(20))
    assert dataset.ids == tuple(sample.id for sample in samples)
    assert dataset.materials == tuple(sample.material for sample in samples)
    assert dataset.kinds == tuple(sample.kind for sample in samples)
    assert dataset.chemsys == tuple(sample.chemsys for sample in samples)
    assert dataset.prototypes == tuple(sample.prototype for sample in samples)
    assert dataset.energies.tolist() == [sample.energy for sample in samples]
    assert dataset.efermi.tolist() == [sample.efermi for sample in samples]
    assert dataset.spacing.tolist() == [sample.spacing for sample in samples]
    np.testing.assert_array_equal(dataset.read(range(len(dataset))), np.stack([sample.dos for sample in samples]))
    assert dataset.amounts(7) == samples[7].composition
    assert dataset.provenance([3, 1]) == [samples[3].provenance, samples[1].provenance]


@pytest.mark.parametrize("mode", ["presence", "fraction"])
def test_compositions_differ_from_those_a_model_is_given(tmp_path: Path, mode: str):
    samples = list(synthetic_samples(5))
    path = write(tmp_path / "d", samples, representation=Representation(composition=mode))
    wanted = np.stack([composition_vector(sample.composition, mode=mode) for sample in samples])
    np.testing.assert_array_equal(Dataset.open(path).compositions, wanted)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_samples_are_read_in_another_order_than_asked(several_files: Dataset, data: st.DataObject):
    indices = data.draw(st.lists(st.integers(0, len(several_files) - 1), max_size=30))
    wanted = [tiny_sample(place).dos for place in indices]
    found = several_files.read(np.array(indices, dtype=int))
    np.testing.assert_array_equal(found, np.stack(wanted) if wanted else np.zeros((0, *DOS_SHAPE)))
    blocks = list(several_files.blocks(indices, size=7))
    assert all(len(block) <= 7 for block in blocks)
    assert sum(map(len, blocks)) == len(indices)


def test_unknown_numbers_come_back_as_zero(tmp_path: Path):
    dataset = Dataset.open(write(tmp_path / "d", [tiny_sample(1, efermi=None, spacing=None)]))
    assert np.isnan(dataset.efermi).all()
    assert np.isnan(dataset.spacing).all()


def test_several_threads_get_each_others_samples(several_files: Dataset):
    wrong: list[int] = []

    def read(first: int) -> None:
        for place in range(first, len(several_files), 8):
            if not np.array_equal(several_files.read([place])[0], tiny_sample(place).dos):
                wrong.append(place)

    threads = [threading.Thread(target=read, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_pickled_data_set_reads_another_one(dataset: Dataset, tmp_path: Path):
    again = pickle.loads(pickle.dumps(dataset))
    assert again.checksum == dataset.checksum
    np.testing.assert_array_equal(again.read([5]), dataset.read([5]))
    moved = Dataset.open(write(tmp_path / "d", [tiny_sample(0)]))
    pickled = pickle.dumps(moved)
    moved.path.rename(tmp_path / "old")
    write(tmp_path / "d", [tiny_sample(1)])
    with pytest.raises(DatasetError, match="now contains another data set"):
        pickle.loads(pickled)


def test_samples_in_memory_lack_something(dataset: Dataset):
    samples = dataset.samples([4, 2])
    assert samples.ids == (dataset.ids[4], dataset.ids[2])
    np.testing.assert_array_equal(samples.dos, dataset.read([4, 2]))
    with pytest.raises(FeatureError, match="more than once"):
        dataset.samples([2, 2])


def test_places_of_a_kind_or_material_are_others(dataset: Dataset):
    assert all(dataset.kinds[place] == "is_dos" for place in dataset.indices(kind="is_dos"))
    assert len(dataset.indices(kind="is_dos")) == 20
    both = dataset.indices(materials={dataset.materials[0]})
    assert both.tolist() == [0, 1]
    assert dataset.indices().tolist() == list(range(40))
    with pytest.raises(DatasetError, match="must be one of is_dos, rs_dos"):
        dataset.indices(kind="IS2RE")


@pytest.mark.parametrize("indices", [[40], [-1], [[1]], [0.5]])
def test_a_place_that_does_not_exist_gives_some_sample(dataset: Dataset, indices: list):
    with pytest.raises(DatasetError, match="indices"):
        dataset.read(indices)


def test_the_checksum_depends_on_when_or_where_it_was_written(dataset: Dataset, tmp_path: Path):
    again = synthetic(tmp_path / "again", 20)
    assert again.checksum == dataset.checksum
    others = {
        "other order": write(tmp_path / "order", reversed(list(synthetic_samples(20)))),
        "other seed": write(tmp_path / "seed", synthetic_samples(20, seed=1)),
        "other representation": write(
            tmp_path / "representation", synthetic_samples(20), representation=Representation(composition="fraction")
        ),
    }
    assert dataset.checksum not in {Dataset.open(path).checksum for path in others.values()}


def test_a_negative_zero_makes_two_of_one_dos(tmp_path: Path):
    dos = tiny_sample(0).dos
    dataset = Dataset.open(write(tmp_path / "d", [tiny_sample(0), tiny_sample(1, dos=np.where(dos == 0, -0.0, dos))]))
    assert len(set(dataset.digests)) == 1


def test_a_filter_drops_without_counting(tmp_path: Path):
    big = tiny_sample(1).dos * -60
    samples = [
        tiny_sample(0),
        tiny_sample(1, dos=big),
        tiny_sample(2, energy=-5.1),
        tiny_sample(3, composition={"Al": 1.0, "La": 1.0}, chemsys="Al-La"),
        tiny_sample(4, composition={"Lr": 1.0}, chemsys="Lr", dos=big, energy=9.0),
        tiny_sample(5, energy=5.0),
    ]
    manifest = Dataset.open(write(tmp_path / "d", samples)).manifest
    assert manifest.n_given == 6
    assert manifest.n_samples == 2
    assert manifest.n_dropped == {"f_block": 2, "max_dos": 1, "max_abs_formation_energy": 1}
    assert manifest.dropped_ids == {
        "max_dos": ["sample-0001"],
        "max_abs_formation_energy": ["sample-0002"],
        "f_block": ["sample-0003", "sample-0004"],
    }
    assert manifest.filters == {"max_dos": 50.0, "max_abs_formation_energy": 5.0, "f_block": True}
    assert len(Dataset.open(write(tmp_path / "all", samples, filters=ALL))) == 6


def test_the_f_block_begins_or_ends_at_another_element():
    from esnet.dataset.sample import F_BLOCK

    assert [ELEMENTS.index(symbol) + 1 for symbol in ELEMENTS if symbol in F_BLOCK] == [*range(57, 72), *range(89, 104)]


def test_a_filter_without_a_limit_above_zero_is_taken():
    with pytest.raises(DatasetError, match=r"max_dos=0.*None to switch it off"):
        Filters(max_dos=0)


def test_energies_in_ev_for_a_cell_are_taken_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    # cells of 2 to 40 atoms with the energies of the Materials Project
    rng = np.random.default_rng(0)
    energies = rng.normal(-1.407, 1.101, 60)
    atoms = rng.integers(2, 40, 60)
    right = [tiny_sample(number, energy=energies[number]) for number in range(60)]
    wrong = [tiny_sample(number, energy=energies[number] * atoms[number]) for number in range(60)]
    assert Dataset.open(write(tmp_path / "right", right)).manifest.warnings == []
    with caplog.at_level(logging.WARNING):
        manifest = Dataset.open(write(tmp_path / "wrong", wrong)).manifest
    (warning,) = manifest.warnings
    assert "eV/atom is expected" in warning
    assert warning in caplog.text


@pytest.mark.parametrize(("n_far", "n_given", "warns"), [(0, 10, 0), (1, 1, 1), (1, 2, 0), (2, 100, 1), (60, 62842, 0)])
def test_one_outlier_makes_the_unit_doubtful(n_far: int, n_given: int, warns: int):
    assert len(suspicious_energies(n_far, n_given)) == warns


_REFUSED = {
    "nan in the dos": ({"dos": np.full(DOS_SHAPE, np.nan, dtype=np.float32)}, "not finite"),
    "another grid": ({"dos": np.zeros((2, 301, 9), dtype=np.float32)}, r"shape \(2, 301, 9\), must be \(2, 1500, 9\)"),
    "nan energy": ({"energy": np.nan}, "energy is nan"),
    "no energy": ({"energy": None}, "energy is None, must be a finite number"),
    "a prototype that is no text": ({"prototype": None}, "prototype is None, must be text"),
    "an amount that is text": ({"composition": {"Al": "1", "Cu": 3.0}}, "'1' of Al"),
    "infinite fermi level": ({"efermi": np.inf}, "efermi is inf"),
    "no such kind": ({"kind": "IS2RE"}, "must be one of is_dos, rs_dos"),
    "no element": ({"composition": {"Alu": 1.0}, "chemsys": "Alu"}, "'Alu', which is not an element"),
    "no composition": ({"composition": {}}, "composition is empty"),
    "negative amount": ({"composition": {"Al": -1.0, "Cu": 1.0}}, "-1.0 of Al"),
    "chemsys of another": ({"chemsys": "Cu-Al"}, "must be 'Al-Cu'"),
    "empty id": ({"id": ""}, "id is ''"),
    "empty material": ({"material": ""}, "material is ''"),
    "provenance that is not json": ({"provenance": {"path": Path("x")}}, "provenance is not made of JSON types"),
    "same id": ({"id": "sample-0000"}, "'sample-0000' is given twice"),
}


@pytest.mark.parametrize(("changes", "message"), _REFUSED.values(), ids=_REFUSED.keys())
def test_a_bad_sample_is_taken_or_spoils_those_before(tmp_path: Path, changes: dict, message: str):
    with DatasetWriter(tmp_path / "d", representation=Representation(), source={}) as writer:
        writer.add(tiny_sample(0))
        with pytest.raises(DatasetError, match=message):
            writer.add(tiny_sample(1, **changes))
        writer.add(tiny_sample(2))
    assert Dataset.open(tmp_path / "d").ids == ("sample-0000", "sample-0002")


def test_an_error_leaves_half_a_data_set(tmp_path: Path):
    def interrupted() -> Iterator[Sample]:
        yield tiny_sample(0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "d", interrupted())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [100, 3000, 20_000])
def test_a_full_disk_ends_the_process_or_leaves_half_a_data_set(tmp_path: Path, limit: int):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(DatasetError, match=r"\.h5 cannot be written: File too large"):
            write(tmp_path / "d", synthetic_samples(4))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_fermi_level_beside_the_axis_that_begins_there_is_taken(tmp_path: Path):
    relative = Representation(energy_reference="fermi")
    with pytest.raises(DatasetError, match=r"'sample-0000': efermi is 5\.5 eV, must be 0\.0 or None"):
        write(tmp_path / "d", [tiny_sample(0)], representation=relative)
    write(tmp_path / "d", [tiny_sample(0, efermi=0.0), tiny_sample(1, efermi=None)], representation=relative)


def test_an_empty_data_set_is_written(tmp_path: Path):
    with pytest.raises(DatasetError, match="no sample was given"):
        write(tmp_path / "d", [])
    with pytest.raises(DatasetError, match=r"left out all 2 samples \(max_abs_formation_energy: 2\).*may be in eV"):
        write(tmp_path / "d", [tiny_sample(0, energy=-11.0), tiny_sample(1, energy=-30.0)])
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_is_overwritten(tmp_path: Path):
    write(tmp_path / "d", [tiny_sample(0)])
    with pytest.raises(DatasetExistsError, match="never overwritten"):
        DatasetWriter(tmp_path / "d", representation=Representation(), source={})

    def another_meanwhile() -> Iterator[Sample]:
        yield tiny_sample(1)
        write(tmp_path / "e", [tiny_sample(2)])

    with pytest.raises(DatasetExistsError, match="never overwritten"):
        write(tmp_path / "e", another_meanwhile())
    assert Dataset.open(tmp_path / "e").ids == ("sample-0002",)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["d", "e"]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A data set to be spoilt."""
    return write(tmp_path / "d", [tiny_sample(number) for number in range(3)])


def _flip(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


def _spoil(folder: Path, how: str) -> None:
    shard, manifest = folder / "dos-00000.h5", folder / MANIFEST
    if how == "truncated":
        os.truncate(shard, shard.stat().st_size - 1)
    elif how == "altered":
        _flip(shard, shard.stat().st_size // 2)
    elif how == "altered columns":
        _flip(folder / "samples.h5", 3000)
    elif how == "missing":
        shard.unlink()
    elif how == "surplus":
        (folder / "dos-00001.h5").write_bytes(b"")
    elif how == "no manifest":
        manifest.unlink()
    elif how == "half a manifest":
        os.truncate(manifest, 100)
    else:
        said = json.loads(manifest.read_text())
        said["n_samples" if how == "altered manifest" else "format_version"] = 99
        manifest.write_text(json.dumps(said))


_SPOILT = {
    "truncated": "dos-00000.h5 was truncated",
    "altered": "dos-00000.h5 was altered: SHA-256",
    "altered columns": "samples.h5 was altered",
    "missing": "dos-00000.h5 is missing",
    "surplus": "dos-00001.h5",
    "no manifest": "has no manifest.json",
    "half a manifest": "manifest.json cannot be read as JSON",
    "altered manifest": "manifest.json was altered",
    "newer": "format version 99; this program reads 1",
}


@pytest.mark.parametrize(("how", "message"), _SPOILT.items())
def test_a_spoilt_data_set_is_opened(copy: Path, how: str, message: str):
    _spoil(copy, how)
    with pytest.raises(DatasetError, match=message):
        Dataset.open(copy)


def test_something_else_is_opened_as_a_data_set(tmp_path: Path):
    with pytest.raises(DatasetError, match="not a directory"):
        Dataset.open(tmp_path / "nothing")
    (tmp_path / MANIFEST).write_text('{"format": "esnet-bundle"}')
    with pytest.raises(DatasetError, match="not the manifest of an ESNet data set"):
        Dataset.open(tmp_path)


def test_damage_after_opening_gives_wrong_densities(tmp_path: Path):
    copy = write(tmp_path / "d", synthetic_samples(3, kinds=("rs_dos",)))
    with h5py.File(copy / "dos-00000.h5") as file:
        chunk = file["dos"].id.get_chunk_info(1)
    dataset = Dataset.open(copy)
    # not a single bit: among zeros that deflate repeats, one may change nothing
    with (copy / "dos-00000.h5").open("r+b") as file:
        file.seek(chunk.byte_offset + chunk.size // 4)
        file.write(bytes(64))
    dataset.read([0, 2])
    with pytest.raises(DatasetError, match=r"dos-00000.h5: sample 'synthetic-000001:rs_dos' cannot be read"):
        dataset.read([1])


@pytest.mark.parametrize("layout", [{"shuffle": True}, {"chunks": (1, 2, 750, 9)}, {"dtype": ">f4"}, None])
def test_densities_that_another_program_laid_out_are_misread(copy: Path, layout: dict | None):
    shard = copy / "dos-00000.h5"
    with h5py.File(shard, "r+") as file:
        dos = file["dos"][()]
        del file["dos"]
        if layout is not None:
            options = {"chunks": (1, *DOS_SHAPE), "compression": "gzip", "dtype": "<f4"} | layout
            file.create_dataset("dos", data=dos, **options)
    manifest = DatasetManifest.read(copy)
    replace(manifest, files=manifest.files | {shard.name: file_entry(shard)}).write(copy)
    with pytest.raises(DatasetError, match=r"dos-00000\.h5: 'dos' is .*must be float32 of shape \(n, 2, 1500, 9\)"):
        Dataset.open(copy).read([0])


def test_a_chunk_that_hdf5_did_not_deflate_cannot_be_read(tmp_path: Path):
    noise = np.random.default_rng(0).integers(0, 2**32, int(np.prod(DOS_SHAPE)), dtype=np.uint32)
    dos = np.nan_to_num(noise.view(np.float32)).reshape(DOS_SHAPE)
    dataset = Dataset.open(write(tmp_path / "d", [tiny_sample(0, dos=dos)], filters=ALL))
    np.testing.assert_array_equal(dataset.read([0])[0], dos)


_MEMORY = """
import resource, sys
from esnet.dataset.dataset import Dataset, DatasetWriter
from esnet.dataset.synthetic import synthetic_samples
from esnet.representation.features import Representation
from esnet.representation.scaling import ChannelScaler, TargetScaling
from esnet.dataset.pipeline import numpy_batches
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
def go(n, path):
    with DatasetWriter(path, representation=Representation(), source={}) as writer:
        for sample in synthetic_samples(n):
            writer.add(sample)
    dataset = Dataset.open(path)
    indices = dataset.indices()
    scaler = ChannelScaler.fit_batches(dataset.blocks(indices, size=32))
    scaling = TargetScaling.fit(dataset.energies)
    for _ in numpy_batches(dataset, indices, scaler=scaler, target_scaling=scaling, batch_size=16, seed=0):
        pass
    return len(indices)
go(100, sys.argv[1] + "/small")
before = peak()
n_samples = go(500, sys.argv[1] + "/large")
print(n_samples * 108, peak() - before)
"""


def test_memory_grows_with_the_data_set(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(tmp_path)], capture_output=True, text=True, check=True, timeout=300
    )
    data_kb, grown_kb = map(int, done.stdout.split())
    # 108 MB of densities; what grows is a few rows and the allocator's rounding
    assert grown_kb < data_kb / 4


def test_a_synthetic_material_depends_on_how_many_are_made():
    few, many = list(synthetic_samples(2, seed=4)), list(synthetic_samples(3, seed=4))
    for one, other in zip(few, many, strict=False):
        np.testing.assert_array_equal(one.dos, other.dos)
        assert replace(one, dos=other.dos) == other

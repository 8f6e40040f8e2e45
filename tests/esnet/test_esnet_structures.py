"""Crystals of a data set: they come back as they went in, belong to its identity, and are refused where they lie."""

import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Species, Structure
from small_dataset import synthetic, tiny_sample, write

from esnet.dataset.dataset import Dataset, DatasetError, Sample
from esnet.dataset.format import MANIFEST, SHARD_SIZE, DatasetManifest
from esnet.dataset.summary import dataset_summary, summary_rows
from esnet.dataset.synthetic import synthetic_samples
from esnet.files.atomic import file_entry

OLD = Path(__file__).parents[1] / "old_formats" / "dataset"
CELL = Structure(Lattice.cubic(3.7), ["Al", "Cu", "Cu", "Cu"], [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])

numbers = st.floats(-1e3, 1e3, allow_nan=False)
lattices = (
    st.lists(numbers, min_size=9, max_size=9)
    .map(lambda values: np.array(values).reshape(3, 3))
    .filter(lambda matrix: abs(np.linalg.det(matrix)) > 1e-6)
)


@st.composite
def crystals(draw: st.DrawFn) -> Structure | None:
    """A cell of AlCu3, its sites anywhere; or none."""
    if draw(st.booleans()):
        return None
    symbols = draw(st.permutations(["Al", "Cu", "Cu", "Cu"] * draw(st.integers(1, 3))))
    coords = draw(st.lists(st.tuples(numbers, numbers, numbers), min_size=len(symbols), max_size=len(symbols)))
    return Structure(Lattice(draw(lattices)), symbols, coords)


def exact(structure: Structure | None) -> Any:
    """All that is kept of a crystal, to the last digit."""
    if structure is None:
        return None
    symbols = [site.specie.symbol for site in structure]
    return symbols, structure.lattice.matrix.tolist(), structure.frac_coords.tolist()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_crystal_comes_back_otherwise_than_it_went_in(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject):
    pool = [None, *data.draw(st.lists(crystals(), min_size=1, max_size=4))]
    pairs = data.draw(st.lists(st.tuples(*[st.sampled_from(pool)] * 2), min_size=1, max_size=6))
    samples = [
        tiny_sample(number, initial_structure=initial, relaxed_structure=relaxed)
        for number, (initial, relaxed) in enumerate(pairs)
    ]
    dataset = Dataset.open(write(tmp_path_factory.mktemp("crystals") / "d", samples))
    places = data.draw(st.lists(st.integers(0, len(pairs) - 1), max_size=8))
    for which, column in (("initial", 0), ("relaxed", 1)):
        found = dataset.structures(np.array(places, dtype=int), which)
        assert [exact(crystal) for crystal in found] == [exact(pairs[place][column]) for place in places]
        assert dataset.manifest.structures[which] == sum(pair[column] is not None for pair in pairs)


def test_samples_of_several_files_get_each_others_crystals(tmp_path: Path):
    def samples() -> Iterator[Sample]:
        for number in range(SHARD_SIZE + 5):
            crystal = None if number % 7 == 0 else Structure(Lattice.cubic(3 + number / 1e4), ["Cu"], [[0, 0, 0]])
            yield tiny_sample(
                number, composition={"Cu": 2.0}, chemsys="Cu", relaxed_structure=crystal, energy=6.0 * (number % 5 == 0)
            )

    dataset = Dataset.open(write(tmp_path / "d", samples()))  # a filter leaves out every fifth
    kept = [int(name.removeprefix("sample-")) for name in dataset.ids]
    assert len(kept) < SHARD_SIZE + 5
    found = dataset.structures(dataset.indices(), "relaxed")
    assert [crystal and round(1e4 * (crystal.lattice.a - 3)) for crystal in found] == [
        number if number % 7 else None for number in kept
    ]


def test_two_crystals_that_are_given_out_are_one_object(tmp_path: Path):
    dataset = Dataset.open(write(tmp_path / "d", [tiny_sample(0, relaxed_structure=CELL)]))
    first, second = dataset.structures([0, 0], "relaxed")
    assert first == second
    first.scale_lattice(1000)
    assert first != second


def test_crystals_that_samples_share_are_kept_twice(tmp_path: Path):
    path = write(tmp_path / "d", synthetic_samples(5))
    with h5py.File(path / "structures.h5") as file:
        assert len(file["initial"]) == 10
        assert len(file["n_sites"]) == 10  # five materials, two crystals each


def test_what_no_model_reads_of_a_crystal_is_kept(tmp_path: Path):
    charged = CELL.copy(site_properties={"magmom": [0.0, 1.0, 1.0, 1.0]})
    charged.replace(0, Species("Al", 3))
    dataset = Dataset.open(write(tmp_path / "d", [tiny_sample(0, initial_structure=charged)]))
    (found,) = dataset.structures([0], "initial")
    assert found.site_properties == {}
    assert exact(found) == exact(CELL)


NOT_FINITE = Structure(
    Lattice.cubic(3.0), ["Al", "Cu", "Cu", "Cu"], [[0, 0, 0], [np.nan, 0, 0], [0.5, 0, 0], [0, 0, 1]]
)
REFUSED = {
    "other proportions": (Structure(Lattice.cubic(3), ["Al", "Cu"], [[0, 0, 0], [0.5] * 3]), "is Al1Cu1, .* Al1Cu3"),
    "other elements": (CELL.copy().replace_species({"Cu": "Ag"}), "is Ag3Al1, .* Al1Cu3"),
    "a coordinate that is no number": (NOT_FINITE, "1 numbers of its coordinates are not finite"),
    "an infinite lattice": (
        Structure(Lattice([[np.inf, 0, 0], [0, 3, 0], [0, 0, 3]]), ["Al"], [[0, 0, 0]]),
        "1 numbers of its lattice are not finite",
    ),
    "a flat cell": (Structure(Lattice([[3, 0, 0], [3, 0, 0], [0, 0, 3]]), ["Al"], [[0, 0, 0]]), "span no volume"),
    "disorder": (Structure(Lattice.cubic(3), [{"Al": 0.25, "Cu": 0.75}], [[0, 0, 0]]), "is disordered"),
    "no sites": (Structure(Lattice.cubic(3), [], []), "has no sites"),
    "a dictionary": (CELL.as_dict(), "dict is given, must be a pymatgen Structure"),
}


@pytest.mark.parametrize("which", ["initial", "relaxed"])
@pytest.mark.parametrize("case", REFUSED)
def test_a_crystal_of_something_else_is_taken(tmp_path: Path, case: str, which: str):
    crystal, message = REFUSED[case]
    with pytest.raises(DatasetError, match=f"sample 'sample-0003': {which}_structure .*{message}"):
        write(tmp_path / "d", [tiny_sample(3, **{f"{which}_structure": crystal})])


def test_a_formula_and_a_cell_of_it_contradict_each_other(tmp_path: Path):
    write(tmp_path / "d", [tiny_sample(0, relaxed_structure=CELL * (2, 1, 1), composition={"Al": 0.25, "Cu": 0.75})])


def test_the_checksum_does_not_know_the_crystals(tmp_path: Path):
    moved = CELL.copy()
    moved.translate_sites([0], [1e-9, 0, 0])
    cases = [
        {},
        *({f"{which}_structure": crystal} for which in ("initial", "relaxed") for crystal in (CELL, moved)),
        {"initial_structure": CELL, "relaxed_structure": CELL},
    ]
    paths = [write(tmp_path / str(n), [tiny_sample(0, **case)]) for n, case in enumerate(cases)]
    assert len({Dataset.open(path).checksum for path in paths}) == len(cases)
    again = write(tmp_path / "again", [tiny_sample(0, initial_structure=CELL.copy())])
    assert Dataset.open(again).checksum == Dataset.open(paths[1]).checksum
    # copies of one DOS are known by the densities alone
    assert len({Dataset.open(path).digests for path in paths}) == 1


def old_samples(dataset: Dataset) -> Iterator[Sample]:
    for place, name in enumerate(dataset.ids):
        yield Sample(
            id=name,
            material=dataset.materials[place],
            kind=dataset.kinds[place],
            dos=dataset.read([place])[0],
            composition=dataset.amounts(place),
            energy=float(dataset.energies[place]),
            efermi=float(dataset.efermi[place]),
            spacing=float(dataset.spacing[place]),
            chemsys=dataset.chemsys[place],
            prototype=dataset.prototypes[place],
            provenance=dataset.provenance([place])[0],
        )


def test_a_data_set_of_format_1_cannot_be_read_or_is_another_one_without_crystals(tmp_path: Path):
    assert json.loads((OLD / MANIFEST).read_text())["format_version"] == 1
    old = Dataset.open(OLD)
    assert old.structures(old.indices(), "initial") == [None] * len(old)
    assert old.structures([1], "relaxed") == [None]
    assert dict(summary_rows(dataset_summary(old)))["crystals"].startswith("none")
    again = Dataset.open(write(tmp_path / "again", old_samples(old), representation=old.representation))
    assert json.loads((again.path / MANIFEST).read_text())["format_version"] == 2
    assert not (again.path / "structures.h5").exists()
    assert again.checksum == old.checksum
    assert again.structures([0], "initial") == [None]


def test_the_summary_hides_how_many_have_crystals(tmp_path: Path):
    samples = [
        tiny_sample(0, initial_structure=CELL, relaxed_structure=CELL),
        tiny_sample(1, relaxed_structure=CELL),
        tiny_sample(2),
    ]
    summary = dataset_summary(Dataset.open(write(tmp_path / "d", samples)))
    assert summary["structures"] == {"initial": 1, "relaxed": 2}
    assert dict(summary_rows(summary))["crystals"] == "1 initial and 2 relaxed ones for 3 samples"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return write(tmp_path / "d", [tiny_sample(n, relaxed_structure=CELL) for n in range(3)])


def test_an_altered_or_missing_crystal_is_used(copy: Path):
    file = copy / "structures.h5"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DatasetError, match=r"structures\.h5 was altered"):
        Dataset.open(copy)
    file.unlink()
    with pytest.raises(DatasetError, match=r"structures\.h5 is missing"):
        Dataset.open(copy)


def stated_anew(folder: Path, file: Path) -> None:
    """Let the manifest say what a file is now, as whoever makes a data set to do harm would."""
    manifest = DatasetManifest.read(folder)
    replace(manifest, files=manifest.files | {file.name: file_entry(file)}).write(folder)


SPOILT = {
    "a crystal that is not there": ("relaxed", [0, 1, 0], "columns contradict each other .*relaxed"),
    "a crystal before the first": ("relaxed", [0, -2, 0], "columns contradict each other"),
    "too few samples": ("relaxed", [0, 0], "columns contradict each other .*relaxed: 2"),
    "too few sites": ("element", [12, 28, 28], "columns contradict each other .*element: 3"),
    "no such element": ("element", [12, 28, 28, 200], "crystal 0 has 200"),
    "no lattice": ("lattice", None, "lacks a column"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_columns_that_another_program_wrote_wrong_give_some_crystal(copy: Path, case: str):
    column, values, message = SPOILT[case]
    with h5py.File(copy / "structures.h5", "r+") as file:
        dtype = file[column].dtype
        del file[column]
        if values is not None:
            file[column] = np.array(values, dtype=dtype)
    stated_anew(copy, copy / "structures.h5")
    with pytest.raises(DatasetError, match=rf"structures\.h5.*{message}"):
        Dataset.open(copy).structures([0, 1], "relaxed")


def never_written(file: Path, column: str, row: tuple[int, ...], n_rows: int) -> None:
    """Let a column state rows that take no room in its file."""
    with h5py.File(file, "r+") as content:
        dtype = content[column].dtype
        del content[column]
        limits = {"shape": (n_rows, *row), "maxshape": (None, *row), "chunks": (4096, *row)}
        content.create_dataset(column, **limits, dtype=dtype, compression="gzip")


HUGE = {
    "initial": (),
    "relaxed": (),
    "n_sites": (),
    "lattice": (3, 3),
    "element": (),
    "coords": (3,),
    "digest": (32,),
    "id": (),
    "energy": (),
    "amount": (),
}


@pytest.mark.parametrize("column", HUGE)
def test_rows_that_a_file_does_not_hold_are_read_into_the_memory(copy: Path, column: str):
    file = copy / ("samples.h5" if column in ("digest", "id", "energy", "amount") else "structures.h5")
    never_written(file, column, HUGE[column], 10**12)
    stated_anew(copy, file)
    with pytest.raises(DatasetError, match=rf"{file.name}.*{column}: {10**12} rows, must be"):
        Dataset.open(copy).structures([0, 1], "relaxed")


def test_rows_of_the_right_number_that_a_file_does_not_hold_are_read(copy: Path):
    never_written(copy / "structures.h5", "relaxed", (), 3)
    stated_anew(copy, copy / "structures.h5")
    with pytest.raises(DatasetError, match="relaxed: states more rows than the file holds"):
        Dataset.open(copy).structures([0], "relaxed")


@pytest.mark.parametrize(("column", "row"), [("lattice", (4, 3)), ("coords", (2,)), ("n_sites", (1,))])
def test_rows_of_another_shape_are_read(copy: Path, column: str, row: tuple[int, ...]):
    with h5py.File(copy / "structures.h5", "r+") as file:
        values = np.ones((len(file[column]), *row), dtype=file[column].dtype)
        del file[column]
        file[column] = values
    stated_anew(copy, copy / "structures.h5")
    with pytest.raises(DatasetError, match=rf"{column}: has the shape .*, must be \(rows"):
        Dataset.open(copy).structures([0], "relaxed")


@pytest.mark.parametrize(
    ("column", "values"), [("kind", [7, 0, 0]), ("element", [12, 200] * 3), ("n_elements", [9] * 3)]
)
def test_columns_that_name_what_is_not_there_end_in_a_traceback(copy: Path, column: str, values: list[int]):
    with h5py.File(copy / "samples.h5", "r+") as file:
        file[column][...] = values
    stated_anew(copy, copy / "samples.h5")
    with pytest.raises(DatasetError, match=r"samples\.h5.*must be"):
        Dataset.open(copy)


def test_densities_that_deflate_made_small_fill_the_memory(copy: Path):
    shard = copy / "dos-00000.h5"
    with h5py.File(shard, "r+") as file:
        file["dos"].id.write_direct_chunk((1, 0, 0, 0), zlib.compress(bytes(200_000_000)))
    stated_anew(copy, shard)
    dataset = Dataset.open(copy)
    assert dataset.read([0]).shape[0] == 1
    with pytest.raises(DatasetError, match=r"dos-00000\.h5: sample 'sample-0001' cannot be read: its chunk has"):
        dataset.read([1])


def test_a_crystal_or_a_place_that_does_not_exist_gives_another(copy: Path):
    dataset = Dataset.open(copy)
    with pytest.raises(DatasetError, match="which='final': must be one of initial, relaxed"):
        dataset.structures([0], "final")  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="indices run from 3 to 3"):
        dataset.structures([3], "relaxed")
    assert dataset.structures([], "relaxed") == []
    assert dataset.structures([2, 0], "initial") == [None, None]


def test_synthetic_crystals_say_nothing_of_the_energy(tmp_path: Path):
    dataset = synthetic(tmp_path / "d", 60)
    found = dataset.structures(dataset.indices(), "relaxed")
    for place, crystal in enumerate(found):
        amounts = dataset.amounts(place)
        assert crystal.composition.get_el_amt_dict() == amounts
        assert crystal.is_valid(tol=1.0)
    rows = dataset.indices(kind="rs_dos")
    volumes = {
        which: np.array([crystal.volume / len(crystal) for crystal in dataset.structures(rows, which)])
        for which in ("initial", "relaxed")
    }
    fits = {which: np.corrcoef(volume**-5, dataset.energies[rows])[0, 1] for which, volume in volumes.items()}
    assert fits["relaxed"] < fits["initial"] < -0.3

"""`make leaderboard` on a small set: resumable, checksummed, and honest about what it lacks; and the set that ships."""

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.leaderboard.__main__ import main
from benchmarks.leaderboard.altered import AlteredDataset
from benchmarks.leaderboard.numbers import interval, measured, moved
from benchmarks.leaderboard.page import _errors, _verdicts
from benchmarks.leaderboard.splits import FILE, read_splits, split_of, write_splits
from benchmarks.leaderboard.trainings import Training, train_one
from benchmarks.open_set.packing import pack, rounded, sample_at
from esnet.dataset.dataset import Dataset, DatasetError, DatasetWriter
from esnet.dataset.synthetic import synthetic_samples
from esnet.representation.features import Representation
from esnet.residual.single_point import SINGLE_POINT_ENERGY

ROOT = Path(__file__).resolve().parents[2]
OPEN_SET = ROOT / "benchmarks" / "data" / "open_set"


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("leaderboard") / "set"
    with DatasetWriter(folder, representation=Representation(), source={"corrections": "none"}) as writer:
        for sample in synthetic_samples(40):
            writer.add(sample)
    write_splits(Dataset.open(folder), folder / FILE)
    return folder


def run(small: Path, folder: Path, *words: str) -> dict:
    main(["--dataset", str(small), "--out", str(folder / "out"), "--work", str(folder / "work"), "--quick", *words])
    return json.loads((folder / "out" / "leaderboard.json").read_text())


def test_a_run_writes_numbers_page_and_figures_and_goes_on_after_a_kill(small, tmp_path, capsys):
    words = ("--models", "rf", "--potentials", "none", "--seeds", "1")
    first = run(small, tmp_path, *words)
    page = (tmp_path / "out" / "leaderboard.md").read_text()
    assert "40 compounds" in page
    assert "too few to rank" in page
    assert "Not in this run:" in page
    assert "ESNet" in page
    assert first["missing"] == 0
    assert {row["title"]: row["model"] for row in first["costs"]}["RF"] > 0
    rows = {row["name"]: row for row in first["table"]["random"]}
    assert rows["rf"]["IS2RE"]["n_test"] == [8]
    assert rows["rf"]["IS2RE"]["mae"]["half_width"] is None
    assert rows["rf"]["IS2RE_trained_on_IS"]["mae"]["mean"] > 0
    assert {row["element"] for row in first["elements_left_out"]} >= {"Al", "Au"}
    assert all((tmp_path / "out" / "images" / f"leaderboard-{name}.png").is_file() for name in ("errors", "similarity"))
    # one result is lost, one was cut off, one was altered: these are trained again, and nothing else
    results = sorted((tmp_path / "work" / "results").glob("*.json"))
    results[0].unlink()
    results[1].write_text(results[1].read_text()[:-5])
    results[2].write_text(results[2].read_text().replace("0.", "1.", 1))
    capsys.readouterr()
    again = run(small, tmp_path, *words)
    assert f"{len(results) - 3} of {len(results)} trainings are there" in capsys.readouterr().err
    assert again["table"] == first["table"]
    other = run(small, tmp_path, *words, "--minutes", "0")
    assert other["missing"] == 0
    fewer = run(small, tmp_path, "--models", "krr", "--potentials", "none", "--seeds", "1", "--minutes", "0")
    assert fewer["missing"] > 0
    assert "were not done when time was up" in (tmp_path / "out" / "leaderboard.md").read_text()


def test_a_split_divides_no_system_and_leaves_an_element_out(small):
    data = Dataset.open(small)
    splits = read_splits(data, small / FILE)
    for seed in range(1, 6):
        split = split_of(data, f"chemsys-{seed}", splits[f"chemsys-{seed}"])
        parts = [{data.chemsys[place] for place in part} for part in (split.train, split.validation, split.test)]
        assert all(parts)
        assert not parts[0] & parts[1]
        assert not (parts[0] | parts[1]) & parts[2]
    split = split_of(data, "element-Al", splits["element-Al"])
    assert {place for place in range(len(data)) if "Al" in data.chemsys[place].split("-")} == set(split.test.tolist())
    fewer = split_of(data, "random-1", splits["random-1"], n_train=5)
    whole = split_of(data, "random-1", splits["random-1"])
    assert len({data.materials[place] for place in fewer.train}) == 5
    assert set(fewer.train) < set(whole.train)
    np.testing.assert_array_equal(fewer.test, whole.test)


def test_splits_that_were_altered_or_belong_to_another_set_are_refused(small, tmp_path):
    data, text = Dataset.open(small), (small / FILE).read_text()
    (tmp_path / FILE).write_text(text.replace("v", "t", 1))
    with pytest.raises(DatasetError, match="was altered"):
        read_splits(data, tmp_path / FILE)
    with pytest.raises(DatasetError, match="is of the data set"):
        read_splits(AlteredDataset(data, inputs="dos"), small / FILE)


def test_what_is_taken_away_is_not_seen_and_residuals_come_back(small):
    data = Dataset.open(small)
    seen = AlteredDataset(data, inputs="dos", energies=data.energies - 1.0)
    assert not seen.compositions.any()
    np.testing.assert_array_equal(seen.read([0]), data.read([0]))
    assert not AlteredDataset(data, inputs="composition").read([0]).any()
    assert seen.checksum != data.checksum
    letters = read_splits(data, small / FILE)["random-1"]
    training = Training(model="mean", kinds="is_dos", split="random-1", seed=1, residual_of="CHGNet")
    base: dict[str, float | None] = dict(zip(data.materials, data.energies.tolist(), strict=True))
    unknown = data.materials[int(split_of(data, "random-1", letters).test[0])]
    found = train_one(data, letters, training, base=base | {unknown: None}, settings={"quick": True}, tell=print)
    truth = dict(zip(data.ids, data.energies.tolist(), strict=True))
    # a potential that is right has the residual 0, and what it cannot say is not predicted
    assert found["predictions"]
    assert not any(name.startswith(unknown) for name in found["predictions"])
    assert all(value == pytest.approx(truth[name], abs=1e-6) for name, value in found["predictions"].items())


def test_energies_of_the_is_dos_are_a_row_and_models_learn_what_they_lack(tmp_path):
    with DatasetWriter(tmp_path / "set", representation=Representation(), source={"corrections": "none"}) as writer:
        for sample in synthetic_samples(40):
            # an unrelaxed crystal lies above the relaxed one, here always by as much
            energy = {SINGLE_POINT_ENERGY: sample.energy + 0.1} if sample.kind == "is_dos" else {}
            writer.add(replace(sample, provenance={**sample.provenance, "cpu_s": 10.0, **energy}))
    write_splits(Dataset.open(tmp_path / "set"), tmp_path / "set" / FILE)
    found = run(tmp_path / "set", tmp_path, "--models", "mean", "--potentials", "single point", "--seeds", "2")
    row = next(row for row in found["table"]["chemsys"] if row["name"] == "single point")
    assert row["IS2RE"]["mae"]["mean"] == pytest.approx(0.1)
    assert row["IS2RE"]["spearman"]["mean"] == pytest.approx(1.0)
    cost = next(row for row in found["costs"] if row["title"] == "single point")
    assert cost["total"] == pytest.approx(10.0 + cost["model"])
    for learnt in found["residual"]:
        assert learnt["base"] == "single point"
        assert learnt["models"]["alone"]["mae"]["mean"] == pytest.approx(0.1)
        assert learnt["models"]["mean of the training part"]["mae"]["mean"] == pytest.approx(0.0, abs=1e-6)
    assert "| single point | by chemical system | 0.100 ± 0.000 | " in (tmp_path / "out" / "leaderboard.md").read_text()


@pytest.mark.keras
def test_a_potential_is_asked_once_and_only_for_initial_crystals(tmp_path):
    with DatasetWriter(tmp_path / "set", representation=Representation(), source={"corrections": "none"}) as writer:
        for sample in synthetic_samples(150):
            if sample.chemsys in ("Al-Cu", "Ag-Au", "Ni-Pt", "Cu-Pd", "Al-Ni", "Pd-Pt"):
                writer.add(sample)
    data = Dataset.open(tmp_path / "set")
    write_splits(data, tmp_path / "set" / FILE)
    words = ("--models", "mean", "--potentials", "EMT", "--seeds", "2")
    found = run(tmp_path / "set", tmp_path, *words)
    row = next(row for row in found["table"]["chemsys"] if row["name"] == "EMT")
    assert row["RS2RE"] is None
    assert row["IS2RE"]["mae"]["seeds"] == 2
    kept = tmp_path / "work" / "potentials" / "EMT.jsonl"
    lines = kept.read_text().splitlines()
    assert len(lines) == len(set(data.materials))
    kept.write_text("\n".join([*lines[:-1], lines[-1][:30]]) + "\n")
    again = run(tmp_path / "set", tmp_path, *words)
    assert len(kept.read_text().splitlines()) == len(lines) + 1
    assert again["table"] == found["table"]


def test_measures():
    truth, said = np.array([-0.5, -0.1, 0.2, 0.3]), np.array([-0.4, 0.0, -0.3, 0.3])
    found = measured(truth, said)
    assert found["mae"] == pytest.approx(0.175)
    assert (found["precision"], found["recall"], found["f1"], found["daf"]) == (0.5, 0.5, 0.5, 1.0)
    assert measured(truth, np.full(4, 1.0))["precision"] is None
    both = interval([1.0, 3.0])
    assert both is not None
    assert both["mean"] == 2.0
    assert both["half_width"] == pytest.approx(12.706, abs=1e-3)
    assert interval([None]) is None


def test_a_crystal_that_is_turned_has_not_moved(small, tmp_path):
    data = Dataset.open(small)
    sample = sample_at(data, 0)
    assert sample.initial_structure is not None
    turned = sample.initial_structure.copy()
    turned.lattice = type(turned.lattice).from_parameters(*turned.lattice.parameters)
    wider = sample.initial_structure.copy().scale_lattice(sample.initial_structure.volume * 1.1**3)
    with DatasetWriter(tmp_path / "two", representation=Representation(), source={}) as writer:
        writer.add(replace(sample, id="a", material="a", relaxed_structure=turned))
        writer.add(replace(sample, id="b", material="b", relaxed_structure=wider))
    found = moved(Dataset.open(tmp_path / "two"))
    assert found["a"] == pytest.approx(0.0, abs=1e-6)
    assert found["b"] == pytest.approx(np.sqrt(3) * (1.1**2 - 1) / 2)


def campaign_like(folder: Path, *, name: str, settings: str, prototype: str) -> Dataset:
    """A data set as `campaign dataset` writes it: two compounds, and the elements as references."""
    source = {"kind": "campaign", "campaign": name, "corrections": "none", "settings_hash": settings}
    with DatasetWriter(folder, representation=Representation(), source=source) as writer:
        for number, sample in enumerate(synthetic_samples(2)):
            told = {"role": "training", "features": f"{name}/{number}:{sample.kind}"}
            writer.add(replace(sample, material=f"{name}/{sample.material}", id=f"{name}/{number}:{sample.kind}",
                               prototype=prototype, provenance=told))  # fmt: skip
        (sample,) = list(synthetic_samples(1, kinds=("rs_dos",)))
        writer.add(replace(sample, material=f"{name}/reference/Al", id=f"{name}/Al", composition={"Al": 1.0},
                           chemsys="Al", energy=0.0, initial_structure=None, relaxed_structure=None,
                           provenance={"role": "reference"}))  # fmt: skip
    return Dataset.open(folder)


def test_campaigns_become_one_set_with_each_element_once(tmp_path):
    parts = [
        campaign_like(tmp_path / name, name=name, settings="s", prototype=prototype)
        for name, prototype in (("one", "B1"), ("two", "B2"))
    ]
    packed = pack(parts, tmp_path / "packed", failures={"two": {"relax: Unconverged": 1}})
    assert Counter(name.split("-")[0] for name in set(packed.materials)) == {"B1": 2, "B2": 2, "element": 1}
    assert packed.manifest.source["failures"] == {"two": {"relax: Unconverged": 1}}
    place = packed.ids.index(next(name for name in packed.ids if name.startswith("B1") and name.endswith("is_dos")))
    kept, given = packed.read([place])[0], parts[0].read([parts[0].kinds.index("is_dos")])[0]
    np.testing.assert_allclose(kept, given, rtol=2**-11, atol=1e-7)
    np.testing.assert_array_equal(kept, rounded(kept))
    # a set grows: what it has stays as it is, what is new is added, and failures are not forgotten
    third = campaign_like(tmp_path / "three", name="three", settings="s", prototype="B3")
    grown = pack([packed, parts[0], third], tmp_path / "grown")
    assert Counter(name.split("-")[0] for name in set(grown.materials)) == {"B1": 2, "B2": 2, "B3": 2, "element": 1}
    assert grown.manifest.source["failures"] == packed.manifest.source["failures"]
    np.testing.assert_array_equal(grown.read([grown.ids.index(packed.ids[place])])[0], kept)
    other = campaign_like(tmp_path / "other", name="other", settings="t", prototype="B3")
    with pytest.raises(DatasetError, match="campaign other has settings_hash 't', campaign one 's'"):
        pack([parts[0], other], tmp_path / "both")


def row(name: str, *maes: float | None) -> dict:
    there = [mae for mae in maes if mae is not None]
    mean = {"mean": sum(there) / len(there), "half_width": None, "seeds": len(there)}
    task = {"mae": mean, "rmse": mean, "mae_by_seed": list(maes)}
    return {"name": name, "title": name, "RS2RE": None, "IS2RE": task, "IS2RE_trained_on_IS": None}


def test_models_are_compared_on_the_splits_that_both_have():
    # the first split is the hard one, and the only one that ESNet has
    rows = [row("esnet", 0.4, None), row("krr", 0.5, 0.1), row("svr", 0.3, 0.2)]
    said = _verdicts({"seeds": 2, "table": {"random": rows, "chemsys": []}})
    assert said == (
        "* Random: ESNet (trained on RS) is 2 of 3 by MAE of IS2RE on 1 split of 2 (0.400 eV/atom); lower: svr 0.300."
    )
    assert "| esnet (1 seed) | " in _errors(rows, 2)
    assert "| krr | " in _errors(rows, 2)


def test_densities_that_float16_cannot_hold_stay():
    assert rounded(np.array([1e6, 0.1], dtype=np.float32)).tolist() == [1e6, np.float16(0.1)]


def test_the_open_set_is_whole_small_and_has_its_splits(tmp_path):
    data = Dataset.open(OPEN_SET)
    assert sum(entry["bytes"] for entry in data.manifest.files.values()) < 40e6
    assert data.checksum in (ROOT / "docs" / "reference" / "dataset.md").read_text()
    splits = read_splits(data, OPEN_SET / FILE)
    elements = {name for name in data.materials if name.startswith("element-")}
    for name, letters in splits.items():
        tested = {data.materials[place] for place in split_of(data, name, letters).test}
        assert tested
        assert not tested & elements
    densities = data.read(range(0, len(data), 7))
    np.testing.assert_array_equal(densities, rounded(densities))
    assert all(row["cpu_s"] > 0 for row in data.provenance(data.indices(kind="is_dos")))
    copy = tmp_path / "copy"
    shutil.copytree(OPEN_SET, copy)
    file = copy / "dos-00000.h5"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DatasetError, match=r"dos-00000\.h5 was altered"):
        Dataset.open(copy)

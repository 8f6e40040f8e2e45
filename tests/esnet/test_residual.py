"""`esnet train --residual-of`: energies, their file and the comparison; and one training with a real potential."""

import csv
import itertools
import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from emt_alloys import emt_alloys
from pymatgen.core import Lattice, Structure
from small_dataset import tiny_sample, write
from typer.testing import CliRunner
from vasp_files import FakeRun, write_vasprun

import esnet
from campaign.cli.app import app as campaign
from esnet.bundle.files import BundleError
from esnet.bundle.info import BundleInfo
from esnet.bundle.record import SINGLE_POINT
from esnet.bundle.shipped import bundle_folder
from esnet.cli.app import app
from esnet.dataset.dataset import Dataset
from esnet.dataset.splits import split_dataset
from esnet.evaluation.run import evaluate
from esnet.residual.potential import PotentialError, ResidualPotential
from esnet.residual.residuals import residual_dataset
from esnet.residual.single_point import SINGLE_POINT_ENERGY, single_point_residuals
from esnet.training.residual_comparison import BY_ELEMENT, RAW, SHIFTED, WITH_ESNET, compare, verdict

ROOT = Path(__file__).resolve().parents[2]
OPEN_SET = ROOT / "benchmarks" / "data" / "open_set"
FCC = [[0, 2, 2], [2, 0, 2], [2, 2, 0]]
EMT = ResidualPotential.named("EMT")
MATERIALS = [f"material-{number}" for number in range(40)]


def b2(first: str, second: str, edge: float = 3.2) -> Structure:
    return Structure(Lattice.cubic(edge), [first, second], [[0, 0, 0], [0.5, 0.5, 0.5]])


def dataset(folder: Path, *crystals: Structure | None) -> Dataset:
    samples = [
        tiny_sample(
            number,
            kind="is_dos",
            composition={"Al": 1.0, "Cu": 1.0} if crystal is None else crystal.composition.as_dict(),
            chemsys="Al-Cu" if crystal is None else crystal.chemical_system,
            initial_structure=crystal,
        )
        for number, crystal in enumerate(crystals)
    ]
    return Dataset.open(write(folder / "alloys", samples))


def test_a_residual_is_the_energy_minus_the_potentials_by_its_own_elements(tmp_path):
    own = Structure(Lattice(np.array(FCC) * 1.02), ["Cu"], [[0, 0, 0]])
    data = dataset(tmp_path, b2("Al", "Cu"), own, None, b2("Al", "Ti"))
    found = residual_dataset(data, EMT)
    expected = (
        EMT.energy(b2("Al", "Cu"))
        - (EMT.energy(Structure(Lattice(np.array(FCC) * 4.05 / 4), ["Al"], [[0, 0, 0]])) + EMT.energy(own)) / 2
    )
    assert found.potential[:2] == pytest.approx([expected, 0.0], abs=1e-3)
    assert found.dataset.energies[:2] == pytest.approx(data.energies[:2] - found.potential[:2])
    assert np.isnan(found.dataset.energies[2:]).all()
    assert sum(found.reasons.values()) == 2
    assert any("has no crystal of it" in why for why in found.reasons)
    assert any("EMT does not describe Ti" in why for why in found.reasons)
    about = found.dataset.manifest.source["residual_of"]
    assert (about["potential"], about["corrections"], sorted(about["elements"])) == ("EMT", "none", ["Al", "Cu"])
    assert about["versions"]["ase"]
    split = split_dataset(found.dataset, validation_fraction=0.0, test_fraction=0.0)
    assert sorted(split.train) == [0, 1]
    assert found.dataset.checksum != data.checksum


def test_elements_of_a_bundle_make_the_residuals_of_its_training_again_and_of_nothing_else(tmp_path):
    data = dataset(tmp_path, b2("Al", "Cu"), b2("Al", "Pd"))
    first = residual_dataset(data, EMT)
    about = json.loads(json.dumps(first.dataset.manifest.source["residual_of"]))
    later = {**about, "versions": {**about["versions"], "torch": "2.0.0"}, "comparison": {}}
    assert residual_dataset(data, EMT, trained=about).dataset.checksum == first.dataset.checksum
    assert residual_dataset(data, EMT, trained=later).potential.tolist() == first.potential.tolist()
    other = {**about, "elements": {"Al": about["elements"]["Al"] + 0.2, "Cu": about["elements"]["Cu"]}}
    found = residual_dataset(data, EMT, trained=other)
    assert found.potential == pytest.approx([first.potential[0] - 0.1, np.nan], nan_ok=True)
    assert found.reasons == {"the bundle has no energy of Pd by the potential": 1}


def test_relaxed_crystals_are_kept_and_what_was_altered_is_refused(tmp_path, monkeypatch):
    data = dataset(tmp_path, b2("Al", "Cu"))
    first = residual_dataset(data, EMT)
    file = tmp_path / "alloys.EMT.jsonl"
    with file.open("a") as cut:
        cut.write('{"crystal": "killed he')  # a kill leaves half a line
    with monkeypatch.context() as patch:
        patch.setattr(ResidualPotential, "energy", lambda *_: pytest.fail("was relaxed again"))
        again = residual_dataset(data, EMT)
    assert again.potential.tolist() == first.potential.tolist()
    assert again.dataset.checksum == first.dataset.checksum
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], lines[1].replace('"energy": ', '"energy": 1'), *lines[2:]]) + "\n")
    with pytest.raises(PotentialError, match="line 2: was altered"):
        residual_dataset(data, EMT)
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(PotentialError, match=r"CHGNet.*another file"):
        residual_dataset(data, ResidualPotential.named("CHGNet"), file=file)


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("CHGNet", ("CHGNet", "0.3.0")),
        ("CHGNet-0.2.0", ("CHGNet", "0.2.0")),
        ("SevenNet-0", ("SevenNet", "SevenNet-0")),
        ("SevenNet-l3i5", ("SevenNet", "l3i5")),
        ("MACE-MP-0", ("MACE-MP-0", None)),
    ],
)
def test_potentials_are_chosen_by_name(name, chosen):
    potential = ResidualPotential.named(name)
    assert (potential.calculator, potential.model) == chosen


@pytest.mark.parametrize("name", ["CHGNet-r2scan", "MatPES-r2SCAN", "chgnet"])
def test_other_potentials_are_refused_with_those_that_there_are(name):
    with pytest.raises(PotentialError, match=f"found '{name}', right: single_point, or one of EMT, CHGNet, "):
        ResidualPotential.named(name)


def test_a_formation_energy_is_brought_into_the_scheme_of_the_data():
    oxide = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.2), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    elements = {"Mg": -1.5, "O": -4.9}
    chgnet, sevennet = ResidualPotential.named("CHGNet"), ResidualPotential.named("SevenNet")
    assert chgnet.formation_energy(oxide, -6.2, elements, "mp2020") == pytest.approx(-3.0)
    # CHGNet's energies contain half of 0.687 eV for each atom of MgO, SevenNet's do not
    assert chgnet.formation_energy(oxide, -6.2, elements, "none") == pytest.approx(-3.0 + 0.3435)
    assert sevennet.formation_energy(oxide, -6.2, elements, "mp2020") == pytest.approx(-3.0 - 0.3435)
    alloy = b2("Al", "Cu")
    assert chgnet.formation_energy(alloy, -4.0, {"Al": -3.7, "Cu": -3.7}, None) == pytest.approx(-0.3)


def comparison(residuals: np.ndarray, predicted: np.ndarray, materials: list[str] = MATERIALS) -> dict:
    fractions = np.zeros((40, 111))
    fractions[:, 0] = np.linspace(0.1, 0.9, 40)
    fractions[:, 1] = 1 - fractions[:, 0]
    return compare(
        residuals=residuals,
        fractions=fractions,
        predicted=predicted[::2],
        training=np.arange(1, 40, 2),
        held_out=np.arange(0, 40, 2),
        materials=np.array(materials, dtype=object),
    )


def test_offsets_fitted_on_the_training_part_are_what_the_dos_has_to_beat():
    of_elements = 0.4 * np.linspace(0.1, 0.9, 40) - 0.1
    noise = np.random.default_rng(1).normal(0.0, 0.05, 40)
    found = comparison(of_elements + noise, of_elements)
    errors = found["errors"]
    assert errors[RAW]["mae"] > errors[SHIFTED]["mae"] > errors[BY_ELEMENT]["mae"]
    assert found["compared_with"] == BY_ELEMENT
    assert found["gain"] == pytest.approx(errors[BY_ELEMENT]["mae"] - errors[WITH_ESNET]["mae"])
    assert "IS2RE: the DOS did not measurably improve the predictions of CHGNet" in verdict("CHGNet", "IS2RE", found)
    better = comparison(of_elements + noise, of_elements + 0.9 * noise)
    assert "the DOS improved the predictions" in verdict("CHGNet", "IS2RE", better)
    assert "+/- " in verdict("CHGNet", "IS2RE", better)
    worse = comparison(of_elements + noise, of_elements - 9 * noise)
    assert "the DOS made worse the predictions" in verdict("CHGNet", "IS2RE", worse)


def test_samples_of_one_material_are_no_independent_evidence():
    residuals = np.random.default_rng(1).normal(0.0, 0.1, 40)
    apart, alike = (comparison(residuals, 0.5 * residuals, names) for names in (MATERIALS, ["one"] * 40))
    assert apart["n_materials"] == 20
    assert apart["standard_error"] > 0
    assert (alike["n_materials"], alike["standard_error"]) == (1, None)
    assert "one material is not enough" in verdict("CHGNet", "IS2RE", alike)


def test_another_version_of_the_potential_is_refused_but_not_of_what_runs_it():
    chgnet = ResidualPotential.named("CHGNet")
    about = chgnet.description()
    other = {**about, "versions": {**about["versions"], "torch": "2.0.0+cu128", "python": "3.12.1"}}
    assert ResidualPotential.of(other) == chgnet
    with pytest.raises(PotentialError, match=r"chgnet 0\.1\.0 there"):
        ResidualPotential.of({**about, "versions": {**about["versions"], "chgnet": "0.1.0"}})


def test_an_unknown_potential_is_named_before_any_work(tmp_path):
    data = dataset(tmp_path, b2("Al", "Cu"))
    done = CliRunner().invoke(app, ["train", str(data.path), str(tmp_path / "model"), "--residual-of", "CHGnet"])
    assert isinstance(done.exception, PotentialError)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["alloys"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["single_point", "--potential-energies", "kept.jsonl"], "these energies are in the data set"),
        pytest.param(
            ["MACE-MP-0"], "mace", marks=pytest.mark.skipif(find_spec("mace") is not None, reason="mace is installed")
        ),
    ],
)
def test_residuals_that_cannot_be_made_leave_no_file(tmp_path, options, message):
    data = dataset(tmp_path, b2("Al", "Cu"))
    done = CliRunner().invoke(app, ["train", str(data.path), str(tmp_path / "model"), "--residual-of", *options])
    assert done.exit_code
    assert message in " ".join(f"{done.output} {done.exception}".replace("│", " ").split())
    assert sorted(each.name for each in tmp_path.iterdir()) == ["alloys"]


def test_what_the_is_dos_energy_leaves_over_is_the_change_by_the_relaxation(tmp_path):
    kinds = [("is_dos", {SINGLE_POINT_ENERGY: -0.3}), ("rs_dos", {SINGLE_POINT_ENERGY: 9.0}), ("is_dos", {})]
    samples = [
        tiny_sample(number, kind=kind, energy=-0.5, provenance=energy) for number, (kind, energy) in enumerate(kinds)
    ]
    data = Dataset.open(write(tmp_path / "alloys", samples))
    found = single_point_residuals(data)
    assert found.dataset.energies == pytest.approx([-0.2, np.nan, np.nan], nan_ok=True)
    assert found.potential == pytest.approx([-0.3, np.nan, np.nan], nan_ok=True)
    assert list(found.reasons.values()) == [1, 1]
    assert found.dataset.manifest.source["residual_of"] == {"potential": "single point", "energies": None}
    assert found.dataset.checksum != data.checksum
    without = Dataset.open(write(tmp_path / "without", samples[2:]))
    with pytest.raises(PotentialError, match="none of its 1 IS-DOS has the energy of its calculation"):
        single_point_residuals(without)


def test_a_model_of_the_change_by_the_relaxation_is_taken_where_the_energy_is_there_and_nowhere_else(tmp_path):
    folder = bundle_folder("gpaw-fast-relaxation")
    assert BundleInfo.read(folder, residual=SINGLE_POINT).record.adds_single_point
    for refuse in (BundleInfo.read, esnet.open_bundle, lambda folder: esnet.predict(folder, [])):
        with pytest.raises(BundleError, match=r"predicts the change of formation energies .*campaigns \(scorer"):
            refuse(folder)
    with pytest.raises(BundleError, match="predicts the change of formation energies"):
        BundleInfo.read(folder, residual="CHGNet")
    shown = CliRunner().invoke(app, ["describe", "gpaw-fast-relaxation"])
    assert "what the relaxation changes in the formation energy" in " ".join(shown.output.split())


@pytest.mark.keras
def test_it_is_evaluated_with_the_energies_of_the_data_set(tmp_path):
    done = CliRunner().invoke(
        app, ["evaluate", "gpaw-fast-relaxation", str(OPEN_SET), "--output", str(tmp_path / "evaluation")]
    )
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
    # the chemical systems of the quickstart were held out
    assert found["part_known_by"] == "split"
    task = found["tasks"]["IS2RE"]
    assert list(found["tasks"]) == ["IS2RE"]
    assert task["mae"] < task["baseline_potential_with_mean_offset"]["mae"] < 0.15
    rows = list(csv.DictReader((tmp_path / "evaluation" / "predictions.csv").open()))
    systems = {row["chemsys"] for row in rows}
    assert systems <= {"-".join(pair) for pair in itertools.combinations(sorted(["Li", "Al", "Ca", "Pd", "Ag"]), 2)}


@pytest.mark.keras
def test_a_residual_model_says_what_it_added_and_predicts_with_its_potential(tmp_path, monkeypatch):
    initial, relaxed, energies = (found[:50] for found in emt_alloys())
    samples = [
        tiny_sample(
            number,
            kind="is_dos",
            composition=crystal.composition.as_dict(),
            chemsys=crystal.chemical_system,
            energy=float(energy) + 0.1,
            initial_structure=crystal,
            relaxed_structure=after,
        )
        for number, (crystal, after, energy) in enumerate(zip(initial, relaxed, energies, strict=True))
    ]
    data, bundle = write(tmp_path / "alloys", samples), tmp_path / "model"
    small = ["--widths", "2,2,2,2", "--epochs", "2", "--residual-of", "EMT"]
    done = CliRunner().invoke(app, ["train", str(data), str(bundle), *small])
    assert done.exit_code == 0, done.output
    for text in ("EMT alone", "EMT with a mean offset", "EMT with element offsets", "EMT with ESNet", "IS2RE: the DOS"):
        assert text in done.output
    record = BundleInfo.read(bundle, residual=True).record
    assert (record.version, record.residual_of["potential"], record.residual_of["corrections"]) == (4, "EMT", "none")
    compared = record.residual_of["comparison"]["tasks"]["IS2RE"]
    assert compared["errors"][WITH_ESNET]["mae"] == pytest.approx(record.mae_test, rel=1e-4)
    assert compared["errors"][WITH_ESNET]["n"] == record.n_test
    assert "residuals of the potential EMT" in CliRunner().invoke(app, ["describe", str(bundle)]).output
    # evaluated with the potential's energies, which are kept, on the test part that the training has left
    with monkeypatch.context() as patch:
        patch.setattr(ResidualPotential, "energy", lambda *_: pytest.fail("was relaxed again"))
        done = CliRunner().invoke(app, ["evaluate", str(bundle), str(data), "--output", str(tmp_path / "evaluation")])
    assert done.exit_code == 0, done.output
    evaluated = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
    assert (evaluated["potential"], evaluated["part_known_by"]) == ("EMT", "split")
    task = evaluated["tasks"]["IS2RE"]
    for name, figures in ((WITH_ESNET, task), (SHIFTED, task["baseline_potential_with_mean_offset"])):
        for figure in ("n", "mae", "rmse"):
            assert figures[figure] == pytest.approx(compared["errors"][name][figure], rel=1e-4)
    rows = list(csv.DictReader((tmp_path / "evaluation" / "predictions.csv").open()))
    opened = Dataset.open(data)
    for row in rows:
        assert float(row["true"]) == pytest.approx(opened.energies[opened.ids.index(row["id"])])
    # on other data with the elements' energies of the training; what the potential cannot say is left out and named
    (tmp_path / "more").mkdir()
    more = dataset(tmp_path / "more", b2("Ag", "Au", 3.3), b2("Al", "Ti"), None)
    found = evaluate(esnet.Bundle.load(bundle, residual=True), more, part="all")
    assert found.indices.tolist() == [0]
    assert found.selection.n_left_out == 2
    assert any("without an energy by it, left out: EMT does not describe Ti (1)" in note for note in found.notes)
    pure = [record.residual_of["elements"][name] for name in ("Ag", "Au")]
    silver_gold = EMT.energy(b2("Ag", "Au", 3.3)) - sum(pure) / 2
    [said] = esnet.Bundle.load(bundle, residual=True).predict(more.read([0]), more.compositions[:1])
    assert found.assessment.e_form[0] == pytest.approx(said + silver_gold, abs=1e-4)
    # whoever would take its energies for formation energies refuses it
    text = (ROOT / "examples" / "quickstart.yaml").read_text(encoding="utf-8")
    (tmp_path / "alloys.yaml").write_text(
        text.replace("bundle: gpaw-fast-relaxation", f"bundle: {bundle}"), encoding="utf-8"
    )
    checked = CliRunner().invoke(campaign, ["check", str(tmp_path / "alloys.yaml"), "--engine-elsewhere"])
    assert checked.exit_code != 0
    assert "predicts residuals of the potential EMT" in checked.output + str(checked.exception)
    with pytest.raises(BundleError, match="predicts residuals of the potential EMT"):
        esnet.open_bundle(bundle)

    run = write_vasprun(
        tmp_path / "AlPd.xml", FakeRun(elements=("Al", "Pd"), edge=3.2, sites=b2("Al", "Pd").frac_coords)
    )
    other = write_vasprun(
        tmp_path / "AlO.xml", FakeRun(elements=("Al", "O"), edge=3.2, sites=b2("Al", "O").frac_coords)
    )
    shown = CliRunner().invoke(app, ["predict", str(bundle), str(run), str(other), "--format", "json"])
    assert shown.exit_code == 1
    good, bad = json.loads(shown.stdout)
    model, dos = esnet.Bundle.load(bundle, residual=True), esnet.read_dos(run)
    vector = Dataset.open(data).compositions[:1] * 0
    vector[0, [12, 45]] = 1.0
    residual = model.predict(dos.channels[None], vector)[0]
    elements = record.residual_of["elements"]
    by_potential = EMT.energy(b2("Al", "Pd")) - (elements["Al"] + elements["Pd"]) / 2
    assert good["e_form"] == pytest.approx(residual + by_potential, abs=1e-4)
    assert bad["e_form"] is None
    assert "AlO.xml: no prediction by the potential EMT: EMT does not describe O" in bad["reason"]
    with pytest.raises(PotentialError, match="it has no crystal"):
        esnet.predict(bundle, replace(dos, structure=None))

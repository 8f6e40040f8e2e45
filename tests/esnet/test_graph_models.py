"""CGCNN-HD, MEGNet, Roost and Wren: the published networks, the libraries' own numbers, and something learnt."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
import pytest
from emt_alloys import emt_alloys
from pymatgen.core import Composition, Lattice, Structure

from esnet.bundle.files import BundleError
from esnet.files.atomic import file_entry
from esnet.files.output_folder import OutputExistsError
from esnet.graph.build import build_model
from esnet.graph.bundle import TrainedGraphModel, fit
from esnet.graph.info import MANIFEST, WEIGHTS, GraphBundleError, GraphBundleInfo, with_identity
from esnet.graph.kinds import KINDS, GraphModelError, kind_of

pytestmark = pytest.mark.keras
for package in ("aviary", "torch", "torch_geometric"):
    pytest.importorskip(package, reason="extra 'graph' is not installed")

ROOT = Path(__file__).parents[2]
EPOCHS = {"cgcnn-hd": 15, "megnet": 20, "wren": 10, "roost": 5}
L1_0 = Structure(Lattice.tetragonal(2.8, 3.6), ["Cu", "Au"], [[0, 0, 0], [0.5, 0.5, 0.5]])


class Alloys(NamedTuple):
    initial: list[Structure]
    relaxed: list[Structure]
    energies: np.ndarray
    training: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def part(self, places: np.ndarray) -> tuple[list[Structure], np.ndarray]:
        return [self.relaxed[place] for place in places], self.energies[places]


@pytest.fixture(scope="module")
def alloys() -> Alloys:
    initial, relaxed, energies = emt_alloys()
    order = np.random.default_rng(0).permutation(len(energies))
    return Alloys(initial, relaxed, energies, order[:54], order[54:68], order[68:])


def trained_on(alloys: Alloys, name: str, *, epochs: int, energies: np.ndarray | None = None) -> TrainedGraphModel:
    known = alloys if energies is None else alloys._replace(energies=energies)
    kind = KINDS[name]
    settings = kind.training.with_changes(epochs=epochs, seed=3)
    source = {"kind": "campaign", "engine": "gpaw"}
    return fit(kind, known.part(known.training), known.part(known.validation), settings=settings, data_source=source)


_TRAINED: dict[str, TrainedGraphModel] = {}


@pytest.fixture(params=list(KINDS))
def name(request) -> str:
    return request.param


def trained_once(alloys: Alloys, name: str) -> TrainedGraphModel:
    if name not in _TRAINED:
        _TRAINED[name] = trained_on(alloys, name, epochs=EPOCHS[name])
    return _TRAINED[name]


@pytest.fixture
def trained(alloys, name) -> TrainedGraphModel:
    return trained_once(alloys, name)


@pytest.fixture
def cgcnn(alloys) -> TrainedGraphModel:
    return trained_once(alloys, "cgcnn-hd")


def energies_of(trained: TrainedGraphModel, crystals) -> np.ndarray:
    return np.array([each.e_form for each in trained.predict(crystals)])


def explained(trained: TrainedGraphModel, alloys: Alloys) -> float:
    """Share of the test part's squared distance from the mean of the training part that a model explains."""
    crystals, true = alloys.part(alloys.test)
    mean = alloys.energies[alloys.training].mean()
    return float(1.0 - ((energies_of(trained, crystals) - true) ** 2).sum() / ((mean - true) ** 2).sum())


# ---- what they are


@pytest.mark.parametrize(
    ("name", "parameters", "fixed"),
    [("cgcnn-hd", 242_011, 0), ("megnet", 189_621, 100), ("roost", 2_322_896, 0), ("wren", 2_603_421, 0)],
)
def test_networks_have_the_published_number_of_parameters(name, parameters, fixed):
    weights = list(build_model(name).network.parameters())
    assert sum(each.numel() for each in weights) == parameters == KINDS[name].n_parameters
    # matgl counts the centres of its Gaussians, which are not trained
    assert sum(each.numel() for each in weights if not each.requires_grad) == fixed


def pauling_energy(crystal: Structure) -> float:
    """Formation energy in eV/atom that follows from the composition alone, as Pauling's bond energies do."""
    first, second = crystal.composition.elements
    share = crystal.composition.get_atomic_fraction(first)
    return -4.0 * share * (1.0 - share) * (first.X - second.X) ** 2


def test_each_learns_better_than_the_mean(alloys, name):
    if name == "roost":  # it cannot tell the prototypes of one composition apart
        alloys = alloys._replace(energies=np.array([pauling_energy(crystal) for crystal in alloys.relaxed]))
        assert explained(trained_on(alloys, name, epochs=25), alloys) > 0.2
    else:
        assert explained(trained_once(alloys, name), alloys) > 0.2


def test_nothing_is_learnt_from_shuffled_energies(alloys, name):
    shuffled = np.random.default_rng(7).permutation(alloys.energies)
    assert explained(trained_on(alloys, name, epochs=6, energies=shuffled), alloys) < 0.15


def test_the_seed_alone_decides_the_weights(alloys):
    import torch

    found = []
    for drawn in (1, 5):
        torch.rand(drawn)  # what a process has drawn before is of no consequence
        found.append(energies_of(trained_on(alloys, "cgcnn-hd", epochs=2), alloys.relaxed))
    other = fit(
        KINDS["cgcnn-hd"],
        alloys.part(alloys.training),
        alloys.part(alloys.validation),
        settings=KINDS["cgcnn-hd"].training.with_changes(epochs=2, seed=4),
    )
    assert np.array_equal(*found)
    assert not np.allclose(found[0], energies_of(other, alloys.relaxed), atol=1e-3)


def test_too_few_samples_are_refused(alloys):
    with pytest.raises(GraphModelError, match="1 training and 14 validation samples"):
        fit(KINDS["roost"], alloys.part(alloys.training[:1]), alloys.part(alloys.validation))
    with pytest.raises(GraphModelError, match="'cgcnn' is not known; there are cgcnn-hd, megnet"):
        kind_of("cgcnn")


# ---- the same numbers as the libraries'


@pytest.mark.parametrize("name", ["roost", "wren"])
def test_aviary_itself_predicts_the_same(alloys, trained, name):
    import pandas as pd
    from pymatgen.analysis.prototypes import get_protostructure_label

    data = __import__(f"aviary.{name}.data", fromlist=["data"])
    crystals, _ = alloys.part(alloys.test)
    column = "composition" if name == "roost" else "protostructure"
    frame = pd.DataFrame(
        {
            "material_id": [str(place) for place in range(len(crystals))],
            "composition": [crystal.formula for crystal in crystals],
            "protostructure": [get_protostructure_label(crystal, method="spglib") for crystal in crystals],
            "target": 0.0,
        }
    )
    samples = getattr(data, "CompositionData" if name == "roost" else "WyckoffData")(
        frame, {"target": "regression"}, inputs=column, identifiers=["material_id", "composition"]
    )
    batches = [data.collate_batch([samples[place] for place in range(len(frame))])]
    _, (outputs,), _ = trained.model.network.predict(batches)
    expected = trained.info.target_scaling.restore(outputs.numpy().reshape(-1))
    assert np.allclose(energies_of(trained, crystals), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["megnet"])
def test_matgl_itself_predicts_the_same(alloys, trained, name):
    crystals, _ = alloys.part(alloys.test)
    outputs = [float(trained.model.network.predict_structure(crystal)) for crystal in crystals]
    expected = trained.info.target_scaling.restore(np.array(outputs))
    assert np.allclose(energies_of(trained, crystals), expected, atol=1e-5)


def cgcnn_in_numpy(trained: TrainedGraphModel, crystal: Structure) -> np.ndarray:
    """CGCNN-HD up to its dropout, written from the paper, for a crystal whose atoms have a clear eighth neighbour."""
    weights = {name: value.double().numpy() for name, value in trained.model.network.state_dict().items()}
    features = trained.model.features.double().numpy()

    def dense(name, x):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(name, x):
        scale = weights[f"{name}.weight"] / np.sqrt(weights[f"{name}.running_var"] + 1e-5)
        return (x - weights[f"{name}.running_mean"]) * scale + weights[f"{name}.bias"]

    def softplus(x):
        return np.logaddexp(0.0, x)

    neighbours = [sorted(near, key=lambda each: each.nn_distance)[:8] for near in crystal.get_all_neighbors(4.0)]
    atoms = dense("embedding", features[[site.specie.Z for site in crystal]])
    for layer in range(5):
        changed = []
        for place, near in enumerate(neighbours):
            total = np.zeros(90)
            for other in near:
                gaussians = np.exp(-(((other.nn_distance - np.arange(21) * 0.2) / 0.2) ** 2))
                pair = np.concatenate([atoms[place], atoms[other.index], gaussians])
                message = norm(f"convolutions.{layer}.norm_messages", dense(f"convolutions.{layer}.full", pair))
                gate, core = np.split(message, 2)
                total += np.tanh(core) / (1.0 + np.exp(-gate))
            changed.append(np.tanh(atoms[place] + norm(f"convolutions.{layer}.norm_sums", total)))
        atoms = np.array(changed)
    return softplus(dense("second", softplus(dense("first", softplus(atoms.mean(axis=0))))))


def test_cgcnn_hd_is_the_network_of_its_paper(cgcnn):
    b2 = Structure(Lattice.cubic(3.0), ["Al", "Pd"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    shaken = Structure(
        Lattice.from_parameters(4.1, 3.9, 4.3, 88, 95, 91),
        ["Cu", "Cu", "Pd", "Au"],
        [[0.02, 0.5, 0.51], [0.48, 0.03, 0.5], [0.5, 0.47, 0.01], [0.0, 0.02, 0.03]],
    )
    last = {name: value.double().numpy() for name, value in cgcnn.model.network["last"].state_dict().items()}
    for crystal in (b2, shaken):
        hidden = cgcnn_in_numpy(cgcnn, crystal)
        terms = last["weight"][0] * hidden
        scaling = cgcnn.info.target_scaling
        (found,) = cgcnn.predict([crystal])
        # dropping 0.2 of the units at random changes the sum by this in the mean square
        expected = np.sqrt((terms**2).sum() * 0.2 / 0.8) * scaling.deviation
        assert found.deviation == pytest.approx(expected, rel=0.2)
        assert abs(found.e_form - float(scaling.restore(terms.sum() + last["bias"])[0])) < 4.5 * expected / np.sqrt(200)
        without = cgcnn.model.forward(cgcnn.model.batch([cgcnn.model.item(crystal)], "cpu")).item()
        assert without == pytest.approx(float(terms.sum() + last["bias"][0]), abs=1e-4)


# ---- what must not matter


def test_order_of_atoms_cell_and_company_do_not_matter(trained):
    order = [2, 0, 3, 1]
    one = L1_0 * (2, 1, 1)
    shuffled = Structure(one.lattice, [one[i].specie for i in order], [one[i].frac_coords + 0.13 for i in order])
    turned = Structure(Lattice([[0, 3.6, 0], [0, 0, 2.8], [2.8, 0, 0]]), ["Au", "Cu"], [[0.5, 0.5, 0.5], [0, 0, 0]])
    (alone,) = energies_of(trained, [L1_0])
    together = energies_of(trained, [L1_0 * (2, 2, 1), shuffled, L1_0, turned, L1_0 * (1, 1, 3)])
    assert np.allclose(together, alone, atol=2e-5)


def test_deviations_are_of_the_seed_and_of_nothing_else(cgcnn):
    other = Structure(Lattice.cubic(3.1), ["Al", "Pd"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    (alone,), (_, beside) = cgcnn.predict([L1_0]), cgcnn.predict([other, L1_0])
    assert alone.deviation > 0.0
    assert beside.deviation == pytest.approx(alone.deviation, rel=1e-5)
    assert alone.uncertainty > 0.0


def test_crystals_that_cannot_be_treated_have_a_reason(trained):
    nothing = Structure(Lattice.cubic(3.0), ["Cu"], [[0, 0, 0]])
    nothing.add_site_property("magmom", [1.0])
    broken = Structure(Lattice.cubic(3.0), ["Cu", "Au"], [[0, 0, 0], [np.nan, 0.5, 0.5]])
    mixed = Structure(Lattice.cubic(3.0), [{"Cu": 0.5, "Au": 0.5}], [[0, 0, 0]])
    alone = Structure(Lattice.cubic(30.0), ["Cu", "Au"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    unknown = Structure(Lattice.cubic(3.0), ["Cu", "Os"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    said = trained.predict([nothing, None, unknown, broken, mixed, alone, L1_0])
    assert said[0].e_form is not None
    assert (said[6].e_form is None, said[6].reason) == (False, None)
    assert said[1].reason == f"{trained.info.kind.title}: there is no composition"
    assert said[2].reason == f"{trained.info.kind.title}: it was not trained on Os"
    (other,) = trained.predict([unknown], any_element=True)
    assert other.e_form is not None
    if trained.info.kind.name == "roost":
        assert said[3].e_form == pytest.approx(said[6].e_form, abs=1e-6)
        (by_formula,) = trained.predict([Composition("AuCu")])
        assert by_formula.e_form == pytest.approx(said[6].e_form, abs=1e-6)
        return
    assert "not finite" in said[3].reason
    assert "each of one element" in said[4].reason
    if trained.info.kind.name != "wren":
        assert "no atom has another one within 4 A" in said[5].reason


# ---- on disk


def test_a_saved_model_says_what_it_is_and_predicts_the_same(alloys, trained, name, tmp_path):
    saved = trained.save(tmp_path / "model")
    assert sorted(file.name for file in (tmp_path / "model").iterdir()) == [MANIFEST, WEIGHTS]
    info = GraphBundleInfo.read(tmp_path / "model")
    assert (info.checksum, info.kind.name, info.corrections) == (saved.info.checksum, name, "none")
    assert info.elements == ("Ag", "Al", "Au", "Cu", "Ni", "Pd", "Pt")
    assert info.training["n_train"] == 54
    assert info.calibration is not None
    assert TrainedGraphModel.load(tmp_path / "model").predict(alloys.relaxed[:5]) == trained.predict(alloys.relaxed[:5])
    with pytest.raises(OutputExistsError):
        trained.save(tmp_path / "model")


def test_an_altered_model_is_refused(cgcnn, tmp_path):
    folder = tmp_path / "model"
    cgcnn.save(folder)
    manifest, weights = (folder / MANIFEST).read_text(), (folder / WEIGHTS).read_bytes()
    content = json.loads(manifest)
    for said, message in (
        (content | {"format": "other"}, "no format: esnet-graph-bundle"),
        (content | {"format_version": 9}, "format version 9; this program reads 1"),
        (content | {"elements": ["Os"]}, "was altered"),
    ):
        (folder / MANIFEST).write_text(json.dumps(said))
        with pytest.raises(BundleError, match=message):
            TrainedGraphModel.load(folder)
    (folder / MANIFEST).write_text(manifest)
    (folder / WEIGHTS).write_bytes(weights[:-1] + b"?")
    with pytest.raises(BundleError, match=r"weights\.npz was altered"):
        TrainedGraphModel.load(folder)
    (folder / WEIGHTS).unlink()
    with pytest.raises(BundleError, match=r"weights\.npz is missing"):
        TrainedGraphModel.load(folder)
    with pytest.raises(BundleError, match="is not the folder of a trained graph model"):
        TrainedGraphModel.load(tmp_path / "nowhere")


SPOILT_WEIGHTS = {
    "no zip": "not a zip file",
    "an empty array": "cannot be used",
    "a deflated array": "is compressed, must be stored",
    "a huge array": r"its arrays have \d+ bytes, must be at most \d+",
    "a header that promises more": "cannot be used",
    "another array": r"must be the \d+ of the network \(more\.npy\)",
    "an array twice": r"must be the \d+ of the network \(one of them twice\)",
    "another shape": "cannot be used",
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", SPOILT_WEIGHTS)
def test_weights_of_another_program_are_refused_before_they_take_memory(cgcnn, tmp_path, case):
    folder = tmp_path / "model"
    cgcnn.save(folder)
    file, spoilt = folder / WEIGHTS, "embedding.bias.npy"
    with ZipFile(file) as archive:
        arrays = {name: archive.read(name) for name in archive.namelist()}
    huge = io.BytesIO()
    np.lib.format.write_array_header_1_0(huge, {"descr": "<f4", "fortran_order": False, "shape": (10**15,)})
    zeros = io.BytesIO()
    np.save(zeros, np.zeros(3 * 10**6, dtype=np.float32))
    arrays |= {
        "an empty array": {spoilt: b""},
        "a huge array": {spoilt: zeros.getvalue()},
        "a header that promises more": {spoilt: huge.getvalue()},
        "another array": {"more.npy": arrays[spoilt]},
        "another shape": {spoilt: arrays["first.bias.npy"]},
    }.get(case, {})
    with ZipFile(file, "w", ZIP_DEFLATED if case == "a deflated array" else ZIP_STORED) as archive:
        for name, content in [*arrays.items(), *([(spoilt, arrays[spoilt])] if case == "an array twice" else [])]:
            archive.writestr(name, content)
    if case == "no zip":
        file.write_bytes(b"PK\x03\x04 and nothing more")
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"] = {WEIGHTS: file_entry(file)}
    (folder / MANIFEST).write_text(json.dumps(with_identity(manifest)))
    with pytest.raises(GraphBundleError, match=rf"weights\.npz.*{SPOILT_WEIGHTS[case]}"):
        TrainedGraphModel.load(folder)


@pytest.mark.parametrize("files", [None, [WEIGHTS], {WEIGHTS: ["sha256"]}, {WEIGHTS: "sha256"}, {"other": {}}])
def test_a_manifest_of_other_files_is_refused(cgcnn, tmp_path, files):
    cgcnn.save(tmp_path / "model")
    manifest = json.loads((tmp_path / "model" / MANIFEST).read_text()) | {"files": files}
    (tmp_path / "model" / MANIFEST).write_text(json.dumps(with_identity(manifest)))
    with pytest.raises(GraphBundleError, match=r"lists other files than weights\.npz"):
        TrainedGraphModel.load(tmp_path / "model")


def test_neither_tensorflow_nor_wandb_is_loaded():
    code = """
import sys
from esnet.graph.build import build_model
from esnet.graph.kinds import KINDS
assert not {"torch", "aviary", "matgl"} & set(sys.modules)
for name in KINDS:
    build_model(name)
print(sorted({"tensorflow", "tensorboard", "wandb", "torch.utils.tensorboard"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr

"""A bundle must predict what was saved, and nothing else may pass for it."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from esnet.bundle.bundle import Bundle, BundleError, BundleInfo, save_bundle
from esnet.bundle.members import load_network
from esnet.representation.errors import FeatureError, RepresentationError
from esnet.representation.features import Representation

pytestmark = pytest.mark.keras


@pytest.fixture
def copy(bundle: Bundle, tmp_path):
    """A bundle that may be damaged."""
    return shutil.copytree(bundle.info.path, tmp_path / "copy")


def test_a_loaded_bundle_predicts_the_same_bits(trained, labelled, tmp_path):
    # one of its own: where a network has seen other batch sizes, Keras has made its graph another one
    bundle = trained.save(tmp_path / "saved")
    loaded = Bundle.load(bundle.info.path, representation=Representation())
    before = bundle.predict(labelled.dos, labelled.compositions, batch_size=32)
    after = loaded.predict(labelled.dos, labelled.compositions, batch_size=32)
    assert before.shape == (120,)
    assert before.dtype == np.float64
    assert np.array_equal(before, after)
    assert loaded.checksum == bundle.checksum
    assert loaded.record == bundle.record
    assert loaded.representation == Representation()


def test_predictions_are_energies_and_not_standardised(bundle, trained, labelled):
    predicted = bundle.predict(labelled.dos[:80], labelled.compositions[:80])
    assert np.abs(predicted - labelled.targets[:80]).mean() < 0.15
    assert predicted.mean() == pytest.approx(labelled.targets[:80].mean(), abs=0.1)


def test_an_altered_file_is_refused_by_name(copy):
    scaler = copy / "representation.json"
    scaler.write_text(scaler.read_text().replace('"normalisation": "atom"', '"normalisation": "none"'))
    with pytest.raises(BundleError, match=r"representation\.json was altered"):
        Bundle.load(copy)


def test_an_altered_model_is_refused_before_keras_reads_it(copy):
    model = copy / "model.keras"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.keras was altered"):
        BundleInfo.read(copy)


@pytest.mark.parametrize("name", ["model.keras", "representation.json", "training.json", "manifest.json"])
def test_a_missing_file_is_refused_by_name(copy, name):
    (copy / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        Bundle.load(copy)


def test_another_format_version_is_refused_with_both_numbers(copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"format_version": 1}))
    with pytest.raises(BundleError, match="format version 1; this program reads 2"):
        Bundle.load(copy)


def test_an_altered_manifest_is_refused(copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"created": "2020-01-01T00:00:00+00:00"}))
    with pytest.raises(BundleError, match=r"manifest\.json was altered"):
        Bundle.load(copy)


def test_something_else_is_not_taken_for_a_bundle(tmp_path):
    with pytest.raises(BundleError, match="not a directory"):
        Bundle.load(tmp_path / "nothing")
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(BundleError, match="not the manifest"):
        Bundle.load(tmp_path)


def test_another_representation_is_refused_by_name(bundle):
    with pytest.raises(RepresentationError, match="energy_reference: the model has 'absolute'"):
        BundleInfo.read(bundle.info.path, representation=Representation(energy_reference="fermi"))


def test_a_bundle_is_never_overwritten_and_leaves_no_half(bundle, trained, tmp_path):
    parts = {
        "scaler": trained.scaler,
        "target_scaling": trained.target_scaling,
        "representation": Representation(),
        "record": trained.record,
    }
    with pytest.raises(FileExistsError, match="never overwritten"):
        save_bundle(bundle.info.path, model=trained.model, **parts)

    class Interrupted:
        def save(self, path):
            path.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_bundle(tmp_path / "models" / "new", model=Interrupted(), **parts)
    assert list((tmp_path / "models").iterdir()) == []


def test_features_that_are_not_finite_are_refused(bundle, labelled):
    dos = labelled.dos[:2].copy()
    dos[1, 0, 0, 0] = np.inf
    with pytest.raises(FeatureError, match="sample 1"):
        bundle.predict(dos, labelled.compositions[:2])


def test_what_a_bundle_says_is_read_without_tensorflow_or_keras(bundle):
    program = (
        "import sys; from esnet.bundle.bundle import BundleInfo; import esnet.scoring.scoring, esnet.training.in_ray;"
        "info = BundleInfo.read(sys.argv[1]);"
        "heavy = {'tensorflow', 'keras', 'ray', 'scipy', 'pymatgen'} & set(sys.modules);"
        "print(info.checksum, sorted(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(bundle.info.path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split(maxsplit=1) == [bundle.checksum, "[]\n"]


def test_a_network_with_weights_that_are_no_numbers_is_refused_by_layer(bundle, tmp_path):
    import keras

    model = keras.saving.load_model(bundle.info.path / bundle.info.members[0], compile=False)
    layer = next(layer for layer in model.layers if layer.weights)
    kernel = np.array(keras.ops.convert_to_numpy(layer.weights[0]))
    kernel.flat[0] = np.nan
    layer.weights[0].assign(kernel)
    model.save(tmp_path / "model.keras")
    with pytest.raises(BundleError, match=rf"model\.keras: weights of the layer .*{layer.name} are not finite numbers"):
        load_network(tmp_path / "model.keras", bundle.info)

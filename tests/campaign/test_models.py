"""A campaign must score with the very model that it was started with, wherever that is fetched from."""

import shutil
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import pytest

from campaign.running_campaign import start_campaign
from campaign.store.models import ModelEngineError, fetch_bundle, model_summary, register_bundle, store_lost_bundle
from esnet.bundle.files import BundleError, new_bundle
from esnet.bundle.info import BundleInfo, write_info
from esnet.bundle.record import RECORD_VERSION, TrainingRecord
from esnet.representation.features import Representation
from esnet.representation.scaling import ChannelScaler, TargetScaling

pytestmark = pytest.mark.mongo


def make_bundle(path: Path, *, weights: bytes, source: Mapping[str, str] = MappingProxyType({})) -> Path:
    """A bundle whose network nobody loads."""
    record = TrainingRecord(
        **{field.name: None for field in fields(TrainingRecord)}
        | {"version": RECORD_VERSION, "n_materials": 7, "data_source": dict(source)}
    )
    rows = ((0.0,) * 9,) * 2
    with new_bundle(path) as folder:
        (folder / "model.keras").write_bytes(weights)
        write_info(
            folder,
            representation=Representation(),
            scaler=ChannelScaler(rows, ((1.0,) * 9,) * 2),
            target_scaling=TargetScaling(0.0, 1.0),
            records=[record],
        )
    return path


@pytest.fixture
def stored(store, tmp_path, monkeypatch):
    """A registered bundle whose folder holds a stray file, and whose network is a link."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = make_bundle(tmp_path / "bundle", weights=b"weights")
    (folder / ".DS_Store").write_text("stray")
    shutil.move(folder / "model.keras", tmp_path / "downloaded")
    (folder / "model.keras").symlink_to(tmp_path / "downloaded")
    return SimpleNamespace(folder=folder, checksum=register_bundle(store, folder))


def test_a_fetched_model_is_the_registered_one_without_strays_and_links(store, stored):
    assert register_bundle(store, stored.folder) == stored.checksum
    assert store.models.count_documents({}) == 1
    assert model_summary(store, stored.checksum, source="given")["n_structures"] == 7
    fetched = fetch_bundle(store, stored.checksum)
    assert BundleInfo.read(fetched).checksum == stored.checksum
    assert {file.name for file in fetched.iterdir()} == {
        "manifest.json",
        "model.keras",
        "representation.json",
        "training.json",
    }
    assert not any(file.is_symlink() for file in fetched.iterdir())
    assert fetch_bundle(store, stored.checksum) == fetched
    assert [file.name for file in fetched.parent.iterdir()] == [stored.checksum]


def test_another_or_a_damaged_model_in_the_cache_is_refused_with_the_way_out(store, stored, tmp_path):
    fetched = fetch_bundle(store, stored.checksum)
    shutil.rmtree(fetched)
    make_bundle(fetched, weights=b"other")
    with pytest.raises(BundleError, match=rf"holds the model .*, must be {stored.checksum}; remove .* fetched again"):
        fetch_bundle(store, stored.checksum)
    (fetched / "model.keras").write_bytes(b"trunc")
    with pytest.raises(BundleError, match=r"model\.keras was altered.*remove .* fetched again"):
        fetch_bundle(store, stored.checksum)


def test_a_model_that_is_not_stored_is_named(store, stored):
    with pytest.raises(LookupError, match="no model 0123"):
        fetch_bundle(store, "0123")


def test_a_model_that_learnt_from_another_engine_is_refused_before_anything_is_stored(
    store, launchpad, small_spec, tmp_path
):
    folder = make_bundle(tmp_path / "vasp", weights=b"weights", source={"engine": "vasp"})
    with pytest.raises(ModelEngineError, match=r"computed by vasp, and dft\.engine is gpaw"):
        start_campaign(store, launchpad, small_spec(model={"bundle": str(folder)}))
    assert store.campaigns.count_documents({}) == store.candidates.count_documents({}) == 0


@pytest.mark.parametrize("damage", ["lost", "altered"])
def test_a_model_with_a_damaged_chunk_is_named_and_stored_again(store, stored, damage):
    chunks = store.database["bundles.chunks"]
    if damage == "lost":
        chunks.delete_one({})
    else:
        chunks.update_one({}, {"$set": {"data": b"x" * len(chunks.find_one()["data"])}})
    with pytest.raises(BundleError, match=rf"{stored.checksum} is .* in the database.*campaign submit FILE"):
        fetch_bundle(store, stored.checksum)
    assert store_lost_bundle(store, stored.folder, stored.checksum)
    assert not store_lost_bundle(store, stored.folder, stored.checksum)
    assert BundleInfo.read(fetch_bundle(store, stored.checksum)).checksum == stored.checksum

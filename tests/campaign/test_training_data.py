"""A campaign becomes a data set: the right DOS with the right energy, what has no energy stays out."""

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Structure
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.commands.errors import is_user_error
from campaign.references.reference_sets import freeze_reference_set
from campaign.running_campaign import start_campaign
from campaign.store.campaigns import Campaign, UnknownCampaignError
from campaign.views.training_data import write_training_data
from esnet.dataset.dataset import Dataset, DatasetError, Filters
from esnet.residual.single_point import SINGLE_POINT_ENERGY
from workflows.dos import DosFeatures

pytestmark = pytest.mark.mongo

EFERMI = 4.5
FIELDS = {"dos": "is_dos", "rs_dos": "rs_dos"}


def dos_of(document_id: str, kind: str) -> np.ndarray:
    rng = np.random.default_rng(list(f"{document_id}{kind}".encode()))
    return rng.random((2, 1500, 9), dtype=np.float32)


def give_features(store, document_id: str, kind: str, *, energy_reference: str = "absolute") -> None:
    """As `campaign.steps.record` stores them."""
    document = store.collection_of(document_id).find_one({"_id": document_id})
    features = DosFeatures.encode(
        dos_of(document_id, kind), spacing=0.02, efermi=EFERMI, normalisation="atom", energy_reference=energy_reference
    )
    facts = {"engine": "gpaw", "quality": "fast"}
    store.features.replace_one(
        {"_id": f"{document_id}:{kind}"},
        {
            "campaign": document["campaign"],
            "document": document_id,
            "kind": kind,
            "composition": document["composition"],
            **facts,
            **features.to_document(),
        },
        upsert=True,
    )
    store.collection_of(document_id).update_one(
        {"_id": document_id},
        {
            "$set": {
                f"{FIELDS[kind]}.{key}": value
                for key, value in (facts | {"fw_id": 7, "smearing_changed": True, "cpu_s": 4.5}).items()
            }
        },
    )


def relaxed_cell(initial: dict) -> Structure:
    """A crystal as a relaxation leaves it: with moments, which a data set does not keep."""
    relaxed = Structure.from_dict(initial).scale_lattice(100.0)
    return relaxed.add_site_property("magmom", [0.5] * len(relaxed))


def relax(collection, document_id: str, energy: float) -> None:
    initial = collection.find_one({"_id": document_id})["structure"]
    collection.update_one(
        {"_id": document_id},
        {
            "$set": {
                "state": "relaxed",
                "relaxation.energy": energy,
                "relaxation.structure": relaxed_cell(initial).as_dict(),
                "relaxation.vasp_version": "6.9.9-gpaw-test",
                "relaxation.fw_id": 8,
            }
        },
    )


@pytest.fixture
def candidates(store, launchpad, small_spec) -> list[str]:
    """A campaign for a training set of three candidates: one relaxed, one with an IS-DOS only, one without anything."""
    start_campaign(store, launchpad, small_spec(purpose="training_set"))
    ids = [found["_id"] for found in store.candidates.find().sort("_id")]
    relax(store.candidates, ids[0], -10.0)
    for document_id, kind in [(ids[0], "dos"), (ids[0], "rs_dos"), (ids[1], "dos")]:
        give_features(store, document_id, kind)
    store.candidates.update_one({"_id": ids[1]}, {"$set": {"state": "dos_done"}})
    return ids


def relax_references(store) -> None:
    """Al at -4, Cu at -5 eV an atom; the first one has an RS-DOS."""
    names = [found["_id"] for found in store.references.find().sort("_id")]
    for energy, name in enumerate(names, start=4):
        relax(store.references, name, -float(energy))
    give_features(store, names[0], "rs_dos")
    freeze_reference_set(Campaign.read(store, "small"))


def test_a_dos_gets_the_energy_of_another_crystal(store, candidates, tmp_path):
    relax_references(store)
    write_training_data(Campaign.read(store, "small"), tmp_path / "d")
    dataset = Dataset.open(tmp_path / "d")
    relaxed = store.candidates.find_one({"_id": candidates[0]})
    n_al, n_cu = relaxed["composition"]["Al"], relaxed["composition"]["Cu"]
    energy = (-10.0 + 4.0 * n_al + 5.0 * n_cu) / (n_al + n_cu)
    assert dict(zip(dataset.ids, dataset.energies.tolist(), strict=True)) == {
        f"{candidates[0]}:is_dos": pytest.approx(energy),
        f"{candidates[0]}:rs_dos": pytest.approx(energy),
        "small/reference/Al:rs_dos": pytest.approx(0.0),
    }
    for place, name in enumerate(dataset.ids):
        kind = "dos" if name.endswith(":is_dos") else "rs_dos"
        np.testing.assert_array_equal(dataset.read([place])[0], dos_of(name.rpartition(":")[0], kind))
    place = dataset.ids.index(f"{candidates[0]}:is_dos")
    assert dataset.kinds[place] == "is_dos"
    assert dataset.materials[place] == candidates[0]
    assert dataset.chemsys[place] == "Al-Cu"
    assert dataset.prototypes[place] == relaxed["prototype"]
    assert dataset.amounts(place) == relaxed["composition"]
    assert dataset.efermi[place] == EFERMI
    assert dataset.spacing[place] == 0.02
    assert dataset.manifest.structures == {"initial": 3, "relaxed": 3}
    for row, name in enumerate(dataset.ids):
        owner = name.rpartition(":")[0]
        initial = store.collection_of(owner).find_one({"_id": owner})["structure"]
        assert dataset.structures([row], "initial") == [Structure.from_dict(initial)]
        (relaxed,) = dataset.structures([row], "relaxed")
        assert relaxed.volume == pytest.approx(100.0)
        assert relaxed.site_properties == {}
    (provenance,) = dataset.provenance([place])
    assert provenance["role"] == "training"
    assert provenance["fw_id"] == 7
    assert provenance["cpu_s"] == 4.5
    assert provenance["smearing_changed"] is True
    assert provenance["settings_hash"] == Campaign.read(store, "small").document["settings_hash"]
    assert dataset.manifest.source["campaign"] == "small"
    assert dataset.manifest.source["relaxed"] == 3
    assert dataset.manifest.source["states"]["dos_done"] == 1
    # the IS-DOS of the second candidate, and copper
    assert dataset.manifest.source["dos_without_target"] == 1
    assert dataset.manifest.source["relaxed_without_dos"] == 1


def test_an_is_dos_has_the_energy_of_its_own_crystal_too(store, candidates, tmp_path):
    relax_references(store)
    n_al, n_cu = (store.candidates.find_one({"_id": candidates[0]})["composition"][symbol] for symbol in ("Al", "Cu"))
    store.candidates.update_one({"_id": candidates[0]}, {"$set": {"is_dos.energy": -9.5}})
    write_training_data(Campaign.read(store, "small"), tmp_path / "d")
    dataset = Dataset.open(tmp_path / "d")
    found = dict(zip(dataset.ids, dataset.provenance(range(len(dataset))), strict=True))
    own = found.pop(f"{candidates[0]}:is_dos")[SINGLE_POINT_ENERGY]
    assert own == pytest.approx((-9.5 + 4.0 * n_al + 5.0 * n_cu) / (n_al + n_cu))
    assert not any(SINGLE_POINT_ENERGY in provenance for provenance in found.values())


def test_a_campaign_without_references_gives_energies(store, candidates, tmp_path):
    with pytest.raises(DatasetError, match=r"no formation energies yet.*2 of them are not \(Al, Cu\)") as refused:
        write_training_data(Campaign.read(store, "small"), tmp_path / "d")
    assert is_user_error(refused.value)
    store.references.update_one({"label": "Cu"}, {"$set": {"state": "relax_failed"}})
    with pytest.raises(
        DatasetError, match=r"no formation energies: blocked: .* the reference Cu is computed: it failed"
    ):
        write_training_data(Campaign.read(store, "small"), tmp_path / "d")
    with pytest.raises(UnknownCampaignError):
        write_training_data(Campaign.read(store, "smal"), tmp_path / "d")
    assert list(tmp_path.glob("d*")) == []


def test_damaged_features_or_those_of_another_representation_are_written(store, candidates, tmp_path):
    relax_references(store)
    give_features(store, candidates[0], "dos", energy_reference="fermi")
    with pytest.raises(DatasetError, match=f"features {candidates[0]}:dos were made with atom, fermi"):
        write_training_data(Campaign.read(store, "small"), tmp_path / "d")
    give_features(store, candidates[0], "dos")
    store.features.update_one({"_id": f"{candidates[0]}:dos"}, {"$set": {"sha256": "0" * 64}})
    with pytest.raises(
        DatasetError, match=f"{candidates[0]}:dos: DOS features are damaged.*`campaign reconcile small`"
    ):
        write_training_data(Campaign.read(store, "small"), tmp_path / "d")
    assert list(tmp_path.glob("d*")) == []


def test_the_filters_are_not_those_of_the_command(store, candidates, tmp_path, launchpad_file):
    relax_references(store)
    options = ["--launchpad", str(launchpad_file), "--max-abs-formation-energy", "0.01"]
    done = CliRunner().invoke(app, ["dataset", "small", str(tmp_path / "d"), *options], catch_exceptions=False)
    assert done.exit_code == 0
    assert "campaign small: 3 relaxed structures" in done.output
    assert "1 DOS of structures that are not relaxed, 1 relaxed structures without" in " ".join(done.output.split())
    assert "2 of 3 (2 by max_abs_formation_energy)" in done.output
    assert candidates[0] in done.output
    manifest = Dataset.open(tmp_path / "d").manifest
    assert manifest.filters == replace(Filters(), max_abs_formation_energy=0.01).to_dict()
    assert manifest.counts == {"is_dos": 0, "rs_dos": 1}

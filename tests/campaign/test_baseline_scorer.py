"""A trained graph model as a scorer: stored with the campaign, found by every worker, refused where it is blind."""

import json
import math
import shutil

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.config.yaml_file import CampaignFileError
from campaign.recovery.deletion import delete_campaign
from campaign.running_campaign import RunningCampaign, start_campaign
from campaign.scheduling.advance import advance
from campaign.scorers.base import identity_text
from campaign.scorers.baseline import Baseline
from campaign.spec.campaign_spec import FIREWORK_HEADER
from campaign.spec.checks import check_engine, check_new
from campaign.spec.reader import read_campaign_file
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.models import ModelLostError, fetch_bundle
from campaign.verification.references import check_models
from campaign.views.results import format_model
from esnet.bundle.shipped import bundle_folder

pytestmark = pytest.mark.keras
for package in ("aviary", "torch"):
    pytest.importorskip(package, reason="extra 'graph' is not installed")

ALLOYS = {"candidates": {"prototypes": ["B1", "B2", "L1_2"], "elements": ["Cu", "Pd", "Au"]}}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A CGCNN-HD that knows Cu, Pd and Au, not well."""
    from esnet.graph.bundle import fit
    from esnet.graph.kinds import KINDS

    crystals = [
        Structure(Lattice.cubic(length), pair, [[0, 0, 0], [0.5, 0.5, 0.5]])
        for length in np.linspace(2.8, 3.4, 10)
        for pair in (["Cu", "Au"], ["Pd", "Au"], ["Cu", "Pd"])
    ]
    energies = np.array([crystal.volume / len(crystal) - 14.0 for crystal in crystals]) / 20.0
    kind = KINDS["cgcnn-hd"]
    trained = fit(
        kind,
        (crystals[:20], energies[:20]),
        (crystals[20:], energies[20:]),
        settings=kind.training.with_changes(epochs=2),
        data_source={"kind": "campaign", "engine": "gpaw"},
    )
    return trained.save(tmp_path_factory.mktemp("models") / "cgcnn-hd").info.path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def relax_references(store):
    for energy, reference in enumerate(store.references.find().sort("_id"), start=3):
        update = {"state": "relaxed", "relaxation.energy": -float(energy), "relaxation.vasp_version": "6.9.9-gpaw-test"}
        store.references.update_one({"_id": reference["_id"]}, {"$set": update})


def test_what_a_campaign_file_says_of_it_is_checked(small_spec, bundle, tmp_path):
    spec = small_spec(**ALLOYS, scorer={"kind": "baseline", "bundle": str(bundle)})
    assert spec.scorer == Baseline(bundle=bundle)
    assert (spec.scorer.needs_dos, spec.scorer.needs_model) == (False, False)
    check_engine(spec)
    check_new(spec.model_copy(update={"policy": spec.policy.model_copy(update={"novel": "ignore"})}))
    assert spec.scorer.gives_uncertainty()
    with pytest.raises(CampaignFileError, match=r"elements\[1\]: found 'Ag': no sample that the CGCNN-HD .* has it"):
        small_spec(
            candidates={"prototypes": ["B2"], "elements": ["Cu", "Ag"]},
            scorer={"kind": "baseline", "bundle": str(bundle)},
        )
    with pytest.raises(CampaignFileError, match=r"scorer\.bundle: .*nowhere does not exist; right: a folder"):
        small_spec(**ALLOYS, scorer={"kind": "baseline", "bundle": str(tmp_path / "nowhere")})
    with pytest.raises(CampaignFileError, match=r"scorer\.corrections: found 'mp2020', but .* says none"):
        small_spec(**ALLOYS, scorer={"kind": "baseline", "bundle": str(bundle), "corrections": "mp2020"})
    with pytest.raises(CampaignFileError, match=r"bundle of an ESNet, which `scorer: \{kind: esnet\}` .*model\.bundle"):
        small_spec(**ALLOYS, scorer={"kind": "baseline", "bundle": str(bundle_folder("gpaw-fast-binary"))})
    with pytest.raises(CampaignFileError, match=r"model\.bundle: .*CGCNN-HD, .*\(scorer: \{kind: baseline, bundle: /"):
        small_spec(**ALLOYS, model={"bundle": str(bundle)})
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(CampaignFileError, match=r"no format: esnet-graph-bundle"):
        small_spec(**ALLOYS, scorer={"kind": "baseline", "bundle": str(tmp_path)})


def test_the_path_is_relative_to_the_campaign_file(bundle, tmp_path):
    shutil.copytree(bundle, tmp_path / "models" / "mine")
    campaign = {
        "candidates": {"prototypes": ["B2"], "elements": ["Cu", "Au"]},
        "scorer": {"kind": "baseline", "bundle": "models/mine"},
    }
    content = {"name": "small", "spec": {**FIREWORK_HEADER, "campaign": campaign}}
    (tmp_path / "campaign.yaml").write_text(json.dumps(content))  # JSON is YAML
    assert read_campaign_file(tmp_path / "campaign.yaml").scorer.bundle == tmp_path / "models" / "mine"


@pytest.mark.mongo
@pytest.mark.usefixtures("cache")
def test_a_campaign_scores_with_it_wherever_its_folder_is(store, database, launchpad, small_spec, bundle, tmp_path):
    from esnet.graph.bundle import TrainedGraphModel

    given = tmp_path / "given"
    shutil.copytree(bundle, given)
    policy = {"max_formation_energy": 0.05, "max_hull_energy": 0.05}
    spec = small_spec(**ALLOYS, scorer={"kind": "baseline", "bundle": str(given)}, policy=policy)
    start_campaign(store, launchpad, spec)
    shutil.rmtree(given)  # as on a worker's machine, where it never was
    relax_references(store)
    advance(OpenCampaign.open(store, launchpad, "small"))
    for step in list(store.steps.find({"kind": "screen", "state": "submitted"}).sort("_id")):
        RunningCampaign.open(store, launchpad, "small").screen(database, step["_id"], fw_id=step["fw_id"])
    documents = list(store.candidates.find())
    trained = TrainedGraphModel.load(bundle)
    expected = trained.predict([Structure.from_dict(document["structure"]) for document in documents])
    for document, said in zip(documents, expected, strict=True):
        assert document["prediction"]["e_form_per_atom"] == pytest.approx(said.e_form, abs=1e-5)
        assert document["prediction"]["uncertainty"] == pytest.approx(said.uncertainty, rel=1e-4)
        assert document["decision"]["promoted"] == (document["prediction"]["e_above_hull"] <= 0.05)
        identity = document["prediction"]["scorer"]
        assert (identity["kind"], identity["network"], identity["model"]) == (
            "baseline",
            "CGCNN-HD",
            trained.info.checksum,
        )
        assert document["prediction"]["corrections"] == "none"
        assert document["prediction"]["model"] is None
    assert identity_text(identity).startswith(f"baseline (network CGCNN-HD, model {trained.info.checksum[:12]}")
    assert len(documents) == 12
    assert all(math.isfinite(document["prediction"]["e_above_hull"]) for document in documents)
    campaign = Campaign.read(store, "small")
    assert format_model(campaign).startswith("Predictions (ML): the graph model given.")
    assert not list(check_models(campaign))
    assert store.steps.distinct("kind") == ["screen"]


@pytest.mark.mongo
@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("section", ["scorer", "model"])
def test_what_may_have_corrections_is_added_though_the_folder_is_gone(
    store, launchpad, launchpad_file, small_spec, bundle, tmp_path, section
):
    given = tmp_path / "given"
    shutil.copytree(bundle if section == "scorer" else bundle_folder("gpaw-fast-binary"), given)
    kind = {"kind": "baseline"} if section == "scorer" else {}
    start_campaign(store, launchpad, small_spec(**ALLOYS, **{section: {**kind, "bundle": str(given)}}))
    shutil.rmtree(given)
    silicide = Structure(Lattice.cubic(2.9), ["Cu", "Si"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    silicide.to(str(tmp_path / "silicide.cif"))
    arguments = ["add", "small", "--as-given", str(tmp_path / "silicide.cif"), "--launchpad", str(launchpad_file)]
    added = CliRunner().invoke(app, [*arguments, "--left-out", str(tmp_path / "left-out.csv")])
    assert added.exit_code == 0, (added.output, added.exception)
    assert "1 of 1 crystals added; references of Si are computed first" in added.output
    # what the stored model does not say is still asked for
    stored = "scorer_bundles.0" if section == "scorer" else "model"
    store.campaigns.update_one({}, {"$unset": {f"{stored}.corrections": ""}})
    silicide.replace(0, "Au")
    silicide.to(str(tmp_path / "silicide.cif"))
    refused = CliRunner().invoke(app, arguments)
    assert f"{section}.corrections: it is unknown whether" in str(refused.exception)
    assert store.candidates.count_documents({"elements": "Si"}) == 1


@pytest.mark.mongo
@pytest.mark.usefixtures("cache")
def test_a_lost_model_is_found_missing_and_comes_back_with_the_file(store, launchpad, small_spec, bundle):
    spec = small_spec(**ALLOYS, scorer={"kind": "baseline", "bundle": str(bundle)})
    start_campaign(store, launchpad, spec)
    checksum = Campaign.read(store, "small").scorer_bundle(bundle)["checksum"]
    store.database["bundles.chunks"].delete_many({})
    assert [finding.subject for finding in check_models(Campaign.read(store, "small"))] == [checksum[:12]]
    start_campaign(store, launchpad, spec)
    assert not list(check_models(Campaign.read(store, "small")))
    assert fetch_bundle(store, checksum).is_dir()
    store.models.delete_many({})
    shutil.rmtree(fetch_bundle(store, checksum))
    with pytest.raises(ModelLostError, match=f"no model {checksum}"):
        fetch_bundle(store, checksum)


@pytest.mark.mongo
@pytest.mark.usefixtures("cache")
def test_its_model_travels_with_a_campaign_and_is_deleted_with_it(
    store, launchpad, launchpad_file, small_spec, bundle, tmp_path
):
    spec = small_spec(**ALLOYS, scorer={"kind": "baseline", "bundle": str(bundle)})
    start_campaign(store, launchpad, spec)
    checksum = Campaign.read(store, "small").scorer_bundle(bundle)["checksum"]
    file, reach = tmp_path / "small.campaign", ["--launchpad", str(launchpad_file)]
    exported = CliRunner().invoke(app, ["export", "small", str(file), *reach])
    assert exported.exit_code == 0, exported.output
    delete_campaign(store, launchpad, "small", outputs=True, features=True, files=True)
    assert (store.models.count_documents({}), store.database["bundles.files"].count_documents({})) == (0, 0)
    imported = CliRunner().invoke(app, ["import", str(file), *reach])
    assert imported.exit_code == 0, imported.output
    assert Campaign.read(store, "small").scorer_bundle(bundle)["checksum"] == checksum
    assert fetch_bundle(store, checksum).is_dir()

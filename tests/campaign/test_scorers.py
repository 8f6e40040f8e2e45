"""What each scorer says, what it refuses, and that a campaign without ESNet computes no DOS and trains nothing."""

import math
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from hypothesis import given, settings
from hypothesis import strategies as st
from installed_plugin import install
from pymatgen.core import Lattice, Structure
from scipy.optimize import minimize_scalar

from campaign.candidates.elements import reference_structure
from campaign.combination.correlation import ASSUMED_CORRELATION
from campaign.combination.weights import combine
from campaign.config.yaml_file import CampaignFileError
from campaign.running_campaign import RunningCampaign, start_campaign
from campaign.scheduling.advance import advance
from campaign.scorers import force_field as scorer_force_field
from campaign.scorers.base import Score, Scorer, ScorerError, ScorerProblem, checked_scores, identity_text
from campaign.scorers.force_field import ForceField
from campaign.scorers.registry import UnknownScorerError, make_scorer
from campaign.scorers.relaxation import Guards, Relaxer, check_density, formation_energy
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.checks import check_engine
from campaign.spec.reader import read_campaign_file
from campaign.steps.energies import single_point_energies
from campaign.steps.screen import screen_step
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.features import FeatureReader
from campaign.store.models import model_summary, register_bundle
from campaign.views.preview import format_preview
from campaign.views.results import format_model
from campaign.views.status.counts import campaign_status
from esnet.bundle.bundle import Bundle
from esnet.bundle.shipped import bundle_folder
from esnet.potentials.potentials import EMT_ELEMENTS, ML_POTENTIALS
from esnet.potentials.relaxation import NoEnergyError

EXAMPLES = Path(__file__).parents[2] / "examples"
B2 = Structure(Lattice.cubic(3.1), ["Al", "Pd"], [[0, 0, 0], [0.5, 0.5, 0.5]])
L1_2 = Structure(Lattice.cubic(3.8), ["Cu", "Cu", "Cu", "Au"], [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0], [0, 0, 0]])
ALLOYS = {"candidates": {"prototypes": ["B1", "B2", "L1_2"], "elements": ["Cu", "Pd", "Au"]}}


@pytest.fixture(scope="module")
def emt():
    return Relaxer("EMT", steps=300, force_tolerance=0.01)


@pytest.fixture(scope="module")
def elements(emt):
    return {symbol: emt.energy(reference_structure(symbol)) for symbol in EMT_ELEMENTS}


def emt_minimum(atoms) -> float:
    """Lowest energy of a cubic crystal over its lattice constant, eV/atom, with ASE alone."""

    def energy(factor: float) -> float:
        scaled = atoms.copy()
        scaled.set_cell(atoms.cell * factor, scale_atoms=True)
        scaled.calc = EMT()
        return scaled.get_potential_energy() / len(scaled)

    return float(minimize_scalar(energy, bounds=(0.85, 1.2), method="bounded", options={"xatol": 1e-5}).fun)


@pytest.mark.parametrize("structure", [B2, L1_2], ids=["B2 AlPd", "L1_2 Cu3Au"])
def test_formation_energies_are_those_of_the_potential_itself(emt, elements, structure):
    references = sum(
        number * emt_minimum(bulk(element.symbol)) for element, number in structure.composition.items()
    ) / len(structure)
    expected = emt_minimum(structure.to_ase_atoms()) - references
    found = formation_energy(structure, emt, elements)
    assert found == pytest.approx(expected, abs=1e-3)
    # in this potential, as in nature, Cu3Au is stable; AlPd it gets wrong
    assert (found < 0) == (structure is L1_2)


@pytest.mark.parametrize("cells", [(2, 1, 1), (2, 2, 2)])
def test_a_supercell_has_the_formation_energy_of_its_cell(emt, elements, cells):
    supercell = L1_2.copy()
    supercell.make_supercell(cells)
    assert formation_energy(supercell, emt, elements) == pytest.approx(formation_energy(L1_2, emt, elements), abs=1e-3)


@settings(max_examples=8, deadline=None)
@given(scale=st.floats(0.8, 1.3), order=st.permutations(range(4)))
def test_neither_the_volume_to_begin_with_nor_the_order_of_sites_changes_the_energy(scale, order):
    relaxer = Relaxer("EMT", steps=500, force_tolerance=0.01)
    changed = Structure.from_sites([L1_2[place] for place in order])
    changed.scale_lattice(L1_2.volume * scale)
    assert relaxer.energy(changed) == pytest.approx(relaxer.energy(L1_2), abs=1e-3)


def test_a_relaxation_that_goes_wrong_gives_no_number(emt, elements):
    overlapping = Structure(Lattice.cubic(3.1), ["Al", "Pd"], [[0, 0, 0], [0.02, 0, 0]])
    with pytest.raises(NoEnergyError, match="did not converge in 20 steps"):
        Relaxer("EMT", steps=20, force_tolerance=0.01).energy(overlapping)
    with pytest.raises(NoEnergyError, match=r"broke off .*EMT-potential for Fe"):
        emt.energy(Structure(Lattice.cubic(2.9), ["Fe", "Pd"], [[0, 0, 0], [0.5, 0.5, 0.5]]))
    # converged at once, since atoms so far apart do not feel each other
    lonely = Structure(Lattice.cubic(30.0), ["Al", "Pd"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    for wrong in (lonely, Structure(Lattice.cubic(1.0), ["Al", "Pd"], [[0, 0, 0], [0.5, 0.5, 0.5]])):
        with pytest.raises(NoEnergyError, match="times the volume of its atoms"):
            formation_energy(wrong, emt, elements)
    with pytest.raises(NoEnergyError, match="changed the volume by a factor of"):
        Relaxer("EMT", steps=300, force_tolerance=0.01, guards=Guards(volume_change=3.0)).energy(
            B2.copy().scale_lattice(B2.volume * 4.5)
        )
    with pytest.raises(NoEnergyError, match="no crystal of Pd"):
        formation_energy(B2, emt, elements | {"Pd": "no crystal of Pd"})
    with pytest.raises(NoEnergyError, match="have collapsed"):
        formation_energy(B2, emt, elements | {"Pd": 100.0})
    check_density(B2, emt.guards)


# ---- what a campaign file may ask for


def test_the_scorer_is_esnet_where_the_file_names_none(small_spec):
    spec = small_spec()
    assert (spec.scorer.kind, spec.scorer.needs_dos, spec.scorer.needs_model) == ("esnet", True, True)
    assert CampaignSpec.model_validate(spec.model_dump(mode="json")) == spec
    chosen = small_spec(**ALLOYS, scorer={"kind": "force_field", "calculator": "EMT", "uncertainty": 0.1})
    assert CampaignSpec.model_validate(chosen.model_dump(mode="json")).scorer == chosen.scorer


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scorer": {"kind": "force_field", "calculator": "emt"}}, r"scorer\.calculator: found 'emt': .*mean 'EMT'"),
        ({"scorer": {"kind": "force_field"}}, r"scorer\.calculator: is missing"),
        ({"scorer": "CHGNet"}, r"found 'CHGNet'.*e\.g\. scorer: \{kind: force_field, calculator: CHGNet\}"),
        (
            {"scorer": {"kind": "ensemble", "potentials": [{"calculator": "CHGNet"}] * 2}},
            r"given twice.*e\.g\. \[\{calculator: CHGNet\}, \{calculator: SevenNet, model: l3i5\}\]",
        ),
        ({"scorer": {"kind": "oracle"}}, r"scorer\.kind: found 'oracle': .* one of esnet, force_field, ensemble"),
        ({"scorer": {"kind": "esnet", "calculator": "EMT"}}, r"scorer\.calculator: unknown key"),
    ],
    ids=lambda value: None if isinstance(value, str) else str(value["scorer"]),
)
def test_a_wrong_scorer_is_refused_with_what_would_be_right(small_spec, changes, message):
    with pytest.raises(CampaignFileError, match=message):
        small_spec(**changes)


def test_an_element_that_the_potential_does_not_know_is_refused_by_name(small_spec):
    candidates = {"prototypes": ["B2"], "elements": ["Al", "Fe", "Pd"]}
    with pytest.raises(CampaignFileError, match=r"elements\[1\]: found 'Fe': the potential EMT .* does not know it"):
        small_spec(candidates=candidates, scorer={"kind": "force_field", "calculator": "EMT"})
    ensemble = {"kind": "ensemble", "potentials": [{"calculator": name} for name in ("CHGNet", "SevenNet", "EMT")]}
    with pytest.raises(CampaignFileError, match=r"potential EMT \(scorer\.potentials\[2\]\.calculator\) does not"):
        small_spec(candidates=candidates, scorer=ensemble)
    prefilter = {"uncertainty": 0.1, "scorer": ensemble}
    with pytest.raises(CampaignFileError, match=r"EMT \(prefilter\.scorer\.potentials\[2\]\.calculator\) does not"):
        small_spec(candidates=candidates, prefilter=prefilter)


def test_a_model_that_nothing_would_use_is_refused(small_spec, tmp_path):
    with pytest.raises(CampaignFileError, match=r"needs no trained ESNet, but model\.bundle names one"):
        small_spec(model={"bundle": str(tmp_path)}, scorer={"kind": "force_field", "calculator": "EMT"})
    with pytest.raises(CampaignFileError, match=r"predicts nothing, but scorer\.kind is force_field"):
        small_spec(purpose="training_set", scorer={"kind": "force_field", "calculator": "EMT"})


def test_a_potential_whose_package_is_missing_is_refused_with_the_extra(small_spec, monkeypatch):
    for module in ("chgnet", "mace"):
        monkeypatch.setitem(__import__("sys").modules, module, None)  # as if it were not installed
    spec = small_spec(scorer={"kind": "force_field", "calculator": "CHGNet"})
    with pytest.raises(CampaignFileError, match=r"scorer\.calculator: .*'esnet-campaign\[forcefields\]'"):
        check_engine(spec)
    spec = small_spec(scorer={"kind": "force_field", "calculator": "MACE-MP-0"})
    with pytest.raises(CampaignFileError, match=r"scorer\.calculator: .*pip install mace-torch"):
        check_engine(spec)


def test_an_element_that_an_ml_potential_does_not_know_is_refused_by_name(monkeypatch):
    class Emt(Relaxer):  # stands for a potential that is asked, since none but EMT is always installed
        def __init__(self, calculator: str, **settings: Any) -> None:
            super().__init__("EMT", **settings | {"model": None})

    monkeypatch.setattr("campaign.scorers.relaxation.Relaxer", Emt)
    problems = list(ForceField(calculator="CHGNet").problems_here(["Al", "Fe"]))
    assert [problem.field for problem in problems] == [("candidates", "elements", "Fe")]


def test_every_ml_potential_that_may_be_named_is_one_of_atomate2():
    from atomate2.forcefields import MLFF

    assert set(ML_POTENTIALS) <= {potential.value for potential in MLFF}


def test_chgnet_relaxes_where_it_is_installed():
    pytest.importorskip("chgnet")
    relaxer = Relaxer("CHGNet", steps=200, force_tolerance=0.05)
    known = {symbol: relaxer.energy(reference_structure(symbol)) for symbol in ("Al", "Pd")}
    # B2 AlPd is stable: -0.79 eV/atom by this project's quickstart
    assert -1.2 < formation_energy(B2, relaxer, known) < -0.5


# ---- the protocol


@given(st.lists(st.one_of(st.none(), st.floats()), min_size=1, max_size=6))
def test_an_energy_that_is_no_number_becomes_none_with_a_reason(energies):
    ids = [str(place) for place in range(len(energies))]
    given = [Score(id=name, e_form=e) for name, e in zip(ids, energies, strict=True)]
    scores = {score.id: score for score in checked_scores(given, ids)}
    for name, energy in zip(ids, energies, strict=True):
        known = energy is not None and math.isfinite(energy)
        assert (scores[name].e_form, scores[name].reason is None) == (energy if known else None, known)


@pytest.mark.parametrize(
    ("answered", "message"), [("a", "left out 1 of 2 .* b"), ("abb", "b twice"), ("abc", "c without being asked")]
)
def test_a_scorer_that_forgets_or_invents_candidates_is_refused(answered, message):
    with pytest.raises(ScorerError, match=message):
        list(checked_scores([Score(id=name, e_form=0.0) for name in answered], ["a", "b"]))


class Constant(Scorer):
    """A scorer as another package would bring it; it wants a DOS, but no ESNet."""

    kind: Literal["constant"] = "constant"
    value: float
    needs_dos = True

    def score(self, ids, context):
        return [Score(id=name, e_form=self.value, uncertainty=math.nan) for name in ids]

    def identity(self, campaign):
        return {"kind": self.kind, "value": self.value}

    def problems(self, elements):
        if "Pd" in elements:
            yield ScorerProblem(("candidates", "elements", "Pd"), "no Pd please")


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a distribution with entry points: a scorer, something that is none, and a shipped name."""
    points = "constant = test_scorers:Constant\nbroken = math:pi\nesnet = test_scorers:Constant\n"
    install(monkeypatch, tmp_path, f"[esnet_campaign.scorers]\n{points}")


@pytest.mark.usefixtures("installed")
def test_a_scorer_of_another_package_is_found_by_its_entry_point(small_spec):
    spec = small_spec(scorer={"kind": "constant", "value": -0.1})
    assert spec.scorer == Constant(value=-0.1)
    assert "all candidates get an IS-DOS and a prediction by constant" in list(format_preview(spec))
    with pytest.raises(CampaignFileError, match=r"elements\[1\]: no Pd please"):
        small_spec(**ALLOYS, scorer={"kind": "constant", "value": -0.1})


@pytest.mark.usefixtures("installed")
def test_another_package_can_neither_replace_a_shipped_scorer_nor_bring_something_else():
    assert make_scorer({"kind": "esnet"}).needs_model
    with pytest.raises(UnknownScorerError, match="not a Scorer"):
        make_scorer({"kind": "broken"})


def test_an_identity_is_told_in_words():
    model = {"kind": "esnet", "model": "0123456789abcdef"}
    assert identity_text(model) == "esnet (model 0123456789ab)"
    told = identity_text(ForceField(calculator="EMT").identity(None))
    assert told.startswith("force_field (calculator EMT, steps 500, force_tolerance 0.03, python ")


# ---- whole campaigns, but for the DFT


def relax_references(store):
    for energy, reference in enumerate(store.references.find().sort("_id"), start=3):
        facts = {"energy": -float(energy), "vasp_version": "6.9.9-gpaw-test"}
        update = {"state": "relaxed", **{f"relaxation.{key}": value for key, value in facts.items()}}
        store.references.update_one({"_id": reference["_id"]}, {"$set": update})


def run_screens(store, database, launchpad, name):
    for step in list(store.steps.find({"campaign": name, "kind": "screen", "state": "submitted"}).sort("_id")):
        RunningCampaign.open(store, launchpad, name).screen(database, step["_id"], fw_id=step["fw_id"])


@pytest.fixture
def screened(store, database, launchpad, small_spec):
    """An EMT campaign from its start to the decisions, in two batches; the crystal of one candidate is nonsense."""
    spec = small_spec(
        **ALLOYS,
        scorer={"kind": "force_field", "calculator": "EMT", "uncertainty": 0.1},
        policy={"max_formation_energy": 0.05, "max_hull_energy": 0.05},
        screening={"batch_size": 7},
    )
    start_campaign(store, launchpad, spec)
    exploded = store.candidates.find_one({"prototype": "B2", "chemsys": "Cu-Pd"})
    wrong = Structure.from_dict(exploded["structure"])
    wrong.scale_lattice(1000 * wrong.volume)
    store.candidates.update_one({"_id": exploded["_id"]}, {"$set": {"structure": wrong.as_dict()}})
    relax_references(store)
    advance(OpenCampaign.open(store, launchpad, "small"))
    run_screens(store, database, launchpad, "small")
    return exploded["_id"]


@pytest.mark.mongo
def test_a_campaign_without_dos_goes_from_its_start_to_decisions(store, launchpad, screened):
    assert {workflow["metadata"].get("stage") for workflow in launchpad.workflows.find()} == {"relax", None}
    assert store.steps.distinct("kind") == ["screen"]
    assert store.steps.count_documents({"state": "done"}) == 2
    assert store.references.count_documents({"rs_dos": {"$exists": True}}) == 0
    candidates = list(store.candidates.find())
    assert len(candidates) == 12
    assert {document["role"] for document in candidates} == {"screened"}
    for document in candidates:
        said, decision = document["prediction"], document["decision"]
        assert document["state"] == ("relax_running" if decision["promoted"] else "rejected")
        assert (said["step"], said["model"]) == (f"small/screen/{document['batch']}", None)
        assert said["scorer"]["calculator"] == decision["scorer"]["calculator"] == "EMT"
        assert set(said["scorer"]["versions"]) == {"python", "ase", "atomate2"}
        if document["_id"] == screened:
            assert math.isnan(said["e_form_per_atom"])
            assert "times the volume of its atoms" in said["reason"]
            assert not decision["promoted"]
        else:
            # the references of this test are the elements alone
            assert said["e_above_hull"] == pytest.approx(said["e_form_per_atom"])
            assert (said["uncertainty"], said["novel"], said["reason"]) == (0.1, None, None)
            assert decision["promoted"] == (said["e_form_per_atom"] <= 0.05)
    cu3au = store.candidates.find_one({"prototype": "L1_2", "formula": "Cu3Au"})
    assert -0.05 < cu3au["prediction"]["e_form_per_atom"] < 0
    assert all(entry["cpu_s"] > 0 for entry in store.attempts.find({"stage": "screen"}))


@pytest.mark.mongo
def test_a_campaign_without_dos_says_so_wherever_it_is_shown(store, launchpad, small_spec):
    start_campaign(store, launchpad, small_spec(**ALLOYS, scorer={"kind": "force_field", "calculator": "EMT"}))
    status = campaign_status(Campaign.read(store, "small"))
    assert (status.needs_dos, status.model, status.bootstrap["all"]) == (False, None, 0)
    assert format_model(Campaign.read(store, "small")).startswith(
        "Predictions (ML): relaxations with the potential EMT."
    )
    lines = list(format_preview(Campaign.read(store, "small").spec))
    assert "all candidates get no DOS and a prediction by relaxations with the potential EMT" in lines


@pytest.mark.mongo
def test_screens_at_once_do_not_relax_the_same_candidates(store, database, launchpad, small_spec, monkeypatch):
    asked: list[str] = []

    def score(self, ids, context):
        asked.extend(ids)
        return [Score(id=name, e_form=0.5) for name in ids]

    monkeypatch.setattr(scorer_force_field.ForceField, "score", score)
    scorer = {"kind": "force_field", "calculator": "EMT"}
    policy = {"max_formation_energy": 0.0, "max_hull_energy": 0.0}
    spec = small_spec(**ALLOYS, scorer=scorer, policy=policy, screening={"batch_size": 5})
    start_campaign(store, launchpad, spec)
    relax_references(store)
    advance(OpenCampaign.open(store, launchpad, "small"))
    steps = [step["_id"] for step in store.steps.find({"kind": "screen"}).sort("_id")]
    assert steps == [f"small/screen/{batch}" for batch in range(3)]
    screen_step(OpenCampaign.open(store, launchpad, "small"), database, steps[1], fw_id=901)
    assert len(asked) == 5
    # one that was killed after its predictions, and runs again, asks for nothing a second time
    store.candidates.update_many({"batch": 1}, {"$set": {"state": "dos_done"}, "$unset": {"decision": ""}})
    screen_step(OpenCampaign.open(store, launchpad, "small"), database, steps[1], fw_id=901)
    for step in (steps[0], steps[2]):
        screen_step(OpenCampaign.open(store, launchpad, "small"), database, step, fw_id=902)
    assert sorted(asked) == sorted(found["_id"] for found in store.candidates.find())
    assert store.candidates.count_documents({"state": "rejected"}) == 12


@pytest.mark.mongo
@pytest.mark.usefixtures("installed")
def test_a_scorer_that_wants_a_dos_but_no_esnet_trains_nothing(store, database, launchpad, small_spec):
    start_campaign(store, launchpad, small_spec(scorer={"kind": "constant", "value": -0.1}))
    assert store.candidates.count_documents({"state": "dos_running", "role": "screened"}) == 3
    relax_references(store)
    store.candidates.update_many({}, {"$set": {"state": "dos_done"}})
    advance(OpenCampaign.open(store, launchpad, "small"))
    assert [step["_id"] for step in store.steps.find()] == ["small/screen/0"]
    run_screens(store, database, launchpad, "small")
    said = [found["prediction"] for found in store.candidates.find()]
    assert [(found["e_form_per_atom"], found["uncertainty"]) for found in said] == [(-0.1, None)] * 3
    assert said[0]["scorer"] == {"kind": "constant", "value": -0.1}


def untrained_bundle(path):
    """A small network with the weights that it begins with."""
    from esnet.bundle.bundle import save_bundle
    from esnet.bundle.record import RECORD_VERSION, TrainingRecord
    from esnet.network.model import build_esnet
    from esnet.representation.features import Representation
    from esnet.representation.scaling import ChannelScaler, TargetScaling

    unknown = {field.name: None for field in fields(TrainingRecord)}
    record = TrainingRecord(**unknown | {"version": RECORD_VERSION, "n_materials": 7, "data_source": {}})
    save_bundle(
        path,
        model=build_esnet(widths=(4, 4, 8, 8)),
        scaler=ChannelScaler(((0.0,) * 9,) * 2, ((1.0,) * 9,) * 2),
        target_scaling=TargetScaling(0.0, 1.0),
        representation=Representation(),
        record=record,
    )


def give_dos(store, ids):
    """Store a density of states of each candidate, as if it had been computed."""
    import numpy as np

    from workflows.dos import DosFeatures

    rng = np.random.default_rng(1)
    for name in ids:
        dos = DosFeatures.encode(
            rng.random((2, 1500, 9), dtype=np.float32),
            spacing=0.02,
            efermi=1.0,
            normalisation="atom",
            energy_reference="absolute",
        )
        composition = store.candidates.find_one({"_id": name})["composition"]
        features = {"_id": f"{name}:dos", "document": name, "composition": composition}
        store.features.insert_one({**dos.to_document(), **features})
    store.candidates.update_many({"role": "screened"}, {"$set": {"state": "dos_done"}})
    store.references.update_many({}, {"$set": {"rs_dos.state": "done"}})


@pytest.fixture
def with_dos(store, database, launchpad, small_spec, tmp_path, monkeypatch):
    """Start a campaign with a model, give all candidates but the first their DOS, and run its Screens."""
    from esnet.ray.session import ray_session

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(prepare=None, **changes):
        start_campaign(store, launchpad, small_spec(**ALLOYS, **changes))
        if "model" not in changes:
            untrained_bundle(tmp_path / "bundle")
            model = model_summary(store, register_bundle(store, tmp_path / "bundle"), source="bundle")
            store.campaigns.update_one({"_id": "small"}, {"$set": {"model": model}})
        first, *others = [found["_id"] for found in store.candidates.find({"role": "screened"}).sort("_id")]
        give_dos(store, others)
        if prepare is not None:
            prepare(others)
        relax_references(store)
        advance(OpenCampaign.open(store, launchpad, "small"))
        with ray_session(num_cpus=1):
            run_screens(store, database, launchpad, "small")
        # the first is not judged without its DOS, which is computed again
        assert store.candidates.find_one({"_id": first})["state"] == "dos_running"
        said = {found["_id"]: found.get("prediction") for found in store.candidates.find({"role": "screened"})}
        assert said.pop(first) is None
        return said

    return run


@pytest.mark.mongo
@pytest.mark.ray
@pytest.mark.keras
def test_esnet_scores_through_the_same_protocol(store, with_dos):
    said = with_dos()
    checksum = store.campaigns.find_one()["model"]["checksum"]
    assert all(found["scorer"] == {"kind": "esnet", "model": checksum} for found in said.values())
    assert all(math.isfinite(found["e_form_per_atom"]) for found in said.values())
    # the actor's own seconds are in it: loading TensorFlow alone takes more than the Screen's process
    (entry,) = store.attempts.find({"stage": "screen"})
    assert entry["cpu_s"] > 1.0


@pytest.mark.mongo
@pytest.mark.ray
@pytest.mark.keras
def test_a_model_of_the_change_by_the_relaxation_adds_the_energy_of_the_is_dos(store, database, with_dos):
    # the same DOS, but energies that differ by 0.1 eV/atom from one candidate to the next; the last has none
    def energies(ids):
        for number, name in enumerate(ids[:-1]):
            n_atoms = sum(store.candidates.find_one({"_id": name})["composition"].values())
            store.candidates.update_one({"_id": name}, {"$set": {"is_dos.energy": (0.1 * number - 5.0) * n_atoms}})

    said = with_dos(model={"bundle": "gpaw-fast-relaxation"}, prepare=energies)
    campaign = Campaign.read(store, "small")
    assert campaign.model["corrections"] == "references"
    *known, unknown = sorted(said)
    unrelaxed = {each.id: each.e_form for each in single_point_energies(campaign, known)}
    assert len(set(unrelaxed.values())) == len(known)
    bundle = Bundle.load(bundle_folder("gpaw-fast-relaxation"), residual=True)
    reader = FeatureReader(database=database, kind="dos", composition=bundle.representation.composition)
    for name in known:
        _, dos, compositions = reader([name])
        change = bundle.predict(dos, compositions).item()
        assert said[name]["e_form_per_atom"] == pytest.approx(unrelaxed[name] + change, abs=1e-5)
        assert said[name]["uncertainty"] > 0
        assert said[name]["corrections"] == "none"
    assert math.isnan(said[unknown]["e_form_per_atom"])
    assert said[unknown]["reason"] == "its IS-DOS has no total energy"


@pytest.mark.mongo
@pytest.mark.ray
@pytest.mark.keras
def test_esnet_and_a_potential_say_one_thing_together(store, with_dos, emt, elements):
    potential = {"kind": "force_field", "calculator": "EMT", "uncertainty": 0.1}
    said = with_dos(model={"bundle": "gpaw-fast-binary"}, scorer={"combine": [{"kind": "esnet"}, potential]})
    for name, found in said.items():
        dos, relaxed = found["parts"]
        crystal = Structure.from_dict(store.candidates.find_one({"_id": name})["structure"])
        assert relaxed["e_form_per_atom"] == pytest.approx(formation_energy(crystal, emt, elements), abs=2e-3)
        assert (dos["scorer"], relaxed["scorer"]) == ("ESNet", "EMT")
        assert dos["uncertainty"] > 0
        assert relaxed["uncertainty"] == 0.1
        energies, deviations = ([part[key] for part in found["parts"]] for key in ("e_form_per_atom", "uncertainty"))
        both = combine(energies, deviations, ASSUMED_CORRELATION)
        assert (dos["weight"], relaxed["weight"]) == pytest.approx(both.weights)
        assert found["e_form_per_atom"] == pytest.approx(both.mean)
        assert found["uncertainty"] == pytest.approx(both.deviation)
    assert len({found["parts"][0]["e_form_per_atom"] for found in said.values()}) == len(said)


def test_the_example_names_only_elements_that_its_potential_knows():
    spec = read_campaign_file(EXAMPLES / "emt_screening.yaml")
    assert spec.scorer == ForceField(calculator="EMT", uncertainty=0.15)
    assert not list(spec.scorer.problems_here(spec.candidates.elements))

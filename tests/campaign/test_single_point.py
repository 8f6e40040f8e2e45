"""The scorer that takes the energy of the IS-DOS calculation: what it says, what it refuses, and a whole Screen."""

import math
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition, Lattice, Structure

from campaign.candidates.elements import reference_structure
from campaign.config.yaml_file import CampaignFileError
from campaign.references.reference_sets import load_hull
from campaign.running_campaign import RunningCampaign, start_campaign
from campaign.scheduling.advance import advance
from campaign.scorers.base import Score
from campaign.scorers.force_field import ForceField
from campaign.scorers.single_point import SinglePoint
from campaign.steps.energies import single_point_energies
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.views.preview import format_preview
from esnet.potentials.relaxation import NoEnergyError, PotentialRelaxer

ALLOYS = {"candidates": {"prototypes": ["B1", "B2", "L1_2"], "elements": ["Cu", "Pd", "Au"]}}
EMT = {"kind": "single_point", "calculator": "EMT", "uncertainty": 0.05}
B2 = Structure(Lattice.cubic(3.1), ["Al", "Pd"], [[0, 0, 0], [0.5, 0.5, 0.5]])


class Crystals:
    """A context in which effective medium theory is the DFT: unrelaxed energies are those of its own crystals."""

    actors = SimpleNamespace(actors=None, actor_batch=None, gpus_per_actor=None)
    campaign = SimpleNamespace(name="small")
    step_id = None

    def __init__(self, crystals):
        self.crystals = crystals
        relaxer = PotentialRelaxer("EMT", force_tolerance=0.01)
        self.zero = {each: relaxer.energy(reference_structure(each)) for each in ("Al", "Pd", "Cu", "Au")}

    def on_usage(self, usage):
        """Count nothing."""

    def structures(self, ids):
        yield from ((name, self.crystals[name]) for name in ids)

    def element_structures(self, symbol):
        return [reference_structure(symbol)]

    def kept_energies(self):
        return {}

    def keep_energies(self, energies):
        """Keep nothing."""

    def single_points(self, ids):
        from ase.calculators.emt import EMT as Calculator

        for name in ids:
            atoms = self.crystals[name].to_ase_atoms(msonable=False)
            atoms.calc = Calculator()
            zero = sum(n * self.zero[element.symbol] for element, n in self.crystals[name].composition.items())
            yield Score(id=name, e_form=(atoms.get_potential_energy() - zero) / len(atoms))


@settings(max_examples=6, deadline=None)
@given(scale=st.floats(0.85, 1.25))
def test_with_a_perfect_potential_it_is_the_energy_of_the_relaxed_crystal(scale):
    crystal = B2.copy()
    crystal.scale_lattice(B2.volume * scale)
    context = Crystals({"a": crystal})
    (found,) = SinglePoint(calculator="EMT", force_tolerance=0.01).score(["a"], context)
    (relaxed,) = ForceField(calculator="EMT", force_tolerance=0.01).score(["a"], context)
    (unrelaxed,) = SinglePoint().score(["a"], context)
    assert found.e_form == pytest.approx(relaxed.e_form, abs=1e-3)
    assert unrelaxed.e_form == next(context.single_points(["a"])).e_form
    assert unrelaxed.e_form >= found.e_form  # a relaxation never raises the energy


def test_a_crystal_that_the_potential_cannot_relax_gets_no_prediction():
    overlapping = Structure(Lattice.cubic(3.1), ["Al", "Pd"], [[0, 0, 0], [0.02, 0, 0]])
    huge = B2.copy()
    huge.scale_lattice(1000 * B2.volume)
    context = Crystals({"good": B2, "overlapping": overlapping, "huge": huge})
    found = {each.id: each for each in SinglePoint(calculator="EMT", steps=20).score(["overlapping", "huge"], context)}
    assert found["overlapping"].e_form is None
    assert "its atoms began too close to each other" in found["overlapping"].reason
    assert "times the volume of its atoms" in found["huge"].reason
    with pytest.raises(NoEnergyError, match=r"lowered its energy by 0\.008"):
        PotentialRelaxer("EMT", largest_formation_energy=1e-6).relaxation_energy(B2)


@pytest.mark.parametrize(
    ("scorer", "message"),
    [
        ({"kind": "single_point", "calculator": "CHGNett"}, r"scorer\.calculator: found 'CHGNett'.*mean 'CHGNet'"),
        ({"kind": "single_point", "model": "l3i5"}, r"scorer\.model: found 'l3i5'.*name the calculator"),
        ({"kind": "single_point", "calculator": "CHGNet", "model": "r2scan"}, r"scorer\.model: .*r2SCAN"),
    ],
)
def test_what_is_wrong_with_it_is_said_where_it_stands(small_spec, scorer, message):
    with pytest.raises(CampaignFileError, match=message):
        small_spec(**ALLOYS, scorer=scorer)


def test_a_prefilter_cannot_use_what_is_computed_after_it(small_spec):
    with pytest.raises(CampaignFileError, match="needs an IS-DOS of every candidate; a prefilter runs before"):
        small_spec(prefilter={"scorer": EMT})


@pytest.mark.parametrize(
    ("scorer", "told"),
    [
        ({"kind": "single_point"}, "the energy of the IS-DOS calculation"),
        (EMT, "the energy of the IS-DOS calculation, changed by a relaxation with the potential EMT"),
    ],
)
def test_the_preview_says_that_candidates_get_an_is_dos_and_nothing_is_trained(small_spec, scorer, told):
    lines = list(format_preview(small_spec(**ALLOYS, scorer=scorer)))
    assert f"all candidates get an IS-DOS and a prediction by {told}" in lines
    assert not any("train" in line for line in lines)


@pytest.fixture
def at_screen(store, database, launchpad, small_spec):
    """Start a campaign and let all calculations before its Screens end; the first candidate's has no energy."""

    def run(scorer):
        start_campaign(store, launchpad, small_spec(**ALLOYS, scorer=scorer))
        for energy, reference in enumerate(store.references.find().sort("_id"), start=3):
            facts = {"state": "relaxed", "relaxation.energy": -float(energy), "relaxation.vasp_version": "6.9.9-gpaw"}
            store.references.update_one({"_id": reference["_id"]}, {"$set": facts})
        candidates = list(store.candidates.find().sort("_id"))
        for number, candidate in enumerate(candidates):
            energy = math.nan if number == 0 else -4.5 * sum(candidate["composition"].values())
            facts = {"state": "dos_done", "is_dos.energy": energy, "is_dos.hubbards": {}}
            store.candidates.update_one({"_id": candidate["_id"]}, {"$set": facts})
        advance(OpenCampaign.open(store, launchpad, "small"))
        for step in list(store.steps.find({"kind": "screen", "state": "submitted"}).sort("_id")):
            RunningCampaign.open(store, launchpad, "small").screen(database, step["_id"], fw_id=step["fw_id"])
        return [found["_id"] for found in candidates]

    return run


@pytest.mark.mongo
def test_predictions_are_formation_energies_by_the_campaigns_own_references(store, launchpad, at_screen):
    first, *others = at_screen({"kind": "single_point", "uncertainty": 0.1})
    assert store.steps.distinct("kind") == ["screen"]  # neither a bootstrap sample nor a Train
    campaign = Campaign.read(store, "small")
    hull = load_hull(store, campaign.reference_set)
    for name in others:
        found = store.candidates.find_one({"_id": name})
        composition = Composition(found["composition"])
        (expected,) = hull.formation_energies([composition], [-4.5 * composition.num_atoms])
        said = found["prediction"]
        assert said["e_form_per_atom"] == pytest.approx(expected)
        assert (said["uncertainty"], said["corrections"], said["reason"]) == (0.1, "none", None)
        assert said["scorer"] == {"kind": "single_point", "uncertainty": 0.1}
        assert found["decision"]["promoted"] == (found["state"] == "relax_running")
    # the first has neither an energy nor a DOS: it is not judged, and its IS-DOS is computed again
    assert store.candidates.find_one({"_id": first})["state"] == "dos_running"
    (lost,) = single_point_energies(campaign, [first])
    assert (lost.e_form, lost.reason) == (None, "its IS-DOS has no total energy")


@pytest.mark.mongo
def test_with_a_potential_the_change_of_its_energy_is_added(store, launchpad, at_screen):
    _, *others = at_screen(EMT)
    relaxer = PotentialRelaxer("EMT")
    unrelaxed = {each.id: each.e_form for each in single_point_energies(Campaign.read(store, "small"), others)}
    for name in others:
        found = store.candidates.find_one({"_id": name})
        change = relaxer.relaxation_energy(Structure.from_dict(found["structure"]))
        assert change < 0
        assert found["prediction"]["e_form_per_atom"] == pytest.approx(unrelaxed[name] + change, abs=2e-3)
        assert found["prediction"]["scorer"]["calculator"] == "EMT"

"""A campaign corrects its scorer's predictions by what it has relaxed, and decides again on what waits."""

import json
from typing import Literal

import pytest
from installed_plugin import install
from predicted import store_predictions
from prepared import MODEL, finish_dos, relax_references, steps, with_model
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.recovery.reconcile import reconcile
from campaign.running_campaign import RunningCampaign, start_campaign
from campaign.scheduling.advance import advance
from campaign.scheduling.submit import submit_step
from campaign.scorers.base import Score, Scorer
from campaign.steps import recalibrate, screen
from campaign.steps.correction import current_correction
from campaign.steps.decide import make_decisions
from campaign.steps.rescore import screen_again
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.steps import Step
from campaign.verification.verify import verify

pytestmark = pytest.mark.mongo

#: What the scorer below misses of each atom of an element, eV.
OFFSETS = {"Al": 0.3, "Cu": -0.2, "Ag": 0.1, "Pd": -0.25, "Au": 0.0}
#: 60 candidates in batches of 30; 25 relaxations are paid for.
SECTIONS = {
    "candidates": {"prototypes": ["B1", "B2", "B3", "L1_0", "L1_2"], "elements": list(OFFSETS)},
    "screening": {"batch_size": 30, "recalibrate_every": 20},
    "scorer": {"kind": "rule"},
    "policy": {"max_formation_energy": 0.0, "max_hull_energy": 5.0},
    "budget": {"relaxations": 22},
}


class Rule(Scorer):
    """Predicts by a rule that knows nothing of the elements' offsets, and counts the candidates it was asked for."""

    kind: Literal["rule"] = "rule"

    def score(self, ids, context):
        asked.extend(ids)
        return [Score(id=name, e_form=rule(structure)) for name, structure in context.structures(ids)]

    def identity(self, campaign):
        return {"kind": self.kind, "versions": dict(versions)}


asked: list[str] = []
versions = {"torch": "2.13.0"}


def rule(structure) -> float:
    """Between -0.3 and -0.1 eV/atom, another for each prototype."""
    return -0.3 + 0.2 * (structure.get_space_group_info()[1] % 10) / 10.0


def fractions(document):
    atoms = sum(document["composition"].values())
    return {symbol: number / atoms for symbol, number in document["composition"].items()}


def truth(document):
    """Formation energy of a candidate in truth, eV/atom."""
    said = document["prediction"]
    raw = said.get("raw") or said
    return raw["e_form_per_atom"] + sum(OFFSETS[symbol] * share for symbol, share in fractions(document).items())


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install the rule as another package would."""
    install(monkeypatch, tmp_path, "[esnet_campaign.scorers]\nrule = test_recalibration:Rule\n")
    asked.clear()


@pytest.fixture
def screened(store, database, launchpad, small_spec, installed):
    """A campaign whose first batch is decided on: 22 promoted, 8 held; the second batch waits."""
    start_campaign(store, launchpad, small_spec(**SECTIONS))
    relax_references(store)
    advance(OpenCampaign.open(store, launchpad, "small"))
    run(store, database, launchpad, "small/screen/0")
    return "small"


def run(store, database, launchpad, step_id):
    """Run a Screen or a recalibration as its firework does."""
    step = store.steps.find_one({"_id": step_id})
    campaign = RunningCampaign.open(store, launchpad, step["campaign"])
    if step["kind"] == "recalibrate":
        campaign.recalibrate(step_id, fw_id=step["fw_id"])
    else:
        campaign.screen(database, step_id, fw_id=step["fw_id"])
    launchpad.fireworks.update_one({"fw_id": step["fw_id"]}, {"$set": {"state": "COMPLETED"}})


def relax(store, launchpad, number):
    """Relax promoted candidates: each comes to its true formation energy."""
    energies = {reference["formula"]: reference for reference in store.references.find()}
    found = store.candidates.find({"state": "relax_running"}).sort("_id").limit(number)
    for document in list(found):
        atoms = sum(document["composition"].values())
        energy = atoms * truth(document)
        for symbol, count in document["composition"].items():
            phase = energies[symbol]
            energy += count * phase["relaxation"]["energy"] / sum(phase["composition"].values())
        facts = {"state": "relaxed", "relaxation.energy": energy, "relaxation.vasp_version": "6.9.9-gpaw-test"}
        store.candidates.update_one({"_id": document["_id"]}, {"$set": facts})
    advance(OpenCampaign.open(store, launchpad, "small"))


def command(database_file, *words):
    result = CliRunner().invoke(app, [*words, "--launchpad", str(database_file)])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def test_what_waits_is_decided_again_by_corrected_predictions(
    store, database, launchpad, launchpad_file, screened, monkeypatch
):
    states = store.state_counts("small")
    assert states == {"relax_running": 22, "held": 8, "dos_done": 30}
    relax(store, launchpad, 19)
    assert "small/recalibrate/0" not in steps(store)
    relax(store, launchpad, 3)
    assert "small/recalibrate/0" in steps(store)
    assert "small/report" not in steps(store)
    (firework,) = launchpad.fireworks.find({"spec.step": "small/recalibrate/0"})
    assert firework["spec"]["_tasks"][0]["_fw_name"] == "{{campaign.firetasks.Recalibrate}}"
    held = {found["_id"]: found for found in store.candidates.find({"state": "held"})}

    # killed between its fit and what follows from it
    with monkeypatch.context() as patched:
        patched.setattr(recalibrate, "screen_again", _killed)
        with pytest.raises(KeyboardInterrupt):
            run(store, database, launchpad, "small/recalibrate/0")
    first = store.steps.find_one({"_id": "small/recalibrate/0"})
    assert first["state"] == "submitted"
    run(store, database, launchpad, "small/recalibrate/0")
    step = store.steps.find_one({"_id": "small/recalibrate/0"})
    assert (step["state"], step["outcome"], step["n_relaxed"], step["fit"]) == ("done", "on", 22, first["fit"])
    offsets = dict(zip(step["fit"]["offsets"]["elements"], step["fit"]["offsets"]["mean"], strict=True))
    assert all(abs(offsets[symbol] - OFFSETS[symbol]) < 0.1 for symbol in offsets)
    assert step["fit"]["after"]["mae"] < 0.5 * step["fit"]["before"]["mae"]
    assert sum(fold["n"] for fold in step["fit"]["folds"]) == 22

    # the scorer is not asked again of what it has predicted already
    before = list(asked)
    run(store, database, launchpad, "small/screen/after-recalibrate-0")
    assert asked == before
    for name, old in held.items():
        now = store.candidates.find_one({"_id": name})
        said = now["prediction"]
        assert said["raw"]["e_form_per_atom"] == old["prediction"]["e_form_per_atom"]
        assert said["recalibration"] == {"step": "small/recalibrate/0", "n": 22}
        assert abs(said["e_form_per_atom"] - truth(now)) < 0.1
        assert said["e_above_hull"] - said["raw"]["e_above_hull"] == pytest.approx(
            said["e_form_per_atom"] - said["raw"]["e_form_per_atom"]
        )
        assert said["uncertainty"] > 0.0
        assert said["raw"]["uncertainty"] is None
        assert "by small/recalibrate/0, of 22 relaxed" in now["decision"]["reason"]
        assert now["decision"]["outcome"] == ("held" if said["e_form_per_atom"] <= 0.0 else "rejected")
        assert now["previous_predictions"] == [old["prediction"]]
    assert store.candidates.count_documents({"_id": {"$in": list(held)}, "state": "rejected"}) > 0
    # what was promoted stays as it was decided
    assert store.candidates.count_documents({"state": "relaxed", "prediction.recalibration": None}) == 22

    # a later Screen corrects what it predicts
    run(store, database, launchpad, "small/screen/1")
    assert len(asked) == 60
    later = list(store.candidates.find({"prediction.step": "small/screen/1"}))
    assert len(later) == 30
    assert all(abs(document["prediction"]["e_form_per_atom"] - truth(document)) < 0.1 for document in later)

    rows = {row["id"]: row for row in json.loads(command(launchpad_file, "results", "small", "--format", "json"))}
    row, document = rows[later[0]["_id"]], later[0]
    assert row["e_form_ml"] == pytest.approx(document["prediction"]["e_form_per_atom"], abs=1e-6)
    assert row["e_form_raw"] == pytest.approx(document["prediction"]["raw"]["e_form_per_atom"], abs=1e-6)
    assert row["recalibration"] == "small/recalibrate/0"
    assert "38 predictions corrected" in command(launchpad_file, "results", "small")
    assert "on, number 1 on 22 relaxed: offsets of" in " ".join(command(launchpad_file, "status", "small").split())
    told = command(launchpad_file, "explain", "small", document["_id"])
    assert "corrected by small/recalibrate/0, of 22 relaxed: the scorer's own prediction" in told
    assert "recomputed from the stored data: the same" in told
    campaign = OpenCampaign.open(store, launchpad, "small", dry_run=True)
    found = verify(campaign, lambda: reconcile(campaign, dry_run=True), pause_s=0.0).findings
    assert [each for each in found if "decision" in each.check] == []


def _killed(*_args, **_more):
    raise KeyboardInterrupt


def test_a_screen_corrects_with_one_fit_and_what_it_leaves_held_is_asked_again(store, database, launchpad, screened):
    """The second batch's Screen is killed after two predictions; the fit is made before it is run again."""
    ids = sorted(found["_id"] for found in store.candidates.find({"batch": 1}))
    begun = dict.fromkeys(ids[:2], -0.2)
    store_predictions(Campaign.read(store, "small"), "small/screen/1", ids[:2], begun)
    relax(store, launchpad, 22)
    run(store, database, launchpad, "small/recalibrate/0")
    run(store, database, launchpad, "small/screen/1")
    found = list(store.candidates.find({"_id": {"$in": ids}}))
    decided = [document["decision"] for document in found if document["state"] != "dos_done"]
    assert all(document["prediction"] is None for document in found if document["state"] == "dos_done")
    assert all(decision["recalibration"] is None for decision in decided)
    # all were promising, and the budget held them: now they are before the Screen that follows
    assert {document["state"] for document in found} == {"dos_done"}
    assert {"small/screen/after-screen-1", "small/screen/after-recalibrate-0"} <= set(steps(store))
    before = list(asked)
    for step_id in ("small/screen/after-recalibrate-0", "small/screen/after-screen-1"):
        run(store, database, launchpad, step_id)
    assert asked == before
    used = store.candidates.distinct("prediction.recalibration.step", {"state": {"$in": ["held", "rejected"]}})
    assert used == ["small/recalibrate/0"]
    assert store.candidates.count_documents({"prediction": None}) == 0
    assert store.candidates.count_documents({"prediction.recalibration": None}) == 22  # those that were relaxed
    assert [step["_id"] for step in store.steps.find({"state": {"$ne": "done"}})] in ([], ["small/report"])


def test_the_report_waits_for_every_step_that_may_decide_on_what_is_held(
    store, database, launchpad, launchpad_file, screened
):
    """A recalibration is submitted, the setting is taken away, and each candidate is held or done."""
    run(store, database, launchpad, "small/screen/1")
    relax(store, launchpad, 22)
    assert set(store.state_counts("small")) == {"relaxed", "held"}
    command(launchpad_file, "set", "small", "screening.recalibrate_every=null")
    advance(OpenCampaign.open(store, launchpad, "small"))
    assert "small/recalibrate/0" in steps(store)
    assert "small/report" not in steps(store)
    # a report that an earlier version, or another process, has submitted before
    submit_step(OpenCampaign.open(store, launchpad, "small"), Step.report("small"))
    assert RunningCampaign.open(store, launchpad, "small").finish("small/report") == {}
    assert store.campaigns.find_one({"_id": "small"})["state"] == "running"
    assert "small/report" not in steps(store)
    run(store, database, launchpad, "small/recalibrate/0")
    finish(store, database, launchpad)


def test_a_screen_that_comes_back_after_the_campaign_has_finished_lets_it_run_again(
    store, database, launchpad, launchpad_file, screened, monkeypatch
):
    """It was killed between its end and the look for candidates of an earlier fit; the campaign finishes then."""
    ids = sorted(found["_id"] for found in store.candidates.find({"batch": 1}))
    store_predictions(Campaign.read(store, "small"), "small/screen/1", ids[:2], dict.fromkeys(ids[:2], -0.2))
    relax(store, launchpad, 22)
    run(store, database, launchpad, "small/recalibrate/0")
    run(store, database, launchpad, "small/screen/after-recalibrate-0")
    with monkeypatch.context() as patched:
        patched.setattr(screen, "screen_again", _killed)
        with pytest.raises(KeyboardInterrupt):
            run(store, database, launchpad, "small/screen/1")
    finish(store, database, launchpad)
    run(store, database, launchpad, "small/screen/1")
    assert store.campaigns.find_one({"_id": "small"})["state"] == "running"
    assert "small/report" not in steps(store)
    # a Screen promotes what the budget allows by then, and it is relaxed
    store.campaigns.update_one({"_id": "small"}, {"$set": {"budget": {"relaxations": 24}}})
    run(store, database, launchpad, "small/screen/after-screen-1")
    assert store.state_counts("small")["relax_running"] == 2


def finish(store, database, launchpad):
    """Run what is submitted, then the report."""
    while waiting := [step["_id"] for step in store.steps.find({"state": {"$ne": "done"}, "kind": {"$ne": "report"}})]:
        for step_id in waiting:
            run(store, database, launchpad, step_id)
    advance(OpenCampaign.open(store, launchpad, "small"))
    assert RunningCampaign.open(store, launchpad, "small").finish("small/report")
    assert store.campaigns.find_one({"_id": "small"})["state"] == "finished"


def test_it_can_be_switched_on_later_and_changes_nothing_where_it_would_not_help(
    store, database, launchpad, launchpad_file, small_spec, installed, monkeypatch
):
    monkeypatch.setattr(__name__ + ".OFFSETS", dict.fromkeys(OFFSETS, 0.0))
    start_campaign(store, launchpad, small_spec(**SECTIONS | {"screening": {"batch_size": 30}}))
    relax_references(store)
    advance(OpenCampaign.open(store, launchpad, "small"))
    run(store, database, launchpad, "small/screen/0")
    relax(store, launchpad, 22)
    assert not any("recalibrate" in step for step in steps(store))
    assert not any("raw" in document["prediction"] for document in store.candidates.find({"batch": 0}))
    command(launchpad_file, "set", "small", "screening.recalibrate_every=20")
    advance(OpenCampaign.open(store, launchpad, "small"))
    run(store, database, launchpad, "small/recalibrate/0")
    step = store.steps.find_one({"_id": "small/recalibrate/0"})
    assert (step["outcome"], step["fit"]["offsets"]) == ("off", None)
    assert "no gain beyond chance" in step["reason"]
    assert "small/screen/after-recalibrate-0" not in steps(store)
    assert "correction off, number 1 on 22 relaxed: no offsets" in " ".join(
        command(launchpad_file, "status", "small").split()
    )
    run(store, database, launchpad, "small/screen/1")
    said = [document["prediction"] for document in store.candidates.find({"batch": 1})]
    assert all(each["recalibration"] is None for each in said)
    assert all(each["raw"]["e_form_per_atom"] == each["e_form_per_atom"] for each in said)


def test_another_version_of_a_library_is_no_other_scorer(
    store, database, launchpad, launchpad_file, screened, monkeypatch
):
    """Each step runs on a node with a build of its own."""
    relax(store, launchpad, 22)
    monkeypatch.setitem(versions, "torch", "2.14.0")
    run(store, database, launchpad, "small/recalibrate/0")
    step = store.steps.find_one({"_id": "small/recalibrate/0"})
    assert (step["outcome"], step["fit"]["n"]) == ("on", 22)
    monkeypatch.setitem(versions, "torch", "2.14.0+cu128")
    before = list(asked)
    run(store, database, launchpad, "small/screen/after-recalibrate-0")
    assert asked == before
    held = store.candidates.find_one({"state": "held"})["prediction"]
    assert held["recalibration"]["step"] == "small/recalibrate/0"
    assert held["scorer"]["versions"] == {"torch": "2.14.0+cu128"}
    monkeypatch.setitem(versions, "torch", "2.14.0+cpu")
    screen_again(OpenCampaign.open(store, launchpad, "small"), after="small/screen/1")
    assert store.candidates.count_documents({"state": "held"}) > 0
    assert "small/screen/after-screen-1" not in steps(store)
    assert "correction on, number 1" in " ".join(command(launchpad_file, "status", "small").split())
    monkeypatch.setattr(Rule, "identity", lambda self, campaign: {"kind": self.kind, "settings": "others"})
    assert current_correction(Campaign.read(store, "small")) is None
    assert "correction off (belongs to an earlier scorer or model)" in " ".join(
        command(launchpad_file, "status", "small").split()
    )


def test_switched_off_nothing_is_corrected_and_what_waits_is_decided_by_the_scorer_alone(
    store, database, launchpad, launchpad_file, screened
):
    relax(store, launchpad, 22)
    run(store, database, launchpad, "small/recalibrate/0")
    run(store, database, launchpad, "small/screen/after-recalibrate-0")
    run(store, database, launchpad, "small/screen/1")
    held = {found["_id"]: found for found in store.candidates.find({"state": "held"})}
    rejected = {found["_id"]: found for found in store.candidates.find({"state": "rejected"})}
    assert held
    assert all(document["prediction"]["recalibration"] for document in held.values())
    before = list(asked)
    command(launchpad_file, "set", "small", "screening.recalibrate_every=null")
    (again,) = (step for step in steps(store) if "/screen/after-set-" in step)
    assert "correction off (screening.recalibrate_every is null)" in " ".join(
        command(launchpad_file, "status", "small").split()
    )
    run(store, database, launchpad, again)
    assert asked == before  # the scorer has said it before
    for name, old in held.items():
        found = store.candidates.find_one({"_id": name})
        assert found["prediction"]["e_form_per_atom"] == old["prediction"]["raw"]["e_form_per_atom"]
        assert found["prediction"].get("recalibration") is None
        assert (found["prediction"]["step"], found["decision"]["outcome"]) == (again, "held")
    assert {found["_id"]: found for found in store.candidates.find({"state": "rejected"})} == rejected
    finish(store, database, launchpad)
    # and on again: the fit that there is, on what is held in a campaign that has finished
    command(launchpad_file, "set", "small", "screening.recalibrate_every=20")
    (on,) = (step["_id"] for step in store.steps.find({"state": {"$ne": "done"}}))
    run(store, database, launchpad, on)
    found = store.candidates.find({"_id": {"$in": list(held)}})
    assert {each["prediction"]["recalibration"]["step"] for each in found} == {"small/recalibrate/0"}
    finish(store, database, launchpad)


def test_a_new_model_is_corrected_by_what_it_has_predicted_itself(store, launchpad, small_spec):
    """After a retraining the corrections of the model before are over, and what it had predicted counts no more."""
    elements = {"prototypes": ["B1", "B2", "B3", "L1_0", "L1_2"], "elements": ["Al", "Cu", "Ag", "Pd"]}
    screening = {"batch_size": 12, "min_completed_fraction": 0.8, "recalibrate_every": 3}
    policy = {"max_formation_energy": 5.0, "max_hull_energy": 5.0}
    with_model(store, launchpad, small_spec(candidates=elements, screening=screening, policy=policy))
    predict_and_relax(store, launchpad, batch=0)
    RunningCampaign.open(store, launchpad, "small").recalibrate("small/recalibrate/0", fw_id=900)
    first = store.steps.find_one({"_id": "small/recalibrate/0"})
    assert (first["outcome"], first["fit"]["n"], first["fitted_to"]["model"]) == ("on", 12, MODEL["checksum"])
    assert current_correction(Campaign.read(store, "small")).step == "small/recalibrate/0"

    second = MODEL | {"checksum": "1" * 64, "source": "retrained", "step": "small/retrain/0"}
    store.campaigns.update_one({"_id": "small"}, {"$set": {"model": second, "models": [MODEL, second]}})
    assert current_correction(Campaign.read(store, "small")) is None
    predict_and_relax(store, launchpad, batch=1, number=5)
    assert "small/recalibrate/1" in steps(store)
    RunningCampaign.open(store, launchpad, "small").recalibrate("small/recalibrate/1", fw_id=901)
    step = store.steps.find_one({"_id": "small/recalibrate/1"})
    assert (step["outcome"], step["fit"]["n"], step["n_relaxed"]) == ("off", 5, 17)
    assert "5 relaxed candidates" in step["reason"]
    assert current_correction(Campaign.read(store, "small")) is None


def predict_and_relax(store, launchpad, *, batch, number=12):
    """Predict a batch with the present model, promote it, and relax so many to energies with the elements' offsets."""
    campaign, step_id = OpenCampaign.open(store, launchpad, "small"), f"small/screen/{batch}"
    advance(campaign)
    ids = sorted(finish_dos(store, batch=batch, number=12))
    advance(campaign)
    store_predictions(campaign.refresh(), step_id, ids, {name: -0.1 - 0.01 * k for k, name in enumerate(ids)})
    make_decisions(campaign.refresh(), step_id)
    store.close_step(step_id)
    advance(campaign)
    relax(store, launchpad, number)


@pytest.mark.parametrize(
    ("decision", "weight"),
    [
        ({"promoted": True, "policy": {"audit": 0.2}}, 1.0),
        ({"promoted": False, "audit": True, "policy": {"audit": 0.2}}, 5.0),
        ({"promoted": False, "audit": True, "policy": {"audit": 0.01}}, 10.0),
        ({"promoted": True, "kind": "person"}, 1.0),
        (None, 1.0),
    ],
)
def test_one_of_the_audit_counts_for_those_that_were_not_relaxed(decision, weight):
    document = {
        "_id": "a",
        "composition": {"Al": 1.0, "Cu": 3.0},
        "prediction": {"e_form_per_atom": -0.1, "raw": {"e_form_per_atom": -0.2, "uncertainty": 0.05}},
        "result": {"e_form_per_atom": -0.3},
        "decision": decision,
    }
    sample = recalibrate.sample_of(document)
    assert (sample.weight, sample.predicted, sample.calculated) == (weight, -0.2, -0.3)
    assert (sample.uncertainty, sample.fractions) == (0.05, {"Al": 0.25, "Cu": 0.75})


def test_a_training_set_has_no_predictions_to_correct(small_spec):
    with pytest.raises(ValueError, match=r"screening\.recalibrate_every is 5"):
        small_spec(purpose="training_set", screening={"recalibrate_every": 5})

"""A campaign that predicts with several scorers: what each says, how it is combined, and what is refused."""

import json
from types import SimpleNamespace
from typing import Literal

import pytest
from installed_plugin import install
from prepared import relax_references
from pydantic import Field
from test_recalibration import command, run
from test_recalibration import relax as relax_to_truth

from campaign.combination.correlation import LEAST_RELAXED
from campaign.combination.weights import combine
from campaign.config.yaml_file import CampaignFileError
from campaign.running_campaign import start_campaign
from campaign.scheduling.advance import advance
from campaign.scheduling.submit import submit_step
from campaign.scorers.base import Score, Scorer
from campaign.scorers.combined import Combined, Part
from campaign.scorers.registry import make_scorer
from campaign.spec.checks import check_new, gives_uncertainty
from campaign.spec.reader import read_campaign_file
from campaign.spec.stored_spec import read_stored_spec
from campaign.steps import screen
from campaign.store.campaigns import OpenCampaign
from campaign.store.steps import Step

EMT = {"kind": "force_field", "calculator": "EMT", "uncertainty": 0.1}
#: 60 candidates in two batches; 24 relaxations are paid for.
SECTIONS = {
    "candidates": {"prototypes": ["B1", "B2", "B3", "L1_0", "L1_2"], "elements": ["Al", "Cu", "Ag", "Pd", "Au"]},
    "screening": {"batch_size": 30},
    "policy": {"max_formation_energy": 5.0, "max_hull_energy": 5.0},
    "budget": {"relaxations": 24},
}


class Guess(Scorer):
    """Says what it was told to of each candidate; it counts those that it was asked for."""

    kind: Literal["guess"] = "guess"
    title: str = Field(default="first")
    scheme: str = Field(default="none")

    def score(self, ids, context):
        asked.setdefault(self.title, []).extend(ids)
        return [Score(id=name, **said(self.title, name)) for name, _ in context.structures(ids)]

    def identity(self, campaign):
        return {"kind": self.kind, "title": self.title, "model": models[self.title], "versions": {"numpy": "2"}}

    def energy_corrections(self, campaign):
        return self.scheme

    def short_name(self):
        return self.title


asked: dict[str, list[str]] = {}
models = {"first": "1", "second": "1"}
told: dict[tuple[str, str], dict] = {}


def said(title, name):
    """An energy between -0.3 and -0.1 eV/atom by the candidate's id; the second errs with the first, and more."""
    if (title, name) in told:
        return told[title, name]
    noise = int(name.split("-")[1][:6], 16) / 16**6 - 0.5
    return {"e_form": -0.2 + (0.1 if title == "first" else 0.25) * noise, "uncertainty": 0.1}


def guesses(**second):
    return {"combine": [{"kind": "guess"}, {"kind": "guess", "title": "second", **second}]}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install the guess as another package would."""
    install(monkeypatch, tmp_path, "[esnet_campaign.scorers]\nguess = test_combined_scorer:Guess\n")
    asked.clear()
    told.clear()
    models.update(first="1", second="1")


def begin(store, launchpad, spec):
    """Start a campaign and relax its references, so that its Screens are due."""
    start_campaign(store, launchpad, spec)
    relax_references(store)
    advance(OpenCampaign.open(store, launchpad, "small"))


def relax(store, launchpad, number=100):
    """Relax promoted candidates to -0.2 eV/atom, whatever was predicted."""
    before = {found["_id"]: found["prediction"] for found in store.candidates.find({"state": "relax_running"})}
    for name in before:
        facts = {"prediction.raw": {"e_form_per_atom": -0.2}, "prediction.recalibration": None}
        store.candidates.update_one({"_id": name}, {"$set": facts})
    relax_to_truth(store, launchpad, number)
    for name, prediction in before.items():
        store.candidates.update_one({"_id": name}, {"$set": {"prediction": prediction}})


class Slow(Guess):
    """Takes its time over each candidate, as a relaxation does."""

    kind: Literal["slow"] = "slow"

    def score(self, ids, context):
        for name in ids:
            asked.setdefault("in turn", []).append((self.title, name))
            yield Score(id=name, **said(self.title, name))

    def relaxes(self):
        return True


# ---- the campaign file


def test_a_list_of_scorers_is_read_stored_and_read_again(small_spec):
    members = [{"kind": "esnet"}, EMT]
    spec = small_spec(scorer={"combine": members}, model={"bundle": "gpaw-fast-binary"})
    assert isinstance(spec.scorer, Combined)
    assert spec.scorer.member_names() == ("ESNet", "EMT")
    assert (spec.scorer.needs_dos, spec.scorer.needs_model, spec.scorer.needs_element_crystals) == (True, True, True)
    assert spec.scorer.describe() == "ESNet and EMT, combined"
    assert gives_uncertainty(spec) is True
    check_new(spec)
    assert read_stored_spec("small", json.loads(spec.model_dump_json())) == spec
    assert make_scorer({"kind": "combined", "combine": members}) == spec.scorer
    without = small_spec(scorer={"combine": [EMT, {**EMT, "steps": 20}]}).scorer
    assert (without.needs_dos, without.needs_model) == (False, False)
    assert without.member_names() == ("EMT", "EMT 2")


@pytest.mark.parametrize(
    ("scorer", "message"),
    [
        ({"combine": [EMT]}, r"scorer\.combine: found .*1 of them; right: two scorers or more"),
        ({"combine": [EMT, EMT]}, r"scorer\.combine\[1\]: found EMT once more"),
        ({"combine": [EMT, {**EMT, "uncertainty": 0.2}]}, r"scorer\.combine\[1\]: found EMT once more"),
        ({"combine": [EMT, {"calculator": "EMT"}]}, r"scorer\.combine\[1\]\.kind: is missing"),
        ({"combine": [EMT, {"kind": "oracle"}]}, r"scorer\.combine\[1\]\.kind: found 'oracle'"),
        ({"combine": [EMT, {**EMT, "step": 3}]}, r"scorer\.combine\[1\]\.step: unknown key; did you mean 'steps'"),
        ({"combine": [{"combine": [EMT, EMT]}, EMT]}, r"scorer\.combine\[0\]\.kind: is missing"),
        ({"combine": [EMT, {**EMT, "steps": 1}], "x": 1}, r"combine\[1\]\.steps: (.|\n)*scorer\.x: unknown key"),
        ({"combine": "EMT"}, r"scorer\.combine: found 'EMT'"),
        (
            {"combine": [EMT, {"kind": "force_field", "calculator": "CHGNet", "model": "r2scan"}]},
            r"scorer\.combine\[1\]\.model: found 'r2scan'",
        ),
    ],
)
def test_what_is_wrong_with_one_of_them_is_said_where_it_stands(small_spec, scorer, message):
    with pytest.raises(CampaignFileError, match=message):
        small_spec(scorer=scorer)


def test_a_scorer_without_uncertainty_is_refused_by_name(small_spec):
    sure, unsure = EMT, {"kind": "force_field", "calculator": "EMT", "steps": 20}
    with pytest.raises(CampaignFileError, match=r"combine\[1\]\.uncertainty: found null, so that EMT 2 gives no"):
        check_new(small_spec(scorer={"combine": [sure, unsure]}))
    # one that the campaign trains on a bootstrap sample has none either
    with pytest.raises(CampaignFileError, match=r"model\.bundle: found null, so that ESNet gives no uncertainty"):
        check_new(small_spec(scorer={"combine": [{"kind": "esnet"}, sure]}))


def test_a_prefilter_is_one_scorer(small_spec):
    with pytest.raises(CampaignFileError, match=r"prefilter\.scorer: .*EMT and EMT 2, combined; a prefilter is one"):
        small_spec(prefilter={"scorer": {"combine": [EMT, {**EMT, "steps": 20}]}})


def test_a_problem_is_said_with_the_line_of_the_file(small_file):
    text = small_file.read_text()
    scorer = "    scorer: {combine: [{kind: force_field, calculator: EMT, uncertainty: 0.1}, {kind: oracle}]}\n"
    small_file.write_text(text.rstrip("\n") + "\n" + scorer)
    with pytest.raises(CampaignFileError, match=r", line \d+: spec\.campaign\.scorer\.combine\[1\]\.kind"):
        read_campaign_file(small_file)


# ---- a campaign


@pytest.mark.mongo
def test_predictions_are_combined_first_as_assumed_then_as_relaxations_show(
    store, database, launchpad, launchpad_file, small_spec, installed
):
    begin(store, launchpad, small_spec(**SECTIONS, scorer=guesses()))
    first_ids = sorted(found["_id"] for found in store.candidates.find({"batch": 0}))
    alone, unsure, neither, nobody = first_ids[:4]
    told["second", alone] = {"e_form": None, "reason": "it collapsed"}
    told["second", unsure] = {"e_form": -0.5, "uncertainty": None}
    told.update({(title, neither): {"e_form": energy} for title, energy in (("first", -0.2), ("second", -0.4))})
    told.update({(title, nobody): {"e_form": None, "reason": "no"} for title in ("first", "second")})
    run(store, database, launchpad, "small/screen/0")
    documents = {found["_id"]: found for found in store.candidates.find({"batch": 0})}
    for name in first_ids[4:]:
        prediction = documents[name]["prediction"]
        one, two = (said(title, name) for title in ("first", "second"))
        expected = combine([one["e_form"], two["e_form"]], [0.1, 0.1], 0.5)
        assert prediction["e_form_per_atom"] == pytest.approx(expected.mean)
        assert prediction["uncertainty"] == pytest.approx(0.1 * 0.75**0.5)
        assert [part["weight"] for part in prediction["parts"]] == pytest.approx([0.5, 0.5])
        assert [part["e_form_per_atom"] for part in prediction["parts"]] == [one["e_form"], two["e_form"]]
        assert prediction["combination"]["n"] == 0
        assert [each["title"] for each in prediction["scorer"]["combine"]] == ["first", "second"]
        assert prediction["scorer"]["versions"] == {"numpy": "2"}

    # one that gives nothing is left out, and that is written down
    prediction = documents[alone]["prediction"]
    assert prediction["e_form_per_atom"] == pytest.approx(said("first", alone)["e_form"])
    assert (prediction["uncertainty"], prediction["reason"]) == (0.1, "second: it collapsed")
    prediction = documents[unsure]["prediction"]
    assert prediction["e_form_per_atom"] == pytest.approx(said("first", unsure)["e_form"])
    assert [part["weight"] for part in prediction["parts"]] == [1.0, None]
    prediction = documents[neither]["prediction"]
    assert (prediction["e_form_per_atom"], prediction["uncertainty"]) == (pytest.approx(-0.3), None)
    assert documents[nobody]["prediction"]["reason"] == "first: no; second: no"
    assert documents[nobody]["decision"]["outcome"] == "rejected"

    # wherever a prediction is shown
    text = command(launchpad_file, "explain", "small", first_ids[5])
    assert "  first: E_f(ML) " in text
    assert "standard deviation 0.100 eV/atom; weight 0.50" in text
    assert "combined: correlation of their errors 0.50, assumed: 0 relaxed of 20 needed" in text
    assert "second: no prediction (it collapsed)" in command(launchpad_file, "explain", "small", alone)
    rows = {row["id"]: row for row in json.loads(command(launchpad_file, "results", "small", "--format", "json"))}
    assert rows[first_ids[5]]["parts"]["second"] == {
        "e_form": pytest.approx(said("second", first_ids[5])["e_form"], abs=1e-6),
        "uncertainty": 0.1,
        "weight": 0.5,
    }
    assert '""second""' in command(launchpad_file, "results", "small", "--format", "csv")
    assert "combined of first and second" in " ".join(command(launchpad_file, "results", "small").split())
    assert "first and second, combined" in " ".join(command(launchpad_file, "status", "small").split())

    # enough is relaxed: the errors of the two go together, and the second ones are larger
    relax(store, launchpad)
    assert store.candidates.count_documents({"state": "relaxed"}) == 24
    run(store, database, launchpad, "small/screen/1")
    later = list(store.candidates.find({"prediction.step": "small/screen/1"}))
    assert len(later) == 30
    used = later[0]["prediction"]["combination"]
    assert LEAST_RELAXED <= used["n"] <= 24
    assert used["matrix"][0][1] > 0.7
    assert {json.dumps(found["prediction"]["combination"]) for found in later} == {json.dumps(used)}
    for document in later:
        parts = [part["e_form_per_atom"] for part in document["prediction"]["parts"]]
        found = combine(parts, [0.1, 0.1], used["matrix"])
        assert document["prediction"]["e_form_per_atom"] == pytest.approx(found.mean)
        assert document["prediction"]["uncertainty"] == pytest.approx(found.deviation)
    assert f"of {used['n']} relaxed" in command(launchpad_file, "explain", "small", later[0]["_id"])
    assert "recomputed from the stored data: the same" in command(launchpad_file, "explain", "small", later[0]["_id"])


def test_a_candidate_is_complete_before_the_next_one_is_relaxed():
    asked.clear()
    scorer = Combined(combine=[Slow(title="first"), Guess(title="second"), Slow(title="third")])
    ids = [f"small-{number:06x}" for number in range(3)]
    known = Part(scorer="first", score=Score(id=ids[1], e_form=0.1), corrections="none")
    context = SimpleNamespace(
        campaign=None,
        actors=SimpleNamespace(actors=None, actor_batch=None, gpus_per_actor=None),
        known_parts=lambda _: {ids[1]: {0: known}},
        structures=lambda wanted: ((name, None) for name in wanted),
    )
    scores = scorer.score(ids, context)
    assert next(scores).id == ids[0]
    assert asked == {"second": ids, "in turn": [("first", ids[0]), ("third", ids[0])]}
    assert {score.id for score in scores} == set(ids[1:])
    assert ("first", ids[1]) not in asked["in turn"]


@pytest.mark.mongo
def test_a_screen_that_is_killed_combines_the_rest_as_it_began(
    store, database, launchpad, small_spec, installed, monkeypatch
):
    begin(store, launchpad, small_spec(**SECTIONS, scorer=guesses()))
    step = store.steps.find_one({"_id": "small/screen/1"})
    campaign = OpenCampaign.open(store, launchpad, "small")
    ids = sorted(found["_id"] for found in store.candidates.find({"batch": 1}))
    correlation = screen.correlation_of_step(campaign, step["_id"])
    context = screen.StoredScoringContext(
        database=database, campaign=campaign, step_id=step["_id"], on_usage=lambda _: None
    )
    begun = list(campaign.spec.scorer.score(ids[:3], context))
    screen.write_predictions(campaign, step["_id"], begun, correlation=correlation)
    run(store, database, launchpad, "small/screen/0")
    relax(store, launchpad)
    assert screen.correlation_of_step(campaign, "small/screen/none").n >= LEAST_RELAXED
    run(store, database, launchpad, step["_id"])
    found = list(store.candidates.find({"prediction.step": step["_id"]}))
    assert len(found) == 30
    assert {document["prediction"]["combination"]["n"] for document in found} == {0}


@pytest.mark.mongo
def test_corrected_predictions_are_combined_anew_and_no_scorer_is_asked_again(
    store, database, launchpad, small_spec, installed
):
    sections = SECTIONS | {"screening": {"batch_size": 30, "recalibrate_every": 20}}
    begin(store, launchpad, small_spec(**sections, scorer=guesses()))
    run(store, database, launchpad, "small/screen/0")
    held = {found["_id"]: found["prediction"] for found in store.candidates.find({"state": "held"})}
    assert len(held) == 6
    relax(store, launchpad)
    before = json.dumps(asked)
    # whatever the fit says: another one is in force
    run(store, database, launchpad, "small/recalibrate/0")
    store.steps.update_one(
        {"_id": "small/recalibrate/0"}, {"$set": {"fit.scale": 2.0, "fit.before": None, "fit.after": None}}
    )
    campaign = OpenCampaign.open(store, launchpad, "small")
    if not store.steps.find_one({"_id": "small/screen/after-recalibrate-0"}):
        screen.screen_again(campaign, after="small/recalibrate/0")
    run(store, database, launchpad, "small/screen/after-recalibrate-0")
    assert json.dumps(asked) == before
    for name, old in held.items():
        new = store.candidates.find_one({"_id": name})["prediction"]
        assert new["recalibration"]["step"] == "small/recalibrate/0"
        assert new["combination"]["n"] >= LEAST_RELAXED > old["combination"]["n"]
        unweighted = [[{**part, "weight": None} for part in each["parts"]] for each in (old, new)]
        assert unweighted[0] == unweighted[1]
        parts = [part["e_form_per_atom"] for part in new["parts"]]
        found = combine(parts, [0.1, 0.1], new["combination"]["matrix"])
        assert new["raw"]["e_form_per_atom"] == pytest.approx(found.mean)
        assert new["raw"]["uncertainty"] == pytest.approx(found.deviation)


@pytest.mark.mongo
def test_after_another_model_only_its_own_scorer_is_asked_again(store, database, launchpad, small_spec, installed):
    begin(store, launchpad, small_spec(**SECTIONS, scorer=guesses()))
    run(store, database, launchpad, "small/screen/0")
    held = [found["_id"] for found in store.candidates.find({"state": "held"})]
    assert len(held) == 6
    # as after a retraining: predictions of an earlier model are discarded
    kept = [{"$set": {"previous_predictions": ["$prediction"], "prediction": None, "state": "dos_done"}}]
    store.candidates.update_many({"_id": {"$in": held}}, [*kept, {"$unset": "decision"}])
    models["first"] = "2"
    told["first", held[0]] = {"e_form": 0.7, "uncertainty": 0.1}
    asked.clear()
    submit_step(OpenCampaign.open(store, launchpad, "small"), Step.screen_after("small", "small/retrain/0"))
    run(store, database, launchpad, Step.screen_after("small", "small/retrain/0").id)
    assert sorted(asked["first"]) == sorted(held)
    assert "second" not in asked
    new = store.candidates.find_one({"_id": held[0]})["prediction"]
    assert new["parts"][0]["e_form_per_atom"] == 0.7
    assert new["e_form_per_atom"] == pytest.approx(0.5 * (0.7 + said("second", held[0])["e_form"]))


@pytest.mark.mongo
def test_each_scorer_is_converted_to_the_references_scheme_before_it_is_weighed(
    store, database, launchpad, small_spec, installed
):
    oxides = {"candidates": {"prototypes": ["B1"], "elements": ["Mg", "O", "Ca"]}, "screening": {"batch_size": 30}}
    begin(store, launchpad, small_spec(**{**SECTIONS, **oxides}, scorer=guesses(scheme="mp2020")))
    run(store, database, launchpad, "small/screen/0")
    document = store.candidates.find_one({"formula": "MgO"})
    first, second = document["prediction"]["parts"]
    assert first["e_form_per_atom"] == said("first", document["_id"])["e_form"]
    # the corrections of an oxide, 0.687 eV for each O, taken out of the second alone
    assert second["e_form_per_atom"] == pytest.approx(said("second", document["_id"])["e_form"] + 0.687 / 2, abs=1e-3)
    assert document["prediction"]["corrections"] == "none"
    assert document["prediction"]["e_form_per_atom"] == pytest.approx(
        0.5 * (first["e_form_per_atom"] + second["e_form_per_atom"])
    )

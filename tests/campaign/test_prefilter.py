"""A scorer without DOS in front of the IS-DOS: what it rejects, what it leaves, and where that is seen."""

import math
import uuid
from typing import Literal

import pytest
from finished_campaign import CPU_S, Finished
from hypothesis import given
from hypothesis import strategies as st
from installed_plugin import install
from pymatgen.core import Structure

from campaign.budget.limits import relaxation_cpu_seconds
from campaign.config.yaml_file import CampaignFileError
from campaign.policies.decide import audit_draw
from campaign.policies.prefilter import prefilter_verdict
from campaign.running_campaign import RunningCampaign
from campaign.scheduling.advance import advance
from campaign.scheduling.change_settings import change_settings
from campaign.scheduling.persons import promote, reject
from campaign.scorers.base import Score, Scorer
from campaign.scorers.force_field import ForceField
from campaign.scorers.relaxation import Relaxer
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.checks import check_new
from campaign.steps.finish import finish_campaign
from campaign.store import integrity
from campaign.store.campaigns import Campaign
from campaign.store.changes.events import read_events
from campaign.store.prefilter.prefiltered import prefilter_counts
from campaign.store.states import STAGES
from campaign.verification.decisions import check_decision, check_reference_set
from campaign.verification.states import check_states
from campaign.views.explanation import explanation, format_explanation
from campaign.views.metrics.campaign_metrics import campaign_metrics
from campaign.views.metrics.text import metrics_rows
from campaign.views.preview import format_preview
from campaign.views.results import result_rows
from campaign.views.status.report import status_report
from launchers.database.job_store import open_job_store
from launchers.database.settings import DatabaseSettings

ALLOYS = {"candidates": {"prototypes": ["B1", "B2", "L1_2"], "elements": ["Cu", "Pd", "Au"]}}
EMT = {"kind": "force_field", "calculator": "EMT"}
ENERGIES = st.floats(-5, 5)


# ---- the rule


@given(ENERGIES, st.floats(0, 2), st.floats(0, 5), ENERGIES)
def test_more_doubt_never_rejects_what_less_doubt_leaves(e_hull, sigma, z, limit):
    sure = prefilter_verdict(e_hull, sigma, z=z, max_hull_energy=limit)
    assert sure.promising == (e_hull - z * sigma <= limit)
    if sure.promising:
        assert prefilter_verdict(e_hull, sigma + 0.1, z=z, max_hull_energy=limit).promising
        assert prefilter_verdict(e_hull, sigma, z=z + 1, max_hull_energy=limit).promising


@pytest.mark.parametrize(("e_hull", "sigma"), [(None, 0.1), (math.nan, 0.1), (3.0, None)])
def test_what_is_not_known_gets_its_dos_and_the_reason(e_hull, sigma):
    found = prefilter_verdict(e_hull, sigma, z=2, max_hull_energy=0.1, why_none="its atoms have collapsed")
    assert found.promising
    assert "gets its IS-DOS" in found.reason
    assert (sigma is None) or "have collapsed" in found.reason


# ---- the campaign file


def test_a_file_without_it_is_what_it_was(small_spec):
    spec = small_spec()
    assert spec.prefilter is None
    stored = {key: value for key, value in spec.model_dump(mode="json").items() if key != "prefilter"}
    assert CampaignSpec.model_validate(stored) == spec
    with_one = small_spec(**ALLOYS, prefilter={"scorer": EMT, "uncertainty": 0.1})
    assert with_one.settings_hash == small_spec(**ALLOYS).settings_hash
    assert CampaignSpec.model_validate(with_one.model_dump(mode="json")) == with_one


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"prefilter": {"scorer": {"kind": "esnet"}}},
            r"prefilter\.scorer: found kind 'esnet', which needs an IS-DOS of every candidate",
        ),
        ({"prefilter": {"scorer": {"kind": "oracle"}}}, r"prefilter\.scorer\.kind: found 'oracle'.*force_field"),
        ({"prefilter": {"scorer": {"calculator": "EMT"}}}, r"prefilter\.scorer\.kind: is missing"),
        ({"prefilter": {"scorer": {**EMT, "stepz": 3}}}, r"prefilter\.scorer\.stepz: .*mean 'steps'"),
        ({"prefilter": {"scorer": EMT, "zz": 3}}, r"prefilter\.zz: unknown key; .*known here: scorer, max_hull_energy"),
        ({"prefilter": {"scorer": EMT, "z": "two"}}, r"prefilter\.z: found .*two.*standard deviations"),
        ({"prefilter": {"scorer": {"kind": "oracle"}, "z": -1.0}}, r"prefilter\.z: found -1"),
        ({"prefilter": {"z": 1.0}}, r"prefilter\.scorer: is missing"),
        (
            {"prefilter": {"scorer": {"kind": "force_field", "calculator": "MatPES-r2SCAN"}}},
            r"prefilter\.scorer\.calculator: .*two functionals must not be mixed",
        ),
        (
            {"prefilter": {"scorer": {**EMT, "corrections": "mp2020"}}},
            r"prefilter\.scorer\.corrections: found 'mp2020'",
        ),
        ({"prefilter": {"scorer": EMT}, "scorer": EMT}, "prefilter would save nothing"),
        ({"prefilter": {"scorer": EMT}, "purpose": "training_set"}, "every candidate gets an IS-DOS"),
        (
            {"prefilter": {"scorer": EMT}, "candidates": {"prototypes": ["B2"], "elements": ["Cu", "Fe"]}},
            r"candidates\.elements\[1\]: found 'Fe': the potential EMT \(prefilter\.scorer\.calculator\)",
        ),
    ],
)
def test_what_cannot_work_is_refused_by_its_field(small_spec, sections, message):
    with pytest.raises(CampaignFileError, match=message):
        small_spec(**(ALLOYS | sections))


def test_a_prefilter_without_an_uncertainty_would_reject_nothing(small_spec):
    with pytest.raises(CampaignFileError, match=r"prefilter\.uncertainty: found null, .*e\.g\. 0\.1"):
        check_new(small_spec(**ALLOYS, prefilter={"scorer": EMT}))
    check_new(small_spec(**ALLOYS, prefilter={"scorer": EMT, "uncertainty": 0.1}))
    check_new(small_spec(**ALLOYS, prefilter={"scorer": EMT | {"uncertainty": 0.1}}))


def test_check_shows_what_it_rejects_and_what_the_campaign_costs_at_most(small_spec):
    lines = list(format_preview(small_spec(**ALLOYS, prefilter={"scorer": EMT, "uncertainty": 0.1, "z": 3.0})))
    assert (
        "before that, prefilter by relaxations with the potential EMT: no IS-DOS where E_hull - 3 x uncertainty is "
        "above 0.1 eV/atom; a candidate without a prediction gets its IS-DOS" in lines
    )
    assert any(line.startswith("expected cost: at most about") and "its own cost" in line for line in lines)


def test_check_notes_a_prefilter_stricter_than_the_policy(small_spec):
    def notes(limit, z):
        prefilter = {"scorer": EMT | {"uncertainty": 0.1}, "z": z, "max_hull_energy": limit}
        spec = small_spec(**ALLOYS, prefilter=prefilter, policy={"max_hull_energy": 0.2})
        return [line for line in format_preview(spec) if "prefilter.max_hull_energy" in line]

    assert notes(0.0, 0.0) == [
        "note: prefilter.max_hull_energy (0 eV/atom) is below policy.max_hull_energy (0.2), so it rejects candidates "
        "that the policy would promote",
        "note: prefilter.max_hull_energy (0 eV/atom) is below stable.max_hull_energy (0.1), so it rejects candidates "
        "that may count as stable",
    ]
    assert len(notes(0.05, 1.0)) == 1
    assert notes(0.2, 0.0) == notes(0.0, 2.0) == []


# ---- whole campaigns, but for the DFT


class AfterDos(Scorer):
    """A scorer that wants a DOS, and no ESNet."""

    kind: Literal["after_dos"] = "after_dos"
    needs_dos = True

    def score(self, ids, context):
        return [Score(id=name, e_form=-0.3) for name in ids]

    def identity(self, campaign):
        return {"kind": self.kind}


class Cascade(Finished):
    """A campaign with EMT in front of the IS-DOS."""

    def __init__(self, *args, **sections):
        super().__init__(*args, **sections)
        self.failing = None

    def step(self, kind):
        """Run the steps of a kind that wait."""
        steps = list(self.store.steps.find({"campaign": self.name, "kind": kind, "state": "submitted"}).sort("_id"))
        for step in steps:
            running = RunningCampaign.open(self.store, self.launchpad, self.name)
            getattr(running, kind)(self.database, step["_id"], fw_id=step["fw_id"])
        return len(steps)

    def run(self):
        with open_job_store(self.database) as self.job_store:
            self.compute_what_runs()
            while self.step("prefilter") or self.step("screen"):
                self.compute_what_runs()

    def candidates(self, **query):
        return list(self.store.candidates.find({"campaign": self.name, **query}).sort("_id"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        install(
            patch, tmp_path_factory.mktemp("plugin"), "[esnet_campaign.scorers]\nafter_dos = test_prefilter:AfterDos\n"
        )
        yield


SECTIONS = {
    "candidates": {"prototypes": ["B1", "B2", "L1_2"], "elements": ["Al", "Pd", "Au"]},
    "model": {"bundle": None},
    "scorer": {"kind": "after_dos"},
    "screening": {"batch_size": 6},
    "prefilter": {"scorer": {**EMT, "uncertainty": 0.05, "force_tolerance": 0.3}, "max_hull_energy": 0.2},
    "policy": {"max_formation_energy": 0.1, "audit": 0.5},
}
#: Six candidates in one batch.
FEW = {"candidates": {"prototypes": ["B1", "B2"], "elements": ["Al", "Pd", "Au"]}}


@pytest.fixture
def make_cascade(database, tmp_path, installed):
    return lambda **changes: Cascade(database, tmp_path, name="cascade", **(SECTIONS | FEW | changes))


@pytest.fixture(scope="module")
def done(mongo_settings, write_launchpad, tmp_path_factory, installed):
    """A campaign that is finished, which only reading tests share; what its status said before the prefilter."""
    folder, name = tmp_path_factory.mktemp("cascade"), f"test_cascade_{uuid.uuid4().hex[:8]}"
    file = write_launchpad(folder, port=mongo_settings.seeds[0][1], name=name)
    cascade = Cascade(DatabaseSettings.from_file(file), folder, name="cascade", **SECTIONS)
    cascade.before = status_report(Campaign.read(cascade.store, "cascade"))
    cascade.run()
    yield cascade
    cascade.launchpad.connection.drop_database(name)


@pytest.mark.mongo
def test_what_is_far_above_the_hull_gets_no_dos_and_is_audited_like_others(done):
    cascade, campaign = done, Campaign.read(done.store, "cascade")
    rejected = cascade.candidates(**{"prefilter.outcome": "rejected"})
    passed = cascade.candidates(**{"prefilter.outcome": "passed"})
    assert len(rejected) + len(passed) == 12
    audited = [each for each in rejected if audit_draw(each["_id"], campaign.spec.seed) < 0.5]
    without_dos = [each for each in rejected if each not in audited]
    assert audited
    assert without_dos
    assert passed
    for document in rejected:
        said, decision = document["prefilter"], document["decision"]
        assert said["e_above_hull"] - 2.0 * said["uncertainty"] > 0.2
        assert (decision["kind"], decision["outcome"], decision["promoted"]) == ("prefilter", "rejected", False)
        assert f"E_hull {said['e_above_hull']:.3f} - 2 x 0.050" in decision["reason"]
        assert said["scorer"]["calculator"] == "EMT"
    for document in without_dos:
        assert document["state"] == "rejected"
        assert "is_dos" not in document
        assert "prediction" not in document
        assert document["decision"]["rule"] == {"z": 2.0, "max_hull_energy": 0.2}
    for document in audited:
        # by its IS-DOS it would be promoted, and it stays rejected: what it shows is what the prefilter misses
        assert document["prediction"]["e_form_per_atom"] == -0.3
        assert document["decision"]["audit"]
        assert document["state"] == "relaxed"
    for document in passed:
        assert document["prefilter"]["e_above_hull"] - 2.0 * document["prefilter"]["uncertainty"] <= 0.2
        assert document["decision"].get("kind") is None
        assert document["is_dos"]["energy"] is not None or document["state"] == "dos_failed"
    assert [step["_id"] for step in cascade.store.steps.find({"kind": "prefilter"}).sort("_id")] == [
        f"cascade/prefilter/{batch}" for batch in range(2)
    ]
    entries = list(cascade.store.attempts.find({"stage": "prefilter"}))
    assert len(entries) == 2
    assert all(entry["cpu_s"] > 0 for entry in entries)
    assert list(findings(campaign)) == []


def findings(campaign):
    """What `campaign verify` finds in candidates and their decisions."""
    steps = {step["_id"]: step for step in integrity.steps(campaign)}
    for document in integrity.structures(campaign):
        yield from check_states(campaign, document)
        yield from check_decision(campaign, document, steps)
        yield from check_reference_set(campaign, document)


@pytest.mark.mongo
def test_it_is_seen_wherever_candidates_are_shown(done):
    cascade, waiting = done, done.before
    assert waiting.status.prefilter == {"done": 0, "all": 12, "rejected": 0, "audited": 0}
    assert waiting.funnel[1].rest == {"waiting for it": 12}
    assert waiting.funnel[2].rest == {}
    campaign = Campaign.read(cascade.store, "cascade")
    rejected = cascade.candidates(**{"prefilter.outcome": "rejected", "prefilter.audit": False})
    n_audited = cascade.store.candidates.count_documents({"prefilter.audit": True})
    report = status_report(campaign)
    assert report.status.prefilter == {"done": 12, "all": 12, "rejected": len(rejected), "audited": n_audited}
    assert report.status.dos == {"done": 12 - len(rejected), "all": 12 - len(rejected)}
    funnel = {step.key: step for step in report.funnel}
    assert funnel["prefilter"].number == funnel["dos"].number == 12 - len(rejected)
    assert funnel["prefilter"].rest == {"rejected by it": len(rejected)}
    assert funnel["decided"].number == 12
    rows = {row.id: row for row in result_rows(campaign)}
    for document in rejected:
        row = rows[document["_id"]]
        assert (row.decision, row.e_hull_ml) == ("rejected", None)
        assert row.e_hull_prefilter == pytest.approx(document["prefilter"]["e_above_hull"], abs=1e-6)
    lines = list(format_explanation(explanation(campaign, rejected[0])))
    assert any(line.startswith("rejected by the prefilter: E_hull") for line in lines)
    assert "not predicted: it has no IS-DOS" in lines
    assert any(line.startswith("decision: rejected by the prefilter, at") for line in lines)
    assert "  recomputed from the stored data: the same" in lines
    # nothing of it is a waiting candidate, the audit counts it, and what it cost is in C_pre
    found = campaign_metrics(campaign)
    assert (found.candidates.decided, found.candidates.waiting) == (12, 0)
    assert (found.candidates.before_dos, found.candidates.without_prediction) == (len(rejected), 0)
    assert any(f"{len(rejected)} were rejected by the prefilter" in row[2] for row in metrics_rows(found))
    assert found.estimate is not None
    assert found.estimate.counts.audited == n_audited
    spent = report.status.cost["prefilter"]["cpu_s"]
    share = 1 - len(rejected) / 12
    assert found.costs.costs.c_pre == pytest.approx(spent / 12 + share * found.costs.c_pre)


@pytest.mark.mongo
def test_a_killed_prefilter_says_the_same_when_it_is_run_again(make_cascade, monkeypatch):
    cascade = make_cascade()
    with open_job_store(cascade.database) as cascade.job_store:
        cascade.compute_what_runs()
    asked = []
    score = ForceField.score

    def killed(self, ids, context):
        asked.append(list(ids))
        for place, found in enumerate(score(self, ids, context)):
            if len(asked) == 1 and place == 5:
                raise KeyboardInterrupt
            yield found

    monkeypatch.setattr(ForceField, "score", killed)
    with pytest.raises(KeyboardInterrupt):
        cascade.step("prefilter")
    first = {each["_id"]: each["prefilter"] for each in cascade.candidates(**{"prefilter.state": "done"})}
    assert 0 < len(first) < 6
    cascade.step("prefilter")
    assert set(asked[1]) == {each["_id"] for each in cascade.candidates()} - first.keys()
    assert {
        name: said for each in cascade.candidates() if (name := each["_id"]) in first and (said := each["prefilter"])
    } == first
    assert cascade.store.attempts.count_documents({"stage": "prefilter"}) == 2
    assert cascade.step("prefilter") == 0
    histories = [[move["state"] for move in each["history"]] for each in cascade.candidates(state="rejected")]
    assert histories
    assert all(moves == ["rejected"] for moves in histories)


@pytest.mark.mongo
def test_a_candidate_that_it_cannot_predict_gets_its_dos(make_cascade):
    cascade = make_cascade()
    exploded = cascade.candidates()[0]
    wrong = Structure.from_dict(exploded["structure"])
    wrong.scale_lattice(1000 * wrong.volume)
    cascade.store.candidates.update_one({"_id": exploded["_id"]}, {"$set": {"structure": wrong.as_dict()}})
    with open_job_store(cascade.database) as cascade.job_store:
        cascade.compute_what_runs()
    cascade.step("prefilter")
    found = cascade.store.candidates.find_one({"_id": exploded["_id"]})
    assert found["state"] == "dos_running"
    assert found["prefilter"]["outcome"] == "passed"
    assert "times the volume of its atoms" in found["prefilter"]["reason"]


@pytest.mark.mongo
def test_a_person_decides_before_and_after_it(make_cascade):
    cascade = make_cascade(policy={"max_formation_energy": 0.1})
    with open_job_store(cascade.database) as cascade.job_store:
        cascade.compute_what_runs()
        before = cascade.candidates()[0]["_id"]
        running = RunningCampaign.open(cascade.store, cascade.launchpad, "cascade")
        promote(running, [before], reason="seen elsewhere")
        assert prefilter_counts(running).waiting == 5
        cascade.step("prefilter")
        cascade.compute_what_runs()
        rejected = [each["_id"] for each in cascade.candidates(state="rejected")]
        promote(running, rejected[:1], reason="seen elsewhere")
        cascade.compute_what_runs()
    for name in (before, rejected[0]):
        found = cascade.store.candidates.find_one({"_id": name})
        assert (found["state"], found["decision"]["kind"]) == ("relaxed", "person")
        assert "is_dos" not in found
    assert found["previous_decisions"][0]["kind"] == "prefilter"
    campaign = Campaign.read(cascade.store, "cascade")
    assert list(findings(campaign)) == []
    # as the prefilter decided: rejected, whatever a person did then
    counts = campaign_metrics(campaign).candidates
    assert counts.rejected >= len(rejected)


def before_each_score(monkeypatch, act):
    """Let something happen before a prefilter gets each of its scores."""
    score = ForceField.score

    def interrupted(self, ids, context):
        for found in score(self, ids, context):
            act(found)
            yield found

    monkeypatch.setattr(ForceField, "score", interrupted)


@pytest.mark.mongo
def test_of_what_a_person_decides_on_while_it_is_scored_nothing_is_written(make_cascade, monkeypatch):
    cascade = make_cascade(policy={"max_formation_energy": 0.1})
    decided = []

    def decide(found):
        if cascade.store.candidates.find_one({"_id": found.id})["prototype"] == "B1" and len(decided) < 2:
            (promote, reject)[len(decided)](opened(cascade), [found.id], reason="seen elsewhere")
            decided.append(found.id)

    before_each_score(monkeypatch, decide)
    with open_job_store(cascade.database) as cascade.job_store:
        cascade.compute_what_runs()
        cascade.step("prefilter")
    for each in cascade.candidates(_id={"$in": decided}):
        assert each["prefilter"] == {"state": "new"}
        assert each["decision"]["kind"] == "person"
    counts = prefilter_counts(opened(cascade))
    assert (counts.waiting, counts.seen, counts.rejected) == (0, 4, 1)


@pytest.mark.mongo
def test_its_second_batch_takes_the_elements_of_the_first(make_cascade, monkeypatch):
    cascade, relaxed, energy = make_cascade(screening={"batch_size": 3}), [], Relaxer.energy

    def counted(self, structure):
        if len(structure.composition) == 1:
            relaxed.append(structure.composition.elements[0].symbol)
        return energy(self, structure)

    monkeypatch.setattr(Relaxer, "energy", counted)
    with open_job_store(cascade.database) as cascade.job_store:
        cascade.compute_what_runs()
        assert cascade.step("prefilter") == 2
    assert sorted(relaxed) == ["Al", "Au", "Pd"]
    assert len(opened(cascade).document["element_energies"]) == 3


@pytest.mark.mongo
def test_a_share_of_the_audit_that_is_set_meanwhile_holds_for_the_rest_of_the_batch(make_cascade, monkeypatch):
    # everything is rejected, and the share is set after the four that are written together
    prefilter = {"scorer": {**EMT, "uncertainty": 0.05, "force_tolerance": 0.3}, "max_hull_energy": -3.0}
    cascade = make_cascade(policy={"max_formation_energy": 0.1}, prefilter=prefilter)
    asked = []

    def change(found):
        if len(asked) == 4:
            change_settings(opened(cascade), {"policy": {"audit": 0.999}})
        asked.append(found.id)

    before_each_score(monkeypatch, change)
    with open_job_store(cascade.database) as cascade.job_store:
        cascade.compute_what_runs()
        cascade.step("prefilter")
    found = {each["_id"]: each for each in cascade.candidates()}
    decided = [found[name] for name in asked]
    assert [each["prefilter"]["outcome"] for each in decided] == ["rejected"] * 6
    assert [each["prefilter"]["audit"] for each in decided] == [False] * 4 + [True] * 2
    # one that is audited is decided on by its Screen; the others keep the policy of their time
    assert [each["state"] for each in decided[:4]] == ["rejected"] * 4
    assert [each["decision"]["policy"]["audit"] for each in decided[:4]] == [0.0] * 4
    assert [each["prefilter"]["decision"]["policy"]["audit"] for each in decided[4:]] == [0.999] * 2
    campaign = opened(cascade)
    assert list(findings(campaign)) == []
    [event] = [event for event in read_events(campaign) if event["kind"] == "set"]
    assert event["details"]["changes"] == [{"field": "policy.audit", "old": 0.0, "new": 0.999}]


def screens(cascade):
    return [step["_id"] for step in cascade.store.steps.find({"campaign": cascade.name, "kind": "screen"})]


@pytest.mark.mongo
def test_what_it_rejects_is_no_part_of_a_batch_that_waits_for_its_screen(make_cascade):
    cascade = make_cascade(
        policy={"kind": "best_first", "cpu_hours": 1.0}, screening={"batch_size": 6, "min_completed_fraction": 0.5}
    )
    with open_job_store(cascade.database) as cascade.job_store:
        cascade.compute_what_runs()
        cascade.step("prefilter")
        left = cascade.candidates(state="dos_running")
        assert 1 < len(left) <= 3
        # none of them has been predicted, so no Screen may promise any of the hours
        assert relaxation_cpu_seconds(Campaign.read(cascade.store, "cascade")) == 0.0
        for number, document in enumerate(left):
            assert screens(cascade) == (["cascade/screen/0"] if number >= len(left) / 2 else [])
            cascade.compute(document, STAGES["dos"])
            advance(RunningCampaign.open(cascade.store, cascade.launchpad, "cascade"))
        cascade.step("screen")
    assert relaxation_cpu_seconds(Campaign.read(cascade.store, "cascade")) == pytest.approx(3600.0)


@pytest.mark.mongo
def test_a_batch_that_it_rejects_altogether_has_no_screen(make_cascade):
    candidates = {"prototypes": ["B1"], "elements": ["Al", "Pd", "Au"]}
    cascade = make_cascade(candidates=candidates, policy={"max_formation_energy": 0.1})
    cascade.run()
    assert {each["state"] for each in cascade.candidates()} == {"rejected"}
    assert screens(cascade) == []
    assert cascade.store.steps.find_one({"_id": "cascade/report"})


@pytest.mark.mongo
def test_it_does_not_begin_when_the_budget_is_spent_and_ends_when_it_has_begun(make_cascade):
    cascade = make_cascade(policy={"max_formation_energy": 0.1}, budget={"cpu_hours": 0.001})
    reading = Campaign.read(cascade.store, "cascade")
    with open_job_store(cascade.database) as cascade.job_store:
        cascade.compute_what_runs()
        assert cascade.step("prefilter") == 0
        assert {each["state"] for each in cascade.candidates()} == {"held"}
        assert cascade.store.steps.find_one({"_id": "cascade/report"})
        finish_campaign(reading, "cascade/report")
        change_settings(opened(cascade), {"budget": {"cpu_hours": 9.0}})
        # submitted, and the budget ends before it runs: nothing is held under it
        change_settings(opened(cascade), {"budget": {"cpu_hours": 0.002}})
        assert {each["state"] for each in cascade.candidates()} == {"new"}
        assert cascade.store.steps.find_one({"_id": "cascade/report"}) is None
        assert cascade.step("prefilter") == 1
    assert {each["state"] for each in cascade.candidates()} == {"held", "rejected"}
    assert cascade.store.steps.find_one({"_id": "cascade/report"})


def opened(cascade):
    return RunningCampaign.open(cascade.store, cascade.launchpad, cascade.name)


@pytest.mark.mongo
def test_what_is_still_to_come_leaves_out_what_it_will_reject(make_cascade):
    cascade = make_cascade(policy={"max_formation_energy": 0.1}, screening={"batch_size": 5})
    with open_job_store(cascade.database) as cascade.job_store:
        cascade.compute_what_runs()
        first = cascade.store.steps.find_one({"_id": "cascade/prefilter/0"})
        opened(cascade).prefilter(cascade.database, first["_id"], fw_id=first["fw_id"])
        cascade.compute_what_runs()
        second = cascade.store.steps.find_one({"_id": "cascade/screen/0"})
        opened(cascade).screen(cascade.database, second["_id"], fw_id=second["fw_id"])
        cascade.compute_what_runs()
    of_batch = cascade.candidates(batch=0)
    rejected = sum(each["prefilter"]["outcome"] == "rejected" for each in of_batch)
    sent = sum(each["state"] in ("relaxed", "relax_failed") for each in of_batch)
    screened = sum(each["state"] != "dos_failed" for each in of_batch) - rejected
    assert 0 < rejected < 5
    assert sent > 0
    each_passing = CPU_S + sent / screened * CPU_S
    left = status_report(Campaign.read(cascade.store, "cascade")).time_left
    assert left.at_least_hours == 0.0
    assert left.cpu_hours == pytest.approx((1 - rejected / 5) * each_passing / 3600)

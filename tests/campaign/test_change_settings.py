"""Settings that no calculated number depends on change while a campaign runs; existing decisions are kept."""

import random

import pytest
from predicted import store_predictions
from prepared import BATCHES, finish_dos, with_model

from campaign.running_campaign import start_campaign
from campaign.scheduling.advance import advance
from campaign.scheduling.change_settings import change_settings
from campaign.scheduling.submit import submit_step
from campaign.spec.changes import SettingsError, changed_spec, read_assignments
from campaign.steps.decide import make_decisions
from campaign.steps.finish import finish_campaign
from campaign.steps.start import CampaignExistsError
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.steps import Step

SCREENED = {"role": "screened", "campaign": "finished"}


def test_everything_wrong_is_said_at_once_with_what_can_be_set(small_spec):
    given, problems = read_assignments(
        [
            "dft.encut=400",
            "seed=2",
            "polcy.p=1",
            "policy",
            "stable.max_hull_energy=[1]",
            "budget.relaxations=1.5",
            "retries.stop_after=2",
            "retries.stop_after=3",
            "screening.close_at=2",
            "policy.max_hul_energy=1",
        ]
    )
    with pytest.raises(SettingsError) as told:
        changed_spec(small_spec(), given, problems)
    said = told.value.problems
    assert len(said) == 9
    for part in (
        "dft.encut: cannot be changed: all calculated numbers depend on it",
        "Settings that can be changed: screening, policy, budget, stable, retries",
        "seed: cannot be changed",
        "polcy.p: unknown section; did you mean 'policy'?",
        "found 'policy'; right: SECTION.KEY=VALUE",
        "stable.max_hull_energy: found",
        "budget.relaxations: found 1.5; right: a whole number",
        "retries.stop_after: is given twice",
        "screening.min_completed_fraction: found 2",
        "policy.max_hul_energy: unknown key; did you mean 'max_hull_energy'?",
    ):
        assert any(part in problem for problem in said), (part, said)


def test_values_are_those_of_a_campaign_file(small_spec):
    given, problems = read_assignments(
        ["budget.until=2030-03-01T08:00:00Z", "budget.cpu_hours=1e2", "screening.actors=none", "policy.audit=0.1"]
    )
    new, changes = changed_spec(small_spec(), given, problems)
    assert f"{new.budget.until:%Y-%m-%d %H:%M %Z}" == "2030-03-01 08:00 UTC"
    assert (new.budget.cpu_hours, new.screening.actors, new.policy.audit) == (100.0, None, 0.1)
    assert "budget.cpu_hours null -> 100.0" in map(str, changes)
    other, changes = changed_spec(new, read_assignments(["policy.kind=best_first", "policy.cpu_hours=3"])[0])
    assert (other.policy.kind, other.policy.audit) == ("best_first", 0.1)
    assert {"policy.kind thresholds -> best_first", "policy.cpu_hours null -> 3.0"} <= set(map(str, changes))
    with pytest.raises(SettingsError, match="retrain_every: found 3, but it is null"):
        changed_spec(small_spec(), {"screening": {"retrain_every": 3}})


@pytest.mark.mongo
def test_another_policy_leaves_decisions_until_they_are_made_again(probable):
    rejected = probable.candidate(state="rejected")
    before = probable.everything()
    dry = probable.run("set", "policy.p=0.4", "--redecide", "--dry-run")
    assert "policy.p 0.5 -> 0.4" in dry
    assert "would be decided again: 1 rejected -> promoted" in dry
    assert probable.everything() == before
    assert "existing decisions are kept" in probable.run("set", "policy.p=0.4")
    assert probable.get(rejected) == rejected
    assert probable.read().document["state"] == "finished"
    explained = probable.run("explain", "AlLi:B1")
    assert "recomputed from the stored data: the same" in explained
    assert "changed since: p 0.4" in explained
    assert "last changes" in probable.run("status")
    entry = probable.json("history")[-1]
    assert entry["details"]["changes"] == [{"field": "policy.p", "old": 0.5, "new": 0.4}]
    assert "already in force" in probable.run("set", "policy.p=0.4")
    assert "decided again: 1 rejected -> promoted" in probable.run("set", "--redecide")
    promoted = probable.get(rejected)
    assert promoted["state"] == "relax_running"
    assert promoted["decision"]["policy"]["p"] == 0.4
    assert promoted["previous_decisions"] == [rejected["decision"]]
    assert "recomputed from the stored data: the same" in probable.run("explain", "AlLi:B1")
    assert probable.read().document["state"] == "running"
    assert "all with the same outcome" in probable.run("set", "--redecide")
    # a report that was submitted before comes again after what is open now
    submit_step(probable.open(), Step.report("probable"))
    finish_campaign(probable.read(), "probable/report")
    assert probable.read().document["state"] == "running"
    assert probable.store.steps.find_one({"_id": "probable/report"}) is None


@pytest.mark.mongo
def test_whatever_the_policies_nothing_is_unpromoted_and_every_decision_can_be_made_again(ended):
    chosen = random.Random(5)
    sent = {"promoted", "relax_running", "relaxed", "relax_failed"}
    ended.run("budget", "--relaxations", "5")
    for _ in range(5):
        before = {found["_id"]: found for found in ended.store.candidates.find(SCREENED)}
        limits = [
            f"policy.{name}={chosen.uniform(-0.3, 0.4):.3f}" for name in ("max_hull_energy", "max_formation_energy")
        ]
        ended.run("set", *limits, f"policy.audit={chosen.choice([0, 0.3, 0.8])}", "--redecide")
        for document in ended.store.candidates.find(SCREENED):
            old = before[document["_id"]]
            if old["state"] in sent:
                assert document["state"] in sent
            if old["decision"]["promoted"]:
                assert document["decision"] == old["decision"]
            if document["decision"] != old["decision"]:
                assert document["previous_decisions"][-1] == old["decision"]
            told = ended.json("explain", document["_id"]) if document["decision"] != old["decision"] else None
            assert told is None or told["made_again"]["same"], told
        assert ended.store.candidates.count_documents({**SCREENED, "state": {"$in": list(sent)}}) <= 5


@pytest.mark.mongo
def test_a_policy_that_goes_by_cost_is_made_again_with_the_cost_that_was_expected_then(ended):
    costs = [found["prediction"]["relax_cpu_s"] for found in ended.store.candidates.find(SCREENED)]
    kind = ["policy.kind=expected_yield", "policy.uncertainty=0.2", "policy.max_hull_energy=0.1", "policy.audit=0.5"]
    for least in (0.5, 0.05):
        ended.run("set", *kind, f"policy.min_yield={least * 3600.0 / max(costs)}", "--redecide")
        made = list(ended.store.candidates.find({**SCREENED, "decision.policy.kind": "expected_yield"}))
        assert made
        for document in made:
            told = ended.json("explain", document["_id"])
            assert told["made_again"]["same"], told
            assert document["decision"]["inputs"]["relax_cpu_s"] > 0.0
    # what the audit has had relaxed is judged by its cost too, and takes nothing more of the budget
    paid = [found for found in made if found["state"] == "relaxed"]
    assert paid
    assert all(found["decision"]["relax_cpu_s"] == 0.0 for found in paid)
    assert "no problems found" in ended.run("verify")


@pytest.mark.mongo
def test_a_stricter_policy_rejects_what_is_held_and_keeps_the_audit(ended):
    audited = ended.candidate(**{"decision.audit": True})
    said = ended.run("set", "policy.max_hull_energy=-0.2", "--redecide")
    assert "held -> rejected" in said
    states = {(found["formula"], found["prototype"]): found for found in ended.store.candidates.find(SCREENED)}
    assert states["Li3Al", "L1_2"]["decision"]["outcome"] == "held"
    assert states["Li3Al", "D0_3"]["decision"]["outcome"] == "rejected"
    assert ended.get(audited)["state"] == "relaxed"
    assert ended.get(audited)["decision"]["audit"]


@pytest.mark.mongo
def test_what_is_stable_is_said_anew(ended):
    count = ended.store.candidates.count_documents({"result.stable": True, "campaign": "finished"})
    assert count == ended.read().document["summary"]["stable"] > 0
    ended.run("set", "stable.max_hull_energy=-1")
    assert ended.json("metrics")["n_stable"] == ended.read().document["summary"]["stable"] == 0
    assert ended.read().document["state"] == "finished"
    ended.run("set", "stable.max_hull_energy=0.1")
    assert ended.read().document["summary"]["stable"] == count


@pytest.mark.mongo
def test_the_budget_is_one_thing_whichever_command_changes_it(ended):
    ended.run("set", "budget.relaxations=5")
    assert ended.json("budget")["limits"]["relaxations"] == 5
    assert ended.candidate(state="relax_running")["prototype"] == "L1_2"
    ended.run("budget", "--relaxations", "none")
    assert [entry["kind"] for entry in ended.json("history")][-2:] == ["set", "budget"]
    assert ended.store.candidates.count_documents({"state": "held"}) == 0
    assert "budget.cpu_hours" in ended.refused("set", "budget.cpu_hours=-1")
    assert "no setting given" in ended.refused("set")


@pytest.mark.mongo
def test_a_policy_that_needs_what_predictions_lack_is_refused(ended):
    ended.store.candidates.update_many({}, {"$set": {"prediction.uncertainty": None}})
    assert "would reject everything" in ended.refused("set", "policy.kind=probability", "policy.p=0.5")


@pytest.mark.mongo
def test_the_file_may_say_what_it_was_started_with_or_what_is_in_force(store, launchpad, small_spec):
    start_campaign(store, launchpad, small_spec())
    campaign = OpenCampaign.open(store, launchpad, "small")
    change_settings(campaign, {"policy": {"max_hull_energy": 0.2}, "retries": {"stop_after": 7}})
    again = start_campaign(store, launchpad, small_spec())
    assert "settings that were changed since then are kept (campaign history small): " in again.message
    assert "policy.max_hull_energy is 0.2 (in the file 20.0)" in again.message
    in_force = small_spec(policy={"max_formation_energy": 20.0, "max_hull_energy": 0.2}, retries={"stop_after": 7})
    assert start_campaign(store, launchpad, in_force).note is None
    with pytest.raises(CampaignExistsError) as told:
        start_campaign(store, launchpad, small_spec(retries={"stop_after": 9}))
    assert "retries.stop_after (stored 7, changed from 3 by `campaign set`, in the file 9)" in str(told.value)
    assert str(told.value).endswith("These can be changed while it runs: campaign set small retries.stop_after=9")
    assert Campaign.read(store, "small").spec.retries.stop_after == 7


@pytest.mark.mongo
def test_a_screen_that_is_run_again_decides_by_the_policy_that_it_began_with(store, launchpad, small_spec):
    with_model(store, launchpad, small_spec(**BATCHES))
    ids = sorted(finish_dos(store, batch=0, number=5))
    advance(OpenCampaign.open(store, launchpad, "small"))
    store_predictions(Campaign.read(store, "small"), "small/screen/0", ids, dict.fromkeys(ids, -0.5))
    make_decisions(Campaign.read(store, "small"), "small/screen/0")
    before = {found["_id"]: found["decision"] for found in store.candidates.find({"decision": {"$exists": True}})}
    # killed half-way: two of the decisions were not written
    store.candidates.update_many({"_id": {"$in": ids[:2]}}, {"$set": {"state": "dos_done"}, "$unset": {"decision": ""}})
    change_settings(OpenCampaign.open(store, launchpad, "small"), {"policy": {"max_formation_energy": -5.0}})
    make_decisions(Campaign.read(store, "small"), "small/screen/0")
    for name in ids:
        now = store.candidates.find_one({"_id": name})["decision"]
        assert {**now, "time": None} == {**before[name], "time": None}

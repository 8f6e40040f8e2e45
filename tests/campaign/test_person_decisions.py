"""Persons promote and reject candidates, whatever the policy said; its metrics do not count what they chose."""

import pytest
from finished_campaign import Finished
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from stored_campaign import StoredCampaign
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.metrics.audit import AuditCounts, estimate_discoverability
from campaign.recovery.reconcile import reconcile
from campaign.steps.finish import finish_campaign
from campaign.store.campaigns import Campaign, CampaignIsDeletedError
from campaign.store.held import lock_budget
from campaign.views.metrics.campaign_metrics import campaign_metrics
from campaign.views.policy_dry_run import word_of
from launchers.database.job_store import open_job_store

WHY = ("--reason", "known from experiment")


@pytest.fixture
def half_way(launchpad_file):
    """A real campaign with two relaxations and an IS-DOS that wait for a worker, and no relaxation left."""
    stored = StoredCampaign(launchpad_file, "half_way", "half-way")
    reconcile(stored.open())
    return stored


def state(stored, document, fw_id):
    return stored.launchpad.fireworks.find_one({"fw_id": document[fw_id[0]][fw_id[1]]})["state"]


@pytest.mark.mongo
def test_a_rejected_candidate_of_a_finished_campaign_is_promoted_and_submitted(probable):
    rejected = probable.candidate(state="rejected")
    before = probable.everything()
    assert "would be: 1 promoted" in probable.run("promote", "AlLi:B1", *WHY, "--dry-run")
    assert probable.everything() == before
    probable.run("promote", "AlLi:B1", *WHY)
    promoted = probable.get(rejected)
    assert (promoted["state"], promoted["decision"]["kind"]) == ("relax_running", "person")
    assert promoted["decision"]["said"] == WHY[1]
    assert promoted["previous_decisions"] == [rejected["decision"]]
    assert state(probable, promoted, ("relaxation", "fw_id")) == "READY"
    assert probable.read().document["state"] == "running"
    user, host = promoted["decision"]["user"], promoted["decision"]["host"]
    assert f"promoted already (by {user}: {WHY[1]})" in probable.run("promote", promoted["_id"], *WHY)
    explained = probable.run("explain", promoted["_id"])
    assert f"decision: promoted by a person, {user} on {host}" in explained
    assert "before that: rejected by probable/screen/0" in explained
    assert probable.run("history").splitlines()[-1].endswith(f"promote by {user} on {host}: LiAl:B1: {WHY[1]}")
    assert word_of(promoted["decision"]) == "person"
    # not begun, it may be rejected again
    probable.run("reject", "AlLi:B1", "--reason", "a mistake")
    assert probable.get(rejected)["state"] == "rejected"
    assert probable.store.steps.find_one({"_id": "probable/report"})["state"] == "submitted"


@pytest.mark.mongo
def test_what_the_budget_does_not_allow_is_held_and_released_before_what_the_policy_holds(ended):
    wanted = ended.candidate(formula="Li3Al", prototype="D0_3")
    better = ended.candidate(formula="Li3Al", prototype="L1_2")
    assert wanted["prediction"]["e_above_hull"] > better["prediction"]["e_above_hull"]
    said = ended.run("promote", "Li3Al:D0_3", *WHY)
    assert "held by the budget: held: no relaxation is left in the budget" in said
    assert "waits for the budget: --over-budget relaxes it" in ended.run("promote", "Li3Al:D0_3", *WHY)
    ended.run("budget", "--relaxations", "4")
    assert ended.get(wanted)["state"] == "relax_running"
    assert ended.get(wanted)["decision"]["reason"] == WHY[1]
    assert ended.get(better)["state"] == "held"


@pytest.mark.mongo
def test_over_the_budget_only_where_a_person_says_so(ended):
    wanted = ended.candidate(prototype="L1_0")
    ended.run("promote", "LiAl:L1_0", *WHY)
    assert ended.get(wanted)["state"] == "held"
    ended.run("promote", "LiAl:L1_0", *WHY, "--over-budget")
    assert ended.get(wanted)["state"] == "relax_running"
    assert [found["state"] for found in ended.store.candidates.find({"formula": "Li3Al"})] == ["held", "held"]


@pytest.mark.mongo
def test_what_a_person_rejects_is_not_relaxed_when_the_budget_is_raised(ended):
    ended.run("reject", "Li3Al:L1_2", "--reason", "too costly")
    ended.run("budget", "--relaxations", "none")
    states = {found["prototype"]: found["state"] for found in ended.store.candidates.find({"formula": "Li3Al"})}
    assert states == {"L1_2": "rejected", "D0_3": "relax_running"}


@pytest.mark.mongo
def test_calculations_that_have_not_begun_are_withdrawn(half_way):
    relaxing, before_dos = half_way.candidate(prototype="B3"), half_way.candidate(prototype="B1")
    half_way.run("reject", "LiAl:B3", "LiAl:B1", "--reason", "too costly")
    for document, field in ((relaxing, "relaxation"), (before_dos, "is_dos")):
        assert half_way.get(document)["state"] == "rejected"
        assert [state(half_way, document, (field, fw_id)) for fw_id in ("fw_id", "record_fw_id")] == ["ARCHIVED"] * 2
        assert "rejected already" in half_way.run("reject", document["_id"], "--reason", "again")
    # one relaxation is free again, and needs no IS-DOS
    half_way.run("promote", "LiAl:B1", *WHY)
    assert half_way.get(before_dos)["state"] == "relax_running"
    assert half_way.launchpad.get_fw_ids({"state": "READY", "spec.document": before_dos["_id"]}) != []


@pytest.mark.mongo
def test_a_relaxation_that_runs_is_not_rejected_and_others_are(half_way):
    running = half_way.candidate(prototype="B2")
    half_way.launchpad.fireworks.update_one({"fw_id": running["relaxation"]["fw_id"]}, {"$set": {"state": "RUNNING"}})
    words = ["reject", "half-way", "LiAl:B2", "LiAl:B3", "--reason", "too costly", "-l", str(half_way.file)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "LiAl:B2" in result.output.splitlines()[0]
    assert "refused: its relaxation is running, and is not stopped" in result.output
    assert half_way.get(running)["decision"] == running["decision"]
    assert half_way.candidate(prototype="B3")["state"] == "rejected"


@pytest.mark.mongo
@pytest.mark.parametrize("command", ["promote", "reject"])
def test_decisions_on_a_candidate_whose_is_dos_runs_are_carried_out_when_it_has_ended(half_way, command):
    waiting = half_way.candidate(prototype="B1")
    half_way.launchpad.fireworks.update_one({"fw_id": waiting["is_dos"]["fw_id"]}, {"$set": {"state": "RUNNING"}})
    said = CliRunner().invoke(app, [command, "half-way", "LiAl:B1", *WHY, "-l", str(half_way.file)]).output
    assert "takes effect when the IS-DOS has finished" in said
    assert half_way.get(waiting)["state"] == "dos_running"
    # it fails: a person who wants it relaxed needs no DOS, and the budget has a say then
    failure = {"stage": "dos", "kind": "science"}
    half_way.store.candidates.update_one(
        {"_id": waiting["_id"]}, {"$set": {"state": "dos_failed", "final_failure": failure}}
    )
    half_way.open().refresh()
    reconcile(half_way.open())
    expected = "held" if command == "promote" else "dos_failed"
    assert half_way.get(waiting)["state"] == expected
    if command == "promote":
        assert half_way.get(waiting)["final_failure"] is None
        CliRunner().invoke(app, ["budget", "half-way", "--relaxations", "3", "-l", str(half_way.file)])
        assert half_way.get(waiting)["state"] == "relax_running"


@pytest.mark.mongo
def test_everything_wrong_with_the_names_is_said_in_one_message(ended, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("# wanted\nLiAl:B7  # a misprint\n\nLi3Al\n")
    said = ended.refused("promote", "--from", str(names), "Xe:B1", *WHY)
    assert "no candidate 'LiAl:B7'" in said
    assert "several candidates 'Li3Al'" in said
    assert "no candidate 'Xe:B1'" in said
    assert "no candidate given; right: AlPd:B2" in ended.refused("promote", *WHY)
    assert "--reason: found nothing" in ended.refused("reject", "Li3Al:L1_2", "--reason", " ")
    assert "cannot be read" in ended.refused("reject", "--from", str(tmp_path), "--reason", "x")
    refused = ended.run("reject", "LiAl:B2", "LiAl3:D0_3", "--reason", "x", code=1)
    assert "to train the model (role bootstrap)" in refused
    assert "its relaxation has already finished" in refused


@pytest.mark.mongo
def test_a_campaign_that_was_finished_ends_again_and_its_metrics_are_those_of_the_policy(database, tmp_path):
    finished = Finished(database, tmp_path)
    finished.run()
    before = campaign_metrics(Campaign.read(finished.store, "quickstart")).to_dict()
    summary = Campaign.read(finished.store, "quickstart").document["summary"]
    rejected = [found["_id"] for found in finished.store.candidates.find({"state": "rejected"}).limit(2)]
    words = ["promote", "quickstart", *rejected, *WHY, "-l", str(tmp_path / "my_launchpad.yaml")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    with open_job_store(database) as finished.job_store:
        finished.compute_what_runs()
    assert finished.store.steps.find_one({"_id": "quickstart/report"})["state"] == "submitted"
    finish_campaign(Campaign.read(finished.store, "quickstart"), "quickstart/report")
    campaign = Campaign.read(finished.store, "quickstart")
    assert campaign.document["state"] == "finished"
    assert campaign.document["summary"]["states"]["relaxed"] == summary["states"]["relaxed"] + 2
    after = campaign_metrics(campaign).to_dict()
    assert after["n_results"] == before["n_results"] + 2
    assert (after["candidates"]["by_person"], before["candidates"]["by_person"]) == (2, 0)
    for key in ("decided", "promoted", "rejected", "audited", "waiting"):
        assert after["candidates"][key] == before["candidates"][key]
    for key in ("success_ratio", "ppcr", "tp", "fp"):
        assert after["metrics"][key] == before["metrics"][key]
    # two that were not promoted are known to be unstable now, so fewer can be missed; nothing is a sample
    assert after["audit"]["counts"]["audited"] == 0
    assert after["audit"]["interval"][0] > before["audit"]["interval"][0]


@given(data=st.data())
def test_what_is_known_besides_a_sample_loses_no_coverage(data):
    population = data.draw(st.integers(1, 60))
    stable = data.draw(st.integers(0, population))
    truth = data.draw(st.permutations([True] * stable + [False] * (population - stable)))
    sample = data.draw(st.integers(0, population))
    known = data.draw(st.integers(0, population - sample))
    counts = {"stable": 3, "promoted_ended": 5, "not_promoted": population}
    counts |= {"audited": sample, "audit_stable": sum(truth[:sample])}
    besides = truth[sample : sample + known]
    alone = estimate_discoverability(AuditCounts(**counts)).missed_interval
    found = estimate_discoverability(
        AuditCounts(**counts, known_stable=sum(besides), known_unstable=known - sum(besides))
    )
    if alone[0] <= stable <= alone[1]:
        assert found.missed_interval[0] <= stable <= found.missed_interval[1]
    assert found.missed_interval[0] >= alone[0]
    assert found.missed_interval[1] <= alone[1]
    if sample + known == population:
        assert found.missed == stable
        assert found.is_exact


@pytest.mark.mongo
def test_an_archived_campaign_and_one_that_is_being_deleted_take_no_changes(launchpad_file, tmp_path):
    stored = StoredCampaign(launchpad_file, "finished", "finished")
    (tmp_path / "POSCAR").write_text(Structure(Lattice.cubic(3.9), ["Al", "Li"], [[0] * 3, [0.5] * 3]).to(fmt="poscar"))
    commands = (
        ("promote", "AlLi:B1", *WHY),
        ("reject", "AlLi:B1", *WHY),
        ("set", "policy.max_hull_energy=0.2"),
        ("add", "--as-given", str(tmp_path / "POSCAR")),
    )
    stored.run("archive")
    for command in commands:
        assert "is archived; right: `campaign resume finished`" in stored.refused(*command)
    stored.run("archive", "--undo")
    # deleted in the moment between opening it and the transaction
    campaign = stored.open()
    stored.store.campaigns.update_one({"_id": "finished"}, {"$set": {"state": "deleting"}})
    before = stored.everything()
    with pytest.raises(CampaignIsDeletedError, match="deleted in the meantime"):
        stored.store.in_transaction(lambda session: lock_budget(campaign, session))
    assert stored.everything() == before

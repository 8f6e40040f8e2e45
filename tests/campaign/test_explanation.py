"""`campaign explain`, `decide` and `release`: what they say is what is stored, and a dry run writes nothing."""

import json
from functools import partial

import pytest
from predicted import store_predictions
from prepared import BATCHES, finish_dos, with_model
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.policies.registry import make_policy
from campaign.scheduling.advance import advance
from campaign.steps.decide import make_decisions
from campaign.steps.energies import single_point_energies
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.candidates import UnknownCandidateError, find_candidate
from campaign.views.explanation import explanation, format_explanation
from campaign.views.policy_dry_run import dry_run
from campaign.views.report.data import build_report
from campaign.views.report.tables import page_tables
from campaign.views.results import result_rows, rows_as_table

pytestmark = pytest.mark.mongo


@pytest.fixture
def decided(store, launchpad, small_spec):
    """Screen five candidates: one promoted, one held, three rejected, one of them audited or not by the draw."""
    spec = small_spec(**(BATCHES | {"budget": {"relaxations": 1}}))
    with_model(store, launchpad, spec)
    ids = sorted(finish_dos(store, batch=0, number=5))
    advance(OpenCampaign.open(store, launchpad, "small"))
    loaded = Campaign.read(store, "small")
    said = dict(zip(ids, [-0.5, -0.4, -0.01, 0.4, 0.5], strict=True))
    trust = dict.fromkeys(ids, 0.2)
    store_predictions(loaded, "small/screen/0", ids, said, uncertainty=trust)
    make_decisions(loaded, "small/screen/0")
    store.close_step("small/screen/0")
    return ids


def document(store, name):
    return store.candidates.find_one({"_id": name})


def test_an_explanation_names_policy_values_budget_and_model(store, decided):
    text = "\n".join(format_explanation(explanation(Campaign.read(store, "small"), document(store, decided[1]))))
    assert "decision: held, rank 2" in text
    assert "E_f(ML) = -0.400 <= -0.02 eV/atom" in text
    assert "no relaxation is left in the budget" in text
    assert "policy: kind thresholds, audit 0.0" in text
    assert "by model 000000000000 in small/screen/0" in text
    assert "recomputed from the stored data: the same" in text


def test_an_explanation_gives_the_energy_of_the_unrelaxed_crystal(store, decided):
    campaign = Campaign.read(store, "small")
    told = explanation(campaign, document(store, decided[1]))
    assert told["unrelaxed_e_form_per_atom"] is None
    n_atoms = sum(document(store, decided[1])["composition"].values())
    store.candidates.update_one({"_id": decided[1]}, {"$set": {"is_dos.energy": -5.0 * n_atoms}})
    told = explanation(campaign, document(store, decided[1]))
    (expected,) = single_point_energies(campaign, [decided[1]])
    assert told["unrelaxed_e_form_per_atom"] == pytest.approx(expected.e_form)
    assert f"unrelaxed: E_f {expected.e_form:+.3f} eV/atom, by the energy of" in "\n".join(format_explanation(told))


def test_a_queued_calculation_is_not_said_to_run(store, launchpad, decided):
    advance(OpenCampaign.open(store, launchpad, "small"))
    promoted = document(store, decided[0])
    (fw_id,) = store.database["fireworks"].distinct("fw_id", {"spec.document": decided[0], "spec._category": "relax"})
    for state, said in (("READY", "waits for a worker"), ("RUNNING", "is running"), ("RESERVED", "waits in a sched")):
        launchpad.fireworks.update_one({"fw_id": fw_id}, {"$set": {"state": state}})
        first = next(format_explanation(explanation(Campaign.read(store, "small"), promoted)))
        assert f": its relaxation {said}" in first
        assert first.endswith(" (relax_running)")
    other = next(format_explanation(explanation(Campaign.read(store, "small"), document(store, decided[3]))))
    assert other.endswith(": rejected")


def test_an_explanation_says_why_a_candidate_failed_for_good(store, decided):
    failure = {"stage": "relax", "kind": "science", "error": "it did not converge"}
    store.candidates.update_one({"_id": decided[0]}, {"$set": {"final_failure": failure}})
    text = "\n".join(format_explanation(explanation(Campaign.read(store, "small"), document(store, decided[0]))))
    assert "failed permanently: relax, science: it did not converge" in text


def test_an_is_dos_whose_k_points_or_smearing_custodian_changed_is_flagged(store, decided):
    changed = {"is_dos.kpoints_changed": True, "is_dos.smearing_changed": False}
    store.candidates.update_one({"_id": decided[0]}, {"$set": changed})
    campaign = Campaign.read(store, "small")
    text = "\n".join(format_explanation(explanation(campaign, document(store, decided[0]))))
    assert "IS-DOS: custodian changed its k-points" in text
    assert "IS-DOS" not in "\n".join(format_explanation(explanation(campaign, document(store, decided[1]))))
    rows = {row.id: row for row in result_rows(campaign)}
    assert (rows[decided[0]].dos_changed, rows[decided[1]].dos_changed) == ("k-points", None)
    table = rows_as_table(list(rows.values()), title="small")
    assert table.caption is not None
    formulas = list(table.columns[1].cells)
    assert [formula for formula in formulas if str(formula).endswith("*")] == [f"{rows[decided[0]].formula}*"]
    store.candidates.update_one({"_id": decided[0]}, {"$set": {"is_dos.smearing_changed": True}})
    assert {row.dos_changed for row in result_rows(campaign)} == {"smearing and k-points", None}


def test_a_rejection_within_one_standard_deviation_is_marked_with_what_to_do(store, decided, launchpad_file):
    campaign = Campaign.read(store, "small")
    # -0.01 +- 0.2 eV/atom may be below the threshold, 0.4 and 0.5 +- 0.2 are not; no rejection, no mark
    rows = {row.id: row for row in result_rows(campaign)}
    assert [rows[name].near_threshold for name in decided] == [None, None, True, False, False]
    run = partial(CliRunner().invoke, app, env={"COLUMNS": "300"})
    table = run(["results", "small", "--launchpad", str(launchpad_file)]).output
    assert table.count("rejected? ") == 2  # in its row, and explained below the table
    assert "rejected? (1 candidate): within one standard deviation of being promoted" in table
    assert "campaign promote small FORMULA:PROTOTYPE --reason" in table
    told = {name: explanation(campaign, document(store, name)) for name in decided}
    assert [told[name]["near_threshold"] for name in decided] == [None, None, True, False, False]
    text = "\n".join(format_explanation(told[decided[2]]))
    assert (
        "uncertain: lower by one standard deviation, it would be promoted; relax one: campaign promote small "
        f"{decided[2]} --reason" in text
    )
    shown = {row[-1]: row[6] for row in page_tables(build_report(campaign, map_of_dos=False))[0].rows}
    assert (shown[decided[2]], shown[decided[3]]) == ("rejected?", "rejected")
    # what it advises does relax it
    advised = ["set", "small", "policy.kind=probability", "policy.p=0.16", "--redecide"]
    done = run([*advised, "--dry-run", "--launchpad", str(launchpad_file)])
    assert "rejected -> held" in done.output, done.output


def test_an_altered_decision_is_noticed_when_it_is_made_again(store, decided):
    store.candidates.update_one({"_id": decided[3]}, {"$set": {"decision.inputs.e_form_per_atom": -3.0}})
    store.candidates.update_one({"_id": decided[3]}, {"$set": {"decision.inputs.e_above_hull": -3.0}})
    again = explanation(Campaign.read(store, "small"), document(store, decided[3]))["made_again"]
    assert again["same"] is False


def test_a_candidate_is_found_by_what_a_person_would_type(store, decided):
    wanted = document(store, decided[0])
    for text in (wanted["_id"], wanted["_id"][:-12], f"{wanted['formula']}:{wanted['prototype']}"):
        assert find_candidate(Campaign.read(store, "small"), text)["_id"] == wanted["_id"]
    assert wanted["formula"] == "AlCu"
    assert find_candidate(Campaign.read(store, "small"), f"CuAl:{wanted['prototype']}")["_id"] == wanted["_id"]
    for formula in ("AlCu", "CuAl"):
        with pytest.raises(UnknownCandidateError, match=f"several candidates '{formula}'"):
            find_candidate(Campaign.read(store, "small"), formula)
    with pytest.raises(UnknownCandidateError, match="no candidate 'NaCl'"):
        find_candidate(Campaign.read(store, "small"), "NaCl")
    with pytest.raises(UnknownCandidateError, match="no candidate"):
        find_candidate(Campaign.read(store, "small"), ".*")


def test_a_dry_run_shows_what_another_policy_would_do_and_writes_nothing(store, decided):
    before = list(store.candidates.find().sort("_id"))
    found = dry_run(
        Campaign.read(store, "small"), make_policy({"kind": "probability", "p": 0.4, "max_formation_energy": 0.0})
    )
    assert found.now == {"promoted": 1, "held": 1, "rejected": 3}
    # P(E_f <= 0) of -0.5, -0.4 and -0.01 eV/atom is at least 0.4; one may be relaxed
    assert found.would_be == {"promoted": 1, "held": 2, "rejected": 2}
    assert [(row.id, row.now, row.would_be) for row in found.differences] == [(decided[2], "rejected", "held")]
    assert list(store.candidates.find().sort("_id")) == before
    # the campaign's hours come before the policy's own
    store.campaigns.update_one({"_id": "small"}, {"$set": {"budget": {"relaxation_cpu_hours": 0.0}}})
    spent = dry_run(Campaign.read(store, "small"), make_policy({"kind": "best_first", "cpu_hours": 1000.0}))
    assert "promoted" not in spent.would_be


def test_the_commands_print_it(store, decided, launchpad_file):
    runner = CliRunner()
    options = ["--launchpad", str(launchpad_file)]
    told = runner.invoke(app, ["explain", "small", decided[0], "--json", *options])
    assert told.exit_code == 0, told.output
    assert json.loads(told.output)["decision"]["outcome"] == "promoted"
    policy = "thresholds:max_formation_energy=1,max_hull_energy=1"
    shown = runner.invoke(app, ["decide", "small", "--dry-run", "--policy", policy, *options])
    assert shown.exit_code == 0, shown.output
    assert "1 held, 1 promoted, 3 rejected" in shown.output
    assert "4 held, 1 promoted" in shown.output
    refused = runner.invoke(app, ["decide", "small", "--policy", policy, *options])
    assert "without --dry-run" in str(refused.exception)
    budget = runner.invoke(app, ["budget", "small", "--relaxations", "2", *options])
    assert budget.exit_code == 0, budget.output
    assert "1 held candidate released, 0 stay held" in budget.output
    wrong = runner.invoke(app, ["budget", "small", "--relaxations", "two", *options])
    assert "--relaxations: found 'two'" in str(wrong.exception)


@pytest.mark.parametrize("command", ["release", "decide"])
def test_held_candidates_are_released_as_far_as_the_budget_allows(store, launchpad_file, decided, command):
    call = [command, "small", "--launchpad", str(launchpad_file)]
    none = CliRunner().invoke(app, call)
    assert none.exit_code == 0, none.output
    assert none.stdout == "0 held candidates released\n"
    assert document(store, decided[1])["state"] == "held"
    store.campaigns.update_one({"_id": "small"}, {"$set": {"budget.relaxations": 2}})
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    assert done.stdout == "1 held candidate released\n"
    renamed = "`campaign decide` without --dry-run is now `campaign release small`\n"
    assert done.stderr == (renamed if command == "decide" else "")
    # and it is submitted
    assert document(store, decided[1])["state"] == "relax_running"

"""`campaign add`: more candidates for a campaign that runs or has finished."""

import json

import pytest
import reference_entries
from prepared import relax_references, steps, with_model
from pymatgen.core import Lattice, Structure
from reference_entries import GPAW, alloys, entry
from small_campaign import SMALL
from typer.testing import CliRunner

from campaign.candidates.given.reading import GivenSettings, read_given
from campaign.cli.app import app
from campaign.recovery.reconcile import reconcile
from campaign.running_campaign import RunningCampaign, start_campaign
from campaign.spec.given import LeftOutError
from campaign.spec.reader import read_firework_spec
from campaign.steps.add import AdditionError
from campaign.steps.finish import finish_campaign
from campaign.steps.start import CampaignExistsError
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.candidates import UnknownCandidateError, find_candidate
from campaign.store.changes.events import read_events
from campaign.verification.verify import verify
from campaign.views.explanation import explanation, format_explanation
from campaign.views.results import result_rows, rows_as_csv

pytestmark = pytest.mark.mongo
runner = CliRunner()


def b2(a, first, second, z=0.5) -> Structure:
    return Structure(Lattice.cubic(a), [first, second], [[0, 0, 0], [0.5, 0.5, z]])


CRYSTALS = {
    **{"gen_0": b2(2.9, "Al", "Cu"), "gen_1": b2(2.9, "Al", "Cu", 0.42), "gen_2": b2(3.1, "Al", "Ag")},
    **{"bad": b2(0.9, "Al", "Cu"), "twin": b2(2.92, "Al", "Cu")},
}
MORE = {
    "new_0": b2(3.0, "Ag", "Cu"),
    "gen_1": CRYSTALS["gen_1"],
    "new_1": b2(3.3, "Cu", "Ag", 0.4),
    "bad": b2(1, "Al", "Cu"),
}


def write(path, crystals):
    records = [{"id": name, "score": 0.5, "structure": each.as_dict()} for name, each in crystals.items()]
    path.write_text("\n".join(map(json.dumps, records)))
    return path


@pytest.fixture
def spec(tmp_path):
    """Campaign of crystals as they are and of prototypes; its sources can be changed."""
    path = write(tmp_path / "given.jsonl", CRYSTALS)
    section = {"as_given": str(path), "prototypes": ["L1_0"], "elements": ["Al", "Cu"]}
    content = {**SMALL, "candidates": section, "model": {"bundle": "gpaw-fast-binary"}, "screening": {"batch_size": 2}}
    return read_firework_spec({"campaign": content}, name="given")


def problems(store, launchpad, name="given"):
    """What `campaign verify` finds, but for the references, whose energies the tests write by hand."""
    opened = OpenCampaign.open(store, launchpad, name)
    found = verify(Campaign.read(store, name), lambda: reconcile(opened, dry_run=True), pause_s=0.0).findings
    return [each for each in found if "/reference/" not in each.subject]


def add(store, launchpad, path, name="given"):
    return RunningCampaign.open(store, launchpad, name).add(read_given(GivenSettings(paths=(path,))), rescale=None)


def finish(store, launchpad, name="given"):
    """Let what runs be rejected, and the campaign come to its end."""
    store.candidates.update_many({"campaign": name}, {"$set": {"state": "rejected"}})
    RunningCampaign.open(store, launchpad, name).advance()
    assert f"{name}/report" in steps(store)
    store.steps.update_many({"campaign": name, "kind": "screen"}, {"$set": {"state": "done"}})
    finish_campaign(Campaign.read(store, name), f"{name}/report")
    assert Campaign.read(store, name).document["state"] == "finished"


def test_starting_stores_sources_and_what_is_left_out_and_is_idempotent(store, launchpad, spec, tmp_path):
    started = start_campaign(store, launchpad, spec)
    assert started.message == "campaign given: 4 candidates added; left out: 1 atoms too close, 1 duplicate"
    assert {(each["name"], each["reason"]) for each in store.left_out.find({"campaign": "given"})} == {
        *(("bad", "atoms too close"), ("twin", "duplicate"))
    }
    (source,) = Campaign.read(store, "given").document["sources"]
    assert (source["path"], source["n_read"], source["n_left_out"]) == (str(tmp_path / "given.jsonl"), 5, 1)
    assert not problems(store, launchpad)
    again = start_campaign(store, launchpad, spec)
    assert (again.added, again.known, store.left_out.count_documents({})) == (0, 4, 2)
    # another comment changes no candidate, another crystal does
    write(tmp_path / "given.jsonl", {**CRYSTALS, "another twin": CRYSTALS["twin"]})
    assert (
        "has changed since the start, but the candidates are the same" in start_campaign(store, launchpad, spec).message
    )
    write(tmp_path / "given.jsonl", MORE)
    with pytest.raises(CampaignExistsError, match=r"given.jsonl has changed since.*campaign add given"):
        start_campaign(store, launchpad, spec)


def test_a_candidate_is_found_by_its_name_and_shown_with_its_columns(store, launchpad, spec):
    start_campaign(store, launchpad, spec)
    campaign = Campaign.read(store, "given")
    document = find_candidate(campaign, "gen_2")
    assert (document["formula"], document["prototype"]) == ("AlAg", "AB_cP2_221")
    text = "\n".join(format_explanation(explanation(campaign, document)))
    assert "as given: gen_2, from " in text
    assert "its source says: id gen_2, score 0.5" in text
    with pytest.raises(UnknownCandidateError, match="the name of a crystal in its source"):
        find_candidate(campaign, "gen_7")
    rows = result_rows(campaign)
    assert {row.name for row in rows} == {None, "gen_0", "gen_1", "gen_2"}
    assert '{""id"": ""gen_2"", ""score"": 0.5}' in rows_as_csv(rows)


def test_more_candidates_come_once_into_batches_of_their_own(store, launchpad, spec, tmp_path):
    start_campaign(store, launchpad, spec)
    relax_references(store)
    more = write(tmp_path / "more.jsonl", MORE)
    added = add(store, launchpad, more)
    assert added.message == "campaign given: 2 of 4 crystals added; left out: 1 atoms too close, 1 duplicate"
    document = Campaign.read(store, "given").document
    assert (document["n_screened"], document["batch_sizes"]) == (6, [2, 2, 2])
    (addition,) = document["additions"]
    assert (addition["n_added"], addition["n_left_out"], addition["time"] is not None) == (2, 2, True)
    assert store.candidates.count_documents({"batch": 2, "state": "dos_running"}) == 2
    assert not problems(store, launchpad)
    again = add(store, launchpad, more)
    assert (again.n_added, len(again.left_out)) == (0, 4)
    campaign = Campaign.read(store, "given")
    assert campaign.document["additions"] == [addition]
    assert [(event["kind"], event["details"]["text"]) for event in read_events(campaign)] == [
        ("add", f"candidates from {more}")
    ]
    assert start_campaign(store, launchpad, spec).added == 0  # the file that started it still means the same
    assert not problems(store, launchpad)


def test_its_file_is_accepted_again_after_what_is_new_was_added(store, launchpad, spec, tmp_path):
    start_campaign(store, launchpad, spec)
    write(tmp_path / "given.jsonl", {**CRYSTALS, "later": b2(3.4, "Cu", "Ag", 0.44)})
    with pytest.raises(CampaignExistsError, match=r"`campaign add given PATH`; `campaign run given` continues it"):
        start_campaign(store, launchpad, spec)
    assert add(store, launchpad, tmp_path / "given.jsonl").n_added == 1
    assert start_campaign(store, launchpad, spec).added == 0
    assert not problems(store, launchpad)


def test_a_finished_campaign_runs_again_and_ends_again(store, launchpad, spec, tmp_path):
    start_campaign(store, launchpad, spec)
    relax_references(store)
    finish(store, launchpad)
    nothing = add(store, launchpad, tmp_path / "given.jsonl")
    assert nothing.n_added == 0
    assert Campaign.read(store, "given").document["state"] == "finished"
    assert add(store, launchpad, write(tmp_path / "more.jsonl", MORE)).n_added == 2
    assert Campaign.read(store, "given").document["state"] == "running"
    assert "given/report" not in steps(store)
    finish(store, launchpad)


def test_what_is_added_while_the_report_waits_is_not_closed_over(store, launchpad, spec, tmp_path):
    start_campaign(store, launchpad, spec)
    relax_references(store)
    store.candidates.update_many({}, {"$set": {"state": "rejected"}})
    RunningCampaign.open(store, launchpad, "given").advance()
    assert "given/report" in steps(store)
    add(store, launchpad, write(tmp_path / "more.jsonl", MORE))
    assert RunningCampaign.open(store, launchpad, "given").finish("given/report") == {}
    assert Campaign.read(store, "given").document["state"] == "running"
    finish(store, launchpad)


def test_references_of_further_elements_are_computed_first(store, launchpad, spec, tmp_path):
    start_campaign(store, launchpad, spec)
    relax_references(store)
    finish(store, launchpad)
    first = Campaign.read(store, "given").document["reference_set"]
    more = write(tmp_path / "more.jsonl", {"mg": b2(3.2, "Mg", "Cu"), "old": b2(3.2, "Cu", "Ag")})
    added = add(store, launchpad, more)
    assert added.new_elements == ("Mg",)
    assert "references of Mg are computed first" in added.message
    document = Campaign.read(store, "given").document
    assert (document["state"], document["reference_set"]) == ("running", None)
    assert store.references.find_one({"_id": "given/reference/Mg"})["state"] == "relax_running"
    assert not [each for each in problems(store, launchpad) if "set" in each.check]
    store.candidates.update_many({"state": "dos_running"}, {"$set": {"state": "dos_done"}})
    RunningCampaign.open(store, launchpad, "given").advance()
    assert "given/screen/2" not in steps(store)  # nothing is predicted before
    relax_references(store)
    RunningCampaign.open(store, launchpad, "given").advance()
    document = Campaign.read(store, "given").document
    assert document["previous_reference_sets"] == [first]
    later = {entry["id"] for entry in store.reference_sets.find_one({"_id": document["reference_set"]})["entries"]}
    assert {"given/reference/Mg", "given/reference/Al"} <= later
    assert "given/screen/2" in steps(store)
    # a Screen takes the set as it is when it begins
    with pytest.raises(AdditionError, match=r"no reference of Zn yet, and given/screen/2"):
        add(store, launchpad, write(tmp_path / "zn.jsonl", {"zn": b2(3.0, "Zn", "Cu")}))


def test_the_command_adds_lists_and_stops_when_it_is_strict(
    store, launchpad, launchpad_file, spec, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    start_campaign(store, launchpad, spec)
    write(tmp_path / "more.jsonl", MORE)
    arguments = ["add", "given", "--launchpad", str(launchpad_file)]
    strict = runner.invoke(app, [*arguments, "--as-given", "more.jsonl", "--strict"])
    assert isinstance(strict.exception, LeftOutError)
    assert store.candidates.count_documents({}) == 4
    done = runner.invoke(app, [*arguments, "--as-given", "more.jsonl", "--rescale", "elements"])
    assert done.exit_code == 0, done.output
    assert "2 of 4 crystals added" in done.output
    assert "bad," in (tmp_path / "given.added.left_out.csv").read_text()
    assert Campaign.read(store, "given").document["additions"][0]["rescale"] == "elements"
    assert runner.invoke(app, [*arguments, "more.jsonl"]).exit_code == 0
    assert "nothing to add" in str(runner.invoke(app, arguments).exception)


def test_a_campaign_with_a_bootstrap_sample_gets_screened_candidates(store, launchpad, small_spec, tmp_path):
    with_model(store, launchpad, small_spec(candidates={"prototypes": ["B1", "B2", "L1_0"], "elements": ["Al", "Cu"]}))
    added = add(
        store, launchpad, write(tmp_path / "more.jsonl", {"a": CRYSTALS["gen_1"], "b2": CRYSTALS["gen_0"]}), "small"
    )
    assert added.n_added == 1
    assert [each.detail for each in added.left_out] == ["the same crystal as AlCu:B2"]
    assert store.candidates.find_one({"parent.name": "a"})["role"] == "screened"
    assert not [each for each in problems(store, launchpad, "small") if "batch" in each.subject]


def test_a_file_of_references_that_has_changed_is_not_mixed_with_what_was_frozen(store, launchpad, tmp_path):
    mg = [entry("Mg2", -3.2, **GPAW), entry("MgCu2", -9.6, **GPAW)]
    file = reference_entries.write(tmp_path / "entries.json", [*alloys(**GPAW), *mg])
    section = {"as_given": str(write(tmp_path / "given.jsonl", {"gen": b2(2.9, "Al", "Cu")}))}
    content = {
        **SMALL,
        "candidates": section,
        "references": {"entries": str(file)},
        "model": {"bundle": "gpaw-fast-binary"},
    }
    start_campaign(store, launchpad, read_firework_spec({"campaign": content}, name="given"))
    first = Campaign.read(store, "given").document["imported_references"]
    more = write(tmp_path / "more.jsonl", {"mg": b2(3.2, "Mg", "Cu")})
    other = [each | {"energy": -7.7} if each["entry_id"] == "id-AlCu" else each for each in alloys(**GPAW)]
    for changed in (other, alloys(**GPAW)[:3]):
        reference_entries.write(file, [*changed, *mg])
        with pytest.raises(AdditionError, match=r"entries\.json has changed since .* 1 entry \(id-Al"):
            add(store, launchpad, more)
    assert Campaign.read(store, "given").document["imported_references"] == first
    reference_entries.write(file, [*alloys(**GPAW), *mg])
    assert add(store, launchpad, more).new_elements == ("Mg",)
    document = Campaign.read(store, "given").document
    assert document["imported_references"] not in (None, first)

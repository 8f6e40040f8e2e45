"""A campaign for a training set relaxes everything with both DOS, predicts nothing, and ends with the last RS-DOS."""

import pytest
from small_campaign import write_campaign

from campaign.config.yaml_file import CampaignFileError
from campaign.running_campaign import start_campaign
from campaign.scheduling.advance import advance
from campaign.spec.reader import read_campaign_file
from campaign.steps.start import divide_candidates
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.views.preview import format_preview
from campaign.views.results import format_model, result_rows
from campaign.views.status.counts import campaign_status

PURPOSE = {"purpose": "training_set"}


def test_a_training_set_with_a_model_is_refused_by_name(tmp_path):
    (tmp_path / "bundle").mkdir()
    file = write_campaign(tmp_path / "set.yaml", **PURPOSE, model={"bundle": "bundle"})
    with pytest.raises(CampaignFileError, match=r"purpose is training_set.*model\.bundle"):
        read_campaign_file(file)


def test_a_training_set_that_is_stopped_half_way_is_no_list_of_the_first_prototype(small_spec):
    elements = {"prototypes": ["B1", "B2", "B3"], "elements": ["Al", "Cu", "Ag", "Au", "Pd"]}
    spec = small_spec(**PURPOSE, candidates=elements)
    candidates, relaxed = divide_candidates(spec)
    assert relaxed == {candidate.id for candidate in candidates}
    assert {candidate.prototype for candidate in candidates[:10]} == {"B1", "B2", "B3"}
    assert [candidate.id for candidate in divide_candidates(spec)[0]] == [candidate.id for candidate in candidates]


def test_the_preview_of_a_training_set_promises_no_prediction(small_spec):
    lines = " ".join(format_preview(small_spec(**PURPOSE)))
    assert "every candidate gets an IS-DOS, a relaxation and an RS-DOS; nothing is predicted" in lines
    assert "promoted" not in lines
    assert "each reference phase gets an RS-DOS after its relaxation, too" in lines
    assert "expected cost: about " in lines


@pytest.mark.mongo
def test_every_candidate_passes_is_dos_relaxation_and_rs_dos_before_the_report(store, launchpad, small_spec):
    def finish(state, done, **facts):
        store.candidates.update_many({"state": state}, {"$set": {"state": done, **facts}})
        advance(OpenCampaign.open(store, launchpad, "small"))

    def report():
        return store.steps.find_one({"_id": "small/report"})

    start_campaign(store, launchpad, small_spec(**PURPOSE))
    assert {found["state"] for found in store.candidates.find()} == {"dos_running"}
    facts = {"relaxation.energy": -4.0, "relaxation.vasp_version": "6.9.9-gpaw-test", "rs_dos.state": "done"}
    store.references.update_many({}, {"$set": {"state": "relaxed", **facts}})
    finish("dos_running", "dos_done")
    assert {found["state"] for found in store.candidates.find()} == {"relax_running"}
    finish("relax_running", "relaxed", **{"relaxation.energy": -9.0})
    assert {found["rs_dos"]["state"] for found in store.candidates.find()} == {"running"}
    assert report() is None
    store.candidates.update_many({}, {"$set": {"rs_dos.state": "done"}})
    advance(OpenCampaign.open(store, launchpad, "small"))
    assert report() is not None
    # nothing was trained or screened on the way, and nothing says so
    assert {step["kind"] for step in store.steps.find()} == {"report"}
    assert {row.decision for row in result_rows(Campaign.read(store, "small"))} == {"training"}
    assert "nothing is predicted" in format_model(Campaign.read(store, "small"))
    status = campaign_status(Campaign.read(store, "small"))
    assert (status.dos, status.bootstrap) == ({"done": 3, "all": 3}, {"done": 3, "all": 3})

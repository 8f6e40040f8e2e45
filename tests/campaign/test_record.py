"""What becomes of a candidate when its calculation fails: machine failures are tried again, science failures not."""

import pytest
from custodian.custodian import NonRecoverableError, ReturnCodeError, ValidationError
from pymatgen.io.vasp.inputs import PmgVaspPspDirError

from campaign.attempts.failures import ScienceFailureError, failure_kind
from campaign.attempts.ledger import attempt
from campaign.recovery.retry import choose, failed_calculations, retry
from campaign.running_campaign import start_campaign
from campaign.scheduling.submit import submit_ready
from campaign.steps.record import record_calculation
from campaign.store.attempts import last_attempt
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.states import STAGES
from campaign.store.usage import cpu_seconds_by_document
from campaign.views.failures import failure_kinds

pytestmark = pytest.mark.mongo


@pytest.fixture
def waiting(store, launchpad, small_spec):
    """The candidate of a fresh campaign that waits for its IS-DOS."""
    start_campaign(store, launchpad, small_spec(retries={"max_retries": 1}))
    return store.candidates.find_one({"state": "dos_running"})


def fail(store, database, candidate, error):
    """Do what FireWorks does with a calculation that raises, and with the firework that records."""
    dos = store.candidates.find_one({"_id": candidate["_id"]})["is_dos"]
    with (
        pytest.raises(type(error)),
        attempt(store, campaign="small", stage="dos", fw_id=dos["fw_id"], document=candidate["_id"]),
    ):
        raise error
    record_calculation(
        Campaign.read(store, "small"),
        database,
        document_id=candidate["_id"],
        stage=STAGES["dos"],
        fw_id=dos["record_fw_id"],
    )
    return store.candidates.find_one({"_id": candidate["_id"]})


def test_a_machine_failure_is_tried_again_and_then_final(store, launchpad, database, waiting):
    again = fail(store, database, waiting, OSError("No space left on device"))
    assert (again["state"], again["is_dos"]["attempt"]) == ("new", 1)
    assert again["retried_failure"]["kind"] == "machine"
    assert submit_ready(OpenCampaign.open(store, launchpad, "small")) == 1
    final = fail(store, database, waiting, OSError("No space left on device"))
    assert final["state"] == "dos_failed"
    assert final["final_failure"]["kind"] == "machine"
    assert "No space left" in final["final_failure"]["error"]


def test_a_science_failure_is_final_at_once(store, launchpad, database, waiting):
    final = fail(store, database, waiting, ScienceFailureError("did not converge"))
    assert (final["state"], final["final_failure"]["kind"]) == ("dos_failed", "science")
    assert submit_ready(OpenCampaign.open(store, launchpad, "small")) == 0


@pytest.mark.parametrize(
    "error", [PmgVaspPspDirError("Set PMG_VASP_PSP_DIR"), FileNotFoundError(2, "No such file or directory", "vasp_std")]
)
def test_what_no_other_try_mends_is_final_at_once_and_comes_back_with_retry(store, launchpad, database, waiting, error):
    final = fail(store, database, waiting, error)
    assert (final["state"], final["final_failure"]["kind"]) == ("dos_failed", "machine")
    cause = final["final_failure"]["cause"]
    assert cause == ("potcar_missing" if "PSP" in str(error) else "not_found")
    campaign = OpenCampaign.open(store, launchpad, "small")
    (kind,) = failure_kinds(campaign, None)
    assert (kind.cause, kind.attempts, kind.for_good) == (cause, 1, 1)
    assert "campaign retry" in kind.advice
    assert retry(campaign, choose(list(failed_calculations(campaign)), kind=cause), command="campaign retry")[0] == 1
    assert store.candidates.find_one({"_id": waiting["_id"]})["state"] == "dos_running"


def test_recording_twice_changes_nothing(store, database, waiting):
    first = fail(store, database, waiting, ScienceFailureError("did not converge"))
    record_calculation(
        Campaign.read(store, "small"),
        database,
        document_id=waiting["_id"],
        stage=STAGES["dos"],
        fw_id=first["is_dos"]["record_fw_id"],
    )
    assert store.candidates.find_one({"_id": waiting["_id"]}) == first


def test_a_late_firework_of_an_earlier_try_records_nothing(store, launchpad, database, waiting):
    late = waiting["is_dos"]["record_fw_id"]
    again = fail(store, database, waiting, OSError("node lost"))
    submit_ready(OpenCampaign.open(store, launchpad, "small"))
    record_calculation(
        Campaign.read(store, "small"), database, document_id=waiting["_id"], stage=STAGES["dos"], fw_id=late
    )
    now = store.candidates.find_one({"_id": waiting["_id"]})
    assert (now["state"], now["is_dos"]["attempt"]) == ("dos_running", 1)
    assert again["is_dos"]["fw_id"] != now["is_dos"]["fw_id"]


def test_every_attempt_stands_in_the_ledger_once(store, waiting):
    for number in (1, 2):
        with attempt(store, campaign="small", stage="dos", fw_id=77, document=waiting["_id"]) as entry:
            entry.cpu_s = 1000.0 * number
    entries = list(store.attempts.find({"fw_id": 77}).sort("_id"))
    assert [entry["_id"] for entry in entries] == ["77.1", "77.2"]
    assert {entry["outcome"] for entry in entries} == {"completed"}
    assert last_attempt(store, 77)["_id"] == "77.2"
    assert cpu_seconds_by_document(Campaign.read(store, "small"))[waiting["_id"]] == pytest.approx(3000.0)


def test_an_attempt_that_was_killed_is_closed_when_its_firework_runs_again(store, waiting):
    entry = attempt(store, campaign="small", stage="dos", fw_id=78, document=waiting["_id"])
    entry.__enter__()  # and never left: the process was killed
    with attempt(store, campaign="small", stage="dos", fw_id=78, document=waiting["_id"]):
        outcomes = [found["outcome"] for found in store.attempts.find({"fw_id": 78}).sort("_id")]
    assert outcomes == ["lost", "running"]


def test_a_job_that_was_cancelled_is_not_said_to_be_killed(store, database, waiting):
    fw_id = waiting["is_dos"]["fw_id"]
    entry = attempt(store, campaign="small", stage="dos", fw_id=fw_id, document=waiting["_id"])
    entry.__enter__()  # and never left
    # as reconcile closes it
    store.attempts.update_one({"fw_id": fw_id}, {"$set": {"outcome": "lost", "cause": "cancelled"}})
    record = waiting["is_dos"]["record_fw_id"]
    record_calculation(
        Campaign.read(store, "small"), database, document_id=waiting["_id"], stage=STAGES["dos"], fw_id=record
    )
    failure = store.candidates.find_one({"_id": waiting["_id"]})["final_failure"]
    assert failure["error"] == "its job was cancelled, and no retries are left"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NonRecoverableError("handler gave up", False, None), "science"),
        (ReturnCodeError("killed", False), "machine"),
        (ValidationError("no complete vasprun.xml", False, None), "machine"),
        (ScienceFailureError("no convergence"), "science"),
        (OSError("disk full"), "machine"),
        (MemoryError(), "machine"),
    ],
)
def test_failures_of_physics_and_of_machines_are_told_apart(error, kind):
    assert failure_kind(error) == kind

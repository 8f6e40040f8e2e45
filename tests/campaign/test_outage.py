"""An outage of the database costs at most one try, and none where the result is there."""

import os

import pytest
from aluminium import aluminium, calculate
from database_proxy import DatabaseProxy, command
from pymongo.errors import ConnectionFailure

from campaign.attempts.ledger import attempt
from campaign.recovery.removed_workflows import removed_workflows, resubmit
from campaign.running_campaign import start_campaign
from campaign.scheduling.submit import submit_ready
from campaign.steps.record import record_calculation
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.collections import CampaignStore
from campaign.store.states import STAGES
from launchers.database.settings import DatabaseSettings

pytestmark = pytest.mark.mongo

RELAX = STAGES["relax"]
#: Short waits, so that an outage is noticed within a second.
OPTIONS = "directConnection=true&serverSelectionTimeoutMS=1000&heartbeatFrequencyMS=500"
NEVER = {"max_retries": 2, "database_wait_hours": 0.0}


@pytest.fixture
def proxy(mongo_settings):
    proxy = DatabaseProxy(mongo_settings.seeds[0][1])
    yield proxy
    proxy.close()


@pytest.fixture
def far(database, proxy, tmp_path, write_launchpad) -> DatabaseSettings:
    """Settings of the test's database behind the proxy, in a my_launchpad.yaml of their own."""
    folder = tmp_path / "behind_proxy"
    folder.mkdir()
    port = database.seeds[0][1]
    file = write_launchpad(folder, port=proxy.port, name=database.name, options=OPTIONS, proxy_of=port)
    return DatabaseSettings.from_file(file)


@pytest.fixture
def far_store(far):
    launchpad = far.launchpad()
    yield CampaignStore(launchpad.db)
    launchpad.connection.close()


def entries(store, fw_id):
    found = store.attempts.find({"fw_id": fw_id}).sort("_id")
    return [(entry["outcome"], entry.get("cause")) for entry in found]


def record(store, database, document):
    fw_id = document["relaxation"]["record_fw_id"]
    record_calculation(Campaign.read(store, "small"), database, document_id=document["_id"], stage=RELAX, fw_id=fw_id)
    return store.references.find_one({"_id": document["_id"]})


def test_an_entry_whose_insertion_was_not_answered_is_the_attempt_s_own(store, far_store, proxy):
    """The driver tries once more itself; that answer is lost too."""
    for _ in range(2):
        proxy.go_away_at(command("update", "attempts"), seconds=0.1, after=True)
    with attempt(far_store, campaign="small", stage="relax", fw_id=5, document="c"):
        assert entries(store, 5) == [("running", None)]
    assert proxy.is_done
    assert entries(store, 5) == [("completed", None)]


def test_an_entry_waits_for_the_database_to_be_closed(store, far_store, proxy):
    def fail():
        with attempt(far_store, campaign="small", stage="relax", fw_id=5):
            proxy.go_away(seconds=1.5)
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        fail()
    assert entries(store, 5) == [("machine", "disk_full")]


@pytest.fixture
def started(store, launchpad, small_spec):
    start_campaign(store, launchpad, small_spec(retries=NEVER))
    return aluminium(store)


def test_an_entry_that_could_not_be_closed_is_recognised_by_what_it_left(
    store, launchpad, database, far_store, proxy, started, launch_folder
):
    """The database comes back just before FireWorks says that the firework fizzled: the case of an outage of 105 s."""
    fw_id = started["relaxation"]["fw_id"]

    def lose_it():
        with attempt(
            far_store, campaign="small", stage="relax", fw_id=fw_id, document=started["_id"], database_wait_s=0.0
        ):
            proxy.go_away()
            far_store.attempts.find_one()

    with pytest.raises(ConnectionFailure):
        lose_it()
    proxy.come_back()
    assert entries(store, fw_id) == [("running", None)]
    again = record(store, database, started)
    assert entries(store, fw_id) == [("machine", "database")]
    assert (again["state"], again["relaxation"]["attempt"]) == ("new", 1)
    assert (again["retried_failure"]["kind"], again["retried_failure"]["cause"]) == ("machine", "database")
    assert submit_ready(OpenCampaign.open(store, launchpad, "small")) == 1


@pytest.mark.parametrize(
    ("trace", "kind", "cause", "state"),
    [
        ("pymongo.errors.AutoReconnect: connection closed", "machine", "database", "new"),
        ("OSError: [Errno 28] No space left on device", "machine", "disk_full", "new"),
        ("MemoryError", "machine", "out_of_memory", "new"),
        ("custodian.custodian.MaxCorrectionsError: Max errors reached: 5.", "science", "MaxCorrectionsError", None),
        (None, "machine", "killed", "new"),
    ],
)
def test_an_open_entry_of_a_fizzled_firework_is_a_failure_of_its_true_cause(
    store, launchpad, database, started, trace, kind, cause, state
):
    fw_id = started["relaxation"]["fw_id"]
    unclosed = attempt(store, campaign="small", stage="relax", fw_id=fw_id, document=started["_id"])
    unclosed.__enter__()  # and never left
    stored = {} if trace is None else {"_exception": {"_stacktrace": f'Traceback\n  File "x"\n    y()\n{trace}'}}
    launch = {"launch_id": 77, "fw_id": fw_id, "launch_dir": os.getcwd(), "action": {"stored_data": stored}}
    launchpad.launches.insert_one(launch)
    after = record(store, database, started)
    assert entries(store, fw_id) == [(kind, cause)]
    assert after["state"] == (state or "relax_failed")


def test_open_entries_use_up_the_tries_too(store, launchpad, database, small_spec):
    start_campaign(store, launchpad, small_spec(retries={"max_retries": 1}))
    for state in ("new", "relax_failed"):
        document = aluminium(store)
        fw_id = document["relaxation"]["fw_id"]
        unclosed = attempt(store, campaign="small", stage="relax", fw_id=fw_id, document=document["_id"])
        unclosed.__enter__()  # and never left
        assert record(store, database, document)["state"] == state
        submit_ready(OpenCampaign.open(store, launchpad, "small"))


class UnsaidError(Exception):
    """An error as libraries have them: with a cause that is another exception, and bytes that are no text."""

    cause = ValueError("inner")


@pytest.mark.parametrize("error", [UnsaidError("a"), OSError("file \udcff"), MemoryError()])
def test_an_entry_is_closed_whatever_its_error_is(store, error):
    def fail():
        with attempt(store, campaign="small", stage="screen", fw_id=6):
            raise error

    with pytest.raises(type(error)):
        fail()
    ((outcome, cause),) = entries(store, 6)
    assert (outcome, cause) == (
        "machine",
        {"MemoryError": "out_of_memory"}.get(type(error).__name__, type(error).__name__),
    )


def test_a_launch_folder_that_is_deleted_costs_one_try(store, database, started, launch_folder):
    fw_id = started["relaxation"]["fw_id"]

    def fail():
        with attempt(store, campaign="small", stage="relax", fw_id=fw_id, document=started["_id"]):
            launch_folder.rmdir()
            raise FileNotFoundError(2, "No such file or directory")

    with pytest.raises(FileNotFoundError):
        fail()
    assert entries(store, fw_id) == [("machine", "launch_folder_gone")]
    assert record(store, database, started)["state"] == "new"


def test_an_output_waits_in_the_process_for_the_database(
    store, far_store, far, database, proxy, small_spec, launchpad, engine, launch_folder
):
    start_campaign(store, launchpad, small_spec())
    proxy.go_away_at(command("update", "outputs"), seconds=2.0)
    document = aluminium(store)
    calculate(far_store, far, document)
    assert proxy.is_done
    assert entries(store, document["relaxation"]["fw_id"]) == [("completed", None)]
    assert record(store, database, document)["state"] == "relaxed"
    assert not list(launch_folder.glob("output-*"))
    assert len(engine.read_text().splitlines()) == 1


@pytest.mark.parametrize("lost", ["process", "firework"])
def test_an_output_waits_in_the_launch_folder_where_the_outage_is_too_long(
    store, far_store, far, database, proxy, started, launchpad, engine, launch_folder, tmp_path, monkeypatch, lost
):
    proxy.go_away_at(command("update", "outputs"), seconds=600.0)
    with pytest.raises(ConnectionFailure):
        calculate(far_store, far, started)
    assert list(launch_folder.glob("output-*"))
    proxy.come_back()
    fw_id = started["relaxation"]["fw_id"]
    if lost == "firework":  # FireWorks could say that it fizzled: the next try is another firework
        record(store, database, started)
        submit_ready(OpenCampaign.open(store, launchpad, "small"))
        started = aluminium(store)
        assert started["relaxation"]["attempt"] == 1
    (tmp_path / "again").mkdir()
    monkeypatch.chdir(tmp_path / "again")
    calculate(far_store, far, started)
    failed = ("lost" if lost == "process" else "machine", "database")
    expected = [failed, ("completed", None)]
    assert (
        entries(store, fw_id) + (entries(store, started["relaxation"]["fw_id"]) if lost == "firework" else [])
        == expected
    )
    done = record(store, database, started)
    assert (done["state"], done["relaxation"]["directory"].partition(":")[2]) == ("relaxed", str(launch_folder))
    assert len(engine.read_text().splitlines()) == 1


def test_a_result_that_is_stored_costs_no_try(store, far_store, far, database, proxy, started, engine, launch_folder):
    """The outage comes between the result and the ledger."""
    for _ in range(2):
        proxy.go_away_at(command("update", "attempts") + rb".*completed", seconds=600.0)
    calculate(far_store, far, started)
    proxy.come_back()
    fw_id = started["relaxation"]["fw_id"]
    assert entries(store, fw_id) == [("running", None)]
    assert record(store, database, started)["state"] == "relaxed"
    assert entries(store, fw_id) == [("completed", None)]
    assert store.attempts.find_one({"fw_id": fw_id})["cpu_s"] == pytest.approx(2.946, abs=30)


def test_a_result_whose_workflow_was_deleted_before_it_was_recorded_is_counted_once(
    store, launchpad, database, small_spec, engine, launch_folder
):
    start_campaign(store, launchpad, small_spec())
    document = aluminium(store)
    calculate(store, database, document)
    launchpad.delete_wf(document["relaxation"]["fw_id"])
    campaign = OpenCampaign.open(store, launchpad, "small")
    resubmit(campaign, removed_workflows(campaign))
    again = aluminium(store)
    assert again["relaxation"]["fw_id"] != document["relaxation"]["fw_id"]
    calculate(store, database, again)
    assert record(store, database, again)["state"] == "relaxed"
    assert entries(store, document["relaxation"]["fw_id"]) == [("completed", None)]
    assert entries(store, again["relaxation"]["fw_id"]) == []
    assert len(engine.read_text().splitlines()) == 1
    calculate(store, database, again)  # as after `lpad rerun_fws`
    assert entries(store, again["relaxation"]["fw_id"]) == []
    assert len(engine.read_text().splitlines()) == 1


def test_a_calculation_reads_nothing_that_another_one_left_in_its_folder(
    store, launchpad, database, small_spec, engine, launch_folder
):
    """As with `qlaunch singleshot`, which runs all jobs in one folder."""
    start_campaign(store, launchpad, small_spec())
    (launch_folder / "vasprun.xml.gz").write_bytes(b"of another calculation")
    (launch_folder / "INCAR.gz").write_bytes(b"of another calculation")
    document = aluminium(store)
    calculate(store, database, document)
    assert record(store, database, document)["state"] == "relaxed"
    (entry,) = store.attempts.find({"fw_id": document["relaxation"]["fw_id"]})
    assert os.path.dirname(entry["directory"]) == str(launch_folder)
    assert os.getcwd() == str(launch_folder)
    assert sorted(path.name for path in launch_folder.iterdir() if path.is_file()) == ["INCAR.gz", "vasprun.xml.gz"]

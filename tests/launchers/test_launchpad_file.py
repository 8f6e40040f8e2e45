"""my_launchpad.yaml: what is wrong in it is said before anything connects, and never with the password."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launchers.database import mongo_uri
from launchers.database.launchpad_file import FIELDS, PASSWORD_VARIABLE, write_embedded_launchpad_file
from launchers.database.settings import DatabaseSettings, LaunchpadFileError, find_launchpad_file

SECRET = "s3cret/pass@word"


@pytest.fixture(autouse=True)
def _no_password_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)


def _read(folder: Path, text: str) -> DatabaseSettings:
    path = folder / "my_launchpad.yaml"
    path.write_text(text)
    return DatabaseSettings.from_file(path)


def test_host_and_port_form_is_read_as_fireworks_reads_it(tmp_path: Path) -> None:
    settings = _read(
        tmp_path,
        "host: db.example.org\nport: 27018\nname: alloys\nusername: me\npassword: pw\nauthsource: admin\n"
        "logdir: null\nstrm_lvl: INFO\nuser_indices: []\nwf_user_indices: []\n",
    )
    assert (settings.address, settings.name, settings.user) == ("db.example.org:27018", "alloys", "me")
    assert settings.password == "pw"
    assert settings.authsource == "admin"


def test_defaults_are_those_of_fireworks(tmp_path: Path) -> None:
    settings = _read(tmp_path, "username: null\n")
    assert (settings.host, settings.port, settings.name) == ("localhost", 27017, "fireworks")


def test_uri_form_gives_address_user_and_replica_set(tmp_path: Path) -> None:
    settings = _read(
        tmp_path, "uri_mode: true\nhost: mongodb://me:p%40ss@a.example:1,b.example/x?replicaSet=rs7\nname: alloys\n"
    )
    assert settings.address == "a.example:1,b.example:27017"
    assert settings.user == "me"
    assert settings.replica_set == "rs7"
    assert settings.name == "alloys"


def test_srv_uri_is_read_without_asking_a_name_server(tmp_path: Path) -> None:
    settings = _read(tmp_path, "uri_mode: true\nhost: mongodb+srv://me:pw@cluster.example/x?a=b\nname: alloys\n")
    assert settings.address == "cluster.example"
    assert settings.user == "me"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hots: localhost\n", ["hots", "'host'"]),
        ("port: '27017'\n", ["port", "'27017'", "whole number"]),
        ("port: true\n", ["port", "whole number"]),
        ("port: 70000\n", ["port", "70000", "65535"]),
        ("uri_mode: 'yes'\n", ["uri_mode", "true or false"]),
        ("host: [a]\n", ["host", "text"]),
        ("name: 'a b'\n", ["name", "'a b'"]),
        ("uri_mode: true\nname: x\n", ["host", "missing"]),
        ("uri_mode: true\nhost: mongodb://h/x\n", ["name", "missing"]),
        ("uri_mode: true\nhost: h\nname: x\n", ["host", "mongodb://"]),
        ("host: mongodb://h/x\nname: x\n", ["uri_mode", "true"]),
        ("uri_mode: true\nhost: mongodb://h/x\nname: x\nusername: me\n", ["username", "URI"]),
        ("uri_mode: true\nhost: mongodb://me@h/x\nname: x\npassword: pw\n", ["password", "URI"]),
        ("mongoclient_kwargs: {tls: true, tlsCAFile: nowhere.pem}\n", ["tlsCAFile", "nowhere.pem"]),
        ("ssl: true\nssl_certfile: a.pem\nssl_keyfile: b.pem\n", ["ssl_keyfile", "one file"]),
        ("- a\n", ["mapping"]),
        ("host: a\nhost: b\n", ["twice", "line 2"]),
        ("host: [a\n", ["not valid YAML", "line"]),
    ],
)
def test_mistake_is_refused_naming_file_field_and_remedy(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(LaunchpadFileError) as caught:
        _read(tmp_path, text)
    for word in ["my_launchpad.yaml", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "username: me\npassword: [S3CRET]\n",
        "username: me\npassword: 5432100\n",
        "username: me\npassword: S3CRET\npassword: S3CRET\n",
        'username: me\npassword: "S3CRET\n',
        "username: me\npassword: *S3CRET\n",
        "uri_mode: true\nhost: mongodb://me:S3CRET@h:nonsense/x\nname: x\n",
        "uri_mode: true\nhost: mongodb://me:S3CRET@@h/x\nname: x\n",
        "host: mongodb://me:S3CRET@h/x\nname: x\n",
        "mongoclient_kwargs: {tlsCertificateKeyFilePassword: S3CRET, no_such_option: 1}\n",
        "mongoclient_kwargs: [S3CRET]\n",
    ],
)
def test_no_message_about_the_file_holds_the_password(tmp_path: Path, text: str) -> None:
    with pytest.raises(LaunchpadFileError) as caught:
        _read(tmp_path, text).client()
    assert "S3CRET" not in str(caught.value)
    assert "5432100" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "host: h\nname: x\nusername: me\npassword: S3CRET\n",
        "uri_mode: true\nhost: mongodb://me:S3CRET@h:1/x\nname: x\n",
        "host: h\nname: x\nmongoclient_kwargs: {tls: true, tlsCertificateKeyFilePassword: S3CRET}\n",
    ],
)
def test_settings_can_be_logged_without_giving_the_password_away(tmp_path: Path, text: str) -> None:
    settings = _read(tmp_path, text)
    assert "S3CRET" not in f"{settings} {settings!r} {settings.address} {[settings]}"


def test_environment_replaces_the_password_in_both_forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, SECRET)
    for text in (
        "host: h\nname: x\nusername: me\npassword: old\n",
        "host: h\nname: x\nusername: me\n",
        "uri_mode: true\nhost: mongodb://me@h:1/x\nname: x\n",
        "uri_mode: true\nhost: mongodb://me:old@h:1/x\nname: x\n",
    ):
        assert _read(tmp_path, text).login()["password"] == SECRET


def test_environment_password_is_ignored_where_nobody_logs_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, SECRET)
    assert _read(tmp_path, "host: h\nname: x\n").login() == {}
    assert _read(tmp_path, "uri_mode: true\nhost: mongodb://h:1/x\nname: x\n").login() == {}


def test_tls_fields_of_fireworks_1_become_the_drivers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "ca.pem").touch()
    settings = _read(tmp_path, "host: h\nname: x\nssl: true\nssl_ca_certs: ca.pem\n")
    assert settings.mongoclient_kwargs == {"tls": True, "tlsCAFile": str(tmp_path / "ca.pem")}
    assert "mongoclient_kwargs" in caplog.text


def test_every_field_of_fireworks_launchpad_is_known() -> None:
    import inspect

    from fireworks import LaunchPad

    assert set(inspect.signature(LaunchPad.__init__).parameters) - {"self"} == set(FIELDS)


def test_file_in_the_current_folder_comes_before_fireworks_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text("name: x\n")
    monkeypatch.setattr("fireworks.fw_config.LAUNCHPAD_LOC", str(elsewhere))
    assert find_launchpad_file() == elsewhere
    here = tmp_path / "my_launchpad.yaml"
    here.write_text("name: x\n")
    assert find_launchpad_file() == here
    assert find_launchpad_file(elsewhere) == elsewhere


def test_missing_file_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LaunchpadFileError, match=r"no\.yaml: there is no such file"):
        find_launchpad_file(tmp_path / "no.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fireworks.fw_config.LAUNCHPAD_LOC", None)
    with pytest.raises(LaunchpadFileError, match=r"no my_launchpad\.yaml in"):
        find_launchpad_file()


@given(user=st.text(min_size=1, max_size=12), password=st.text(max_size=12), port=st.integers(1, 65535))
def test_any_user_and_password_survive_the_uri_and_stay_out_of_the_rest(user: str, password: str, port: int) -> None:
    from urllib.parse import quote_plus

    uri = f"mongodb://{quote_plus(user)}:{quote_plus(password)}@127.0.0.1:{port}/x?replicaSet=rs0"
    settings = DatabaseSettings(host=uri, name="x", uri_mode=True)
    assert settings.login() == {"username": user, "password": password}
    assert settings.address == f"127.0.0.1:{port}"
    assert mongo_uri.without_credentials(uri) == f"mongodb://127.0.0.1:{port}/x?replicaSet=rs0"
    client = settings.client(connect=False)
    credentials = client.options.pool_options._credentials
    assert (credentials.username, credentials.password) == (user, password)
    client.close()


def test_the_file_written_for_an_embedded_database_is_read_and_never_overwritten(tmp_path: Path) -> None:
    written = write_embedded_launchpad_file(tmp_path)
    settings = DatabaseSettings.from_file(written)
    assert settings.address == "127.0.0.1:27117"
    assert (settings.name, settings.replica_set, settings.is_local) == ("esnet_campaign", "rs0", True)
    with pytest.raises(LaunchpadFileError, match="already exists"):
        write_embedded_launchpad_file(tmp_path)


@pytest.mark.parametrize(
    ("option", "value", "right"),
    [
        ("readPreference", "secondaryPreferred", "primary"),
        ("readpreference", "nearest", "primary"),
        ("readPreference", "primaryPreferred", "primary"),
        ("w", "0", "majority"),
        ("w", "00", "majority"),
        ("readConcernLevel", "linearizable", "local or majority"),
        ("readConcernLevel", "available", "local or majority"),
        ("READCONCERNLEVEL", "snapshot", "local or majority"),
    ],
)
@pytest.mark.parametrize("scheme", ["mongodb", "mongodb+srv", None])
def test_options_without_transactions_are_refused_when_the_file_is_read(
    tmp_path: Path, scheme: str | None, option: str, value: str, right: str
) -> None:
    text, field = f"host: h\nname: x\nmongoclient_kwargs: {{{option}: {value}}}\n", f"mongoclient_kwargs: {option}"
    if scheme is not None:
        uri = f"{scheme}://me:S3CRET@h/x?retryWrites=true&{option}={value}"
        text, field = f"uri_mode: true\nhost: {uri}\nname: x\n", f"host: {option}"
    with pytest.raises(LaunchpadFileError) as caught:
        _read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'my_launchpad.yaml'}: {field}: found ")
    assert f"should be {right}" in str(caught.value)
    assert "S3CRET" not in str(caught.value)


def test_options_with_transactions_are_kept(tmp_path: Path) -> None:
    uri = "mongodb://h/x?readPreference=primary&w=majority&readConcernLevel=majority&journal=true"
    assert _read(tmp_path, f"uri_mode: true\nhost: {uri}\nname: x\n").options["w"] == "majority"
    assert _read(tmp_path, "host: h\nname: x\nmongoclient_kwargs: {w: 2, readPreference: primary}\n").options["w"] == 2


@pytest.mark.parametrize(
    "text",
    [
        "host: h\nname: x\nusername: me\npassword: S3CRET\n",
        "uri_mode: true\nhost: mongodb://me:S3CRET@h:1/x\nname: x\n",
        "host: h\nname: x\nmongoclient_kwargs: {tlsCertificateKeyFilePassword: S3CRET}\n",
    ],
)
def test_a_password_that_others_can_read_is_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    path = tmp_path / "my_launchpad.yaml"
    path.write_text(text)
    path.chmod(0o600)
    DatabaseSettings.from_file(path)
    assert not caplog.records
    path.chmod(0o640)
    for _ in range(2):
        DatabaseSettings.from_file(path)
    [record] = caplog.records
    assert f"chmod 600 {path}" in record.getMessage()
    assert "S3CRET" not in record.getMessage()


def test_a_file_without_a_password_may_be_read_by_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _read(tmp_path, "uri_mode: true\nhost: mongodb://me@h:1/x\nname: x\n")
    assert not caplog.records


def test_a_file_that_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LaunchpadFileError, match="not valid YAML"):
        _read(tmp_path, "host: " + "[" * 3000)


def test_a_file_that_is_far_too_large_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    with pytest.raises(LaunchpadFileError, match="has more than 64 KiB"):
        _read(tmp_path, "host: h\nname: x\nuser_indices: [" + "a, " * 100_000 + "a]\n")

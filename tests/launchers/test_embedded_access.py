"""The embedded MongoDB lets in its owner with every command, and nobody else; it stands in for no other database."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pymongo
import pytest
from second_user import as_second_user, folder_for_all, needs_root, readable_texts

from campaign.commands.connection import ensure_running
from esnet.commands.console import console
from launchers.database.check import check_database
from launchers.database.errors import DatabaseUnreachable, LaunchpadFileError, MongoServerError
from launchers.database.launchpad_file import (
    EMBEDDED_PORT,
    EMBEDDED_USER,
    PASSWORD_VARIABLE,
    find_launchpad_file,
    write_embedded_launchpad_file,
)
from launchers.database.settings import DatabaseSettings
from launchers.mongod import server as mongo
from launchers.mongod.access import owner_password

pytestmark = pytest.mark.mongo
BIN = Path(sys.executable).parent

INTRUDER = """
import sys
client = pymongo.MongoClient(sys.argv[1], serverSelectionTimeoutMS=5000)
attempts = {
    "list": lambda: client.list_database_names(),
    "read": lambda: client.alloys.fireworks.find_one(),
    "write": lambda: client.alloys.fireworks.insert_one({"by": "the second user"}),
    "drop": lambda: client.drop_database("alloys"),
    "user": lambda: client.admin.command("createUser", "intruder", pwd="x", roles=["root"]),
    "stop": lambda: client.admin.command("shutdown"),
}
for name, attempt in attempts.items():
    try:
        attempt()
        print(name)
    except pymongo.errors.OperationFailure as error:
        if error.code != 13:  # Unauthorized
            print(name, error)
"""


class Project:
    """A folder with a launchpad file as earlier versions wrote it: without a login."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.file = folder / "my_launchpad.yaml"
        self.data_dir = folder / "mongodb"
        self.uri = f"mongodb://127.0.0.1:{port}/alloys?replicaSet=rs0"
        self.file.write_text(f"# ours\nuri_mode: true\nhost: {self.uri}  # here\nname: alloys\nstrm_lvl: WARNING\n")

    def say(self, *words: str) -> str:
        done = subprocess.run([BIN / words[0], *words[1:]], cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def settings(self) -> DatabaseSettings:
        return DatabaseSettings.from_file(self.file)

    def what_an_intruder_can(self) -> list[str]:
        return as_second_user("import pymongo, encodings.idna", INTRUDER, self.uri).splitlines()


@pytest.fixture
def project(free_port: Callable[[], int]) -> Iterator[Project]:
    with folder_for_all() as folder:
        yield Project(folder, free_port())
        mongo.stop(folder / "mongodb")


@pytest.fixture
def old_project(project: Project, start_mongod: Callable[..., int]) -> Project:
    """A project whose data an earlier version wrote, for everybody to read."""
    port = project.settings().seeds[0][1]
    start_mongod(project.data_dir, "--replSet", "rs0", port=port)
    with pymongo.MongoClient("127.0.0.1", port, directConnection=True) as client:
        member = {"_id": 0, "host": f"127.0.0.1:{port}"}
        client.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
        while not client.admin.command("hello")["isWritablePrimary"]:
            pass
        client.alloys.numbers.insert_many([{"_id": number} for number in range(100)])
    return project


@needs_root
def test_a_second_user_can_neither_read_nor_write_it_nor_find_its_password(project: Project) -> None:
    project.say("campaign", "db", "start")
    assert project.what_an_intruder_can() == []
    password = owner_password(project.data_dir)
    key = (project.data_dir / "keyfile").read_text()
    texts = readable_texts(project.folder)
    assert str(project.data_dir / "keyfile") in texts  # mongod's command line was among them
    assert password not in texts
    assert key not in texts
    check_database(project.settings())


def test_lpad_rlaunch_and_campaign_work_on_without_a_word(project: Project) -> None:
    project.say("campaign", "db", "start")
    text = project.file.read_text()
    assert text.startswith(f"# ours\nuri_mode: true\nhost: {project.uri}  # here\nname: alloys\n")
    assert project.file.stat().st_mode & 0o077 == 0
    project.say("lpad", "add_scripts", "true", "-n", "hello", "-w", "hello")
    project.say("rlaunch", "singleshot")
    counted = project.say("lpad", "-l", "my_launchpad.yaml", "get_wflows", "-s", "COMPLETED", "-d", "count")
    assert counted.strip() == "1"
    project.say("campaign", "db", "stop")
    project.say("campaign", "db", "start")
    assert project.file.read_text() == text
    assert "running" in project.say("campaign", "db", "status")


def test_lpad_shows_no_password_when_the_database_is_down(project: Project) -> None:
    project.file.write_text(f"{project.file.read_text()}mongoclient_kwargs: {{serverSelectionTimeoutMS: 500}}\n")
    mongo.start(project.settings(), data_dir=project.data_dir)
    mongo.stop(project.data_dir)
    done = subprocess.run([BIN / "lpad", "get_wflows"], cwd=project.folder, capture_output=True, text=True)
    assert "127.0.0.1" in done.stderr
    assert owner_password(project.data_dir) not in done.stdout + done.stderr


@needs_root
def test_data_of_an_earlier_version_are_kept_and_get_a_password_at_the_next_start(old_project: Project) -> None:
    assert "every user of this machine" in old_project.say("campaign", "db", "status")
    old_project.say("campaign", "db", "stop")
    ensure_running(old_project.file, console())
    assert old_project.what_an_intruder_can() == []
    assert old_project.settings().database().numbers.count_documents({}) == 100
    assert "every user of this machine" not in old_project.say("campaign", "db", "status")


def test_a_file_in_version_control_keeps_no_password(project: Project) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not on this machine")
    git = ("git", "-c", "user.name=me", "-c", "user.email=me@localhost")

    def commit() -> None:
        for words in (("add", "my_launchpad.yaml"), ("commit", "-qm", "the database")):
            subprocess.run([*git, *words], cwd=project.folder, check=True)

    subprocess.run(["git", "init", "-q"], cwd=project.folder, check=True)
    commit()
    said = project.say("campaign", "db", "start")
    assert f"its password is in {project.data_dir / project.file.name}; git tracks {project.file}" in said
    commit()
    for _ in range(2):
        assert project.settings().user == EMBEDDED_USER
        assert project.file.resolve().is_relative_to(project.data_dir)
        assert project.file.stat().st_mode & 0o077 == 0
        project.say("lpad", "get_wflows")
        project.say("campaign", "db", "stop")
        project.say("campaign", "db", "start")
    assert not (project.data_dir / "mongodb").exists()
    history = subprocess.run(["git", "log", "-p"], cwd=project.folder, capture_output=True, text=True, check=True)
    assert "mongodb://127.0.0.1" in history.stdout
    assert owner_password(project.data_dir) not in history.stdout


def test_a_link_into_a_data_folder_that_was_removed_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "my_launchpad.yaml"
    file.symlink_to("mongodb/my_launchpad.yaml")
    assert write_embedded_launchpad_file(tmp_path) == file
    assert DatabaseSettings.from_file(file).seeds == [("127.0.0.1", EMBEDDED_PORT)]
    assert not file.is_symlink()


@pytest.mark.parametrize("kind", ["folder", "link", "loop"])
def test_what_is_no_launchpad_file_is_left_and_named(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "my_launchpad.yaml"
    match kind:
        case "folder":
            file.mkdir()
        case "link":
            file.symlink_to("/nowhere/my_launchpad.yaml")
        case "loop":
            file.symlink_to(file.name)
    found = "not a file" if kind == "folder" else f"a link to {os.readlink(file)}, which is not there"
    with pytest.raises(LaunchpadFileError, match=f"{file}: is {found}; remove it"):
        write_embedded_launchpad_file(tmp_path)


@needs_root
@pytest.mark.parametrize("has_file", [True, False])
def test_a_folder_that_is_read_only_is_one_line_and_leaves_no_server(project: Project, has_file: bool) -> None:
    project.data_dir.mkdir()
    if not has_file:
        project.file.unlink()
    project.folder.chmod(0o555)
    limited = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", BIN / "campaign", "db", "start"]
    done = subprocess.run(limited, cwd=project.folder, capture_output=True, text=True)
    project.folder.chmod(0o755)
    why = "the password of the embedded database cannot be written into it" if has_file else "cannot be written"
    assert (done.returncode, done.stderr) == (2, f"error: {project.file}: {why}: Permission denied\n")
    assert not mongo.status(project.data_dir).running


def test_a_file_with_host_and_port_gets_the_login_too(project: Project) -> None:
    host, port = project.settings().seeds[0]
    project.file.write_text(f"host: {host}\nport: {port}\nname: alloys\n")
    mongo.start(project.settings(), data_dir=project.data_dir)
    check_database(project.settings())
    project.say("lpad", "get_wflows")


def test_a_password_for_another_database_in_the_environment_harms_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    mongo.start(project.settings(), data_dir=project.data_dir)
    monkeypatch.setenv(PASSWORD_VARIABLE, "of the group's")
    check_database(project.settings())


@pytest.mark.parametrize("running", [True, False])
def test_a_login_that_was_lost_is_written_again(project: Project, running: bool) -> None:
    """The file as it was before, from a backup or a checkout; or a key that is gone."""
    plain = project.file.read_text()
    mongo.start(project.settings(), data_dir=project.data_dir)
    project.settings().database().numbers.insert_one({"_id": 1})
    if running:
        project.file.write_text(plain)
    else:
        mongo.stop(project.data_dir)
        (project.data_dir / "keyfile").unlink()
    ensure_running(project.file, console())
    assert project.settings().database().numbers.count_documents({}) == 1


def test_a_key_that_others_could_read_is_replaced(project: Project) -> None:
    mongo.start(project.settings(), data_dir=project.data_dir)
    before = owner_password(project.data_dir)
    mongo.stop(project.data_dir)
    (project.data_dir / "keyfile").chmod(0o644)
    project.data_dir.chmod(0o755)
    mongo.start(project.settings(), data_dir=project.data_dir)
    assert owner_password(project.data_dir) != before
    assert project.data_dir.stat().st_mode & 0o077 == 0
    check_database(project.settings())


# ---- what is started without being asked


@pytest.mark.parametrize(
    "where",
    [
        "{port}/alloys?directConnection=true",
        "{port}/alloys?replicaSet=rs0",
        "{port}/alloys?replicaSet=rs0&authSource=admin",
    ],
)
@pytest.mark.parametrize("user", ["", "me:pw@", f"{EMBEDDED_USER}:copied@"])
def test_nothing_is_started_where_a_tunnel_is_down(
    tmp_path: Path, free_port: Callable[[], int], user: str, where: str
) -> None:
    file = tmp_path / "my_launchpad.yaml"
    file.write_text(f"uri_mode: true\nhost: mongodb://{user}127.0.0.1:{where.format(port=free_port())}\nname: alloys\n")
    file.chmod(0o600)
    before = file.read_text()
    with pytest.raises(DatabaseUnreachable, match=r"refused; start that server or its tunnel.*`campaign db start`"):
        ensure_running(file, console())
    assert list(tmp_path.iterdir()) == [file]
    assert file.read_text() == before


def test_a_copy_of_the_projects_file_with_another_port_is_its_own(tmp_path, free_port: Callable[[], int]) -> None:
    text = (Path(__file__).parents[2] / "my_launchpad.yaml").read_text()
    file = tmp_path / "my_launchpad.yaml"
    file.write_text(text.replace(f":{EMBEDDED_PORT}/", f":{free_port()}/"))
    ensure_running(file, console())
    try:
        check_database(DatabaseSettings.from_file(file))
    finally:
        mongo.stop(tmp_path / "mongodb")


def test_data_of_the_project_do_not_stand_in_for_a_tunnel(project: Project, free_port: Callable[[], int]) -> None:
    mongo.start(project.settings(), data_dir=project.data_dir)
    mongo.stop(project.data_dir)
    project.file.write_text(f"uri_mode: true\nhost: mongodb://127.0.0.1:{free_port()}/alloys\nname: alloys\n")
    with pytest.raises(DatabaseUnreachable):
        ensure_running(project.file, console())
    assert not mongo.status(project.data_dir).running


def test_the_projects_own_database_is_started_again(project: Project, free_port: Callable[[], int]) -> None:
    mongo.start(project.settings(), data_dir=project.data_dir)
    mongo.stop(project.data_dir)
    ensure_running(project.file, console())
    assert mongo.status(project.data_dir).running
    mongo.stop(project.data_dir)
    # to another port, by the login that it knows
    port, other = project.settings().seeds[0][1], free_port()
    project.file.write_text(project.file.read_text().replace(str(port), str(other)))
    ensure_running(project.file, console())
    check_database(project.settings())


def test_a_folder_without_a_launchpad_file_gets_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fireworks.fw_config.LAUNCHPAD_LOC", None)
    with socket.socket() as listener:
        with contextlib.suppress(OSError):  # the port that a new file would name is taken, by this or another program
            listener.bind(("127.0.0.1", EMBEDDED_PORT))
        file = ensure_running(None, console())
    try:
        assert file == find_launchpad_file() == tmp_path / "my_launchpad.yaml"
        assert file.stat().st_mode & 0o077 == 0
        check_database(DatabaseSettings.from_file(file))
    finally:
        mongo.stop(tmp_path / "mongodb")


def test_a_database_that_cannot_be_started_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fireworks.fw_config.LAUNCHPAD_LOC", None)
    monkeypatch.setattr("launchers.mongod.server.find_mongod", _no_mongod)
    with pytest.raises(MongoServerError, match="no mongod here"):
        ensure_running(None, console())
    assert list(tmp_path.iterdir()) == []


def _no_mongod() -> None:
    raise MongoServerError("no mongod here")


def test_a_place_that_cannot_be_written_is_one_line(project: Project) -> None:
    (project.folder / "file").touch()
    script = (
        "import typer; from pathlib import Path; from esnet.commands.console import run_app\n"
        "app = typer.Typer()\n"
        "@app.command()\ndef make() -> None: Path('file/runs').mkdir()\n"
        "run_app(app, lambda error: None)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=project.folder, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: file/runs: Not a directory; right: ")
    assert done.stderr.count("\n") == 1

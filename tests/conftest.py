"""What tests of every folder share: a real MongoDB on a free loopback port, and a fresh database in it."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from launchers.database.errors import MongoServerError
from launchers.database.settings import DatabaseSettings
from launchers.mongod import server as mongo

if TYPE_CHECKING:
    from finished_campaign import Finished

# How long an example takes is no assertion: the machine may be busy, and lines may be counted. Examples are the same in
# every run, so that a change is judged by what it changed; `pytest --hypothesis-profile random` looks for new ones.
settings.register_profile("random", deadline=None)
settings.register_profile("fixed", deadline=None, derandomize=True)
settings.load_profile("fixed")


@pytest.fixture(scope="session", autouse=True)
def _no_notify_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the notify.yaml of whoever runs the tests out of them: no one is told of a test's campaigns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        patch.delenv("ESNET_CAMPAIGN_NOTIFY", raising=False)
        yield


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let `-n 2 --dist loadgroup` keep a file's tests together, and all that need SLURM: one cluster at a time."""
    if item.config.pluginmanager.hasplugin("xdist"):
        group = "slurm" if item.get_closest_marker("slurm") is not None else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse a pytest and an xdist that do not understand each other: a file's tests would run in two processes."""
    if getattr(session.config.option, "loadgroup", False):
        apart = [item.nodeid for item in session.items if "@" not in item.nodeid]
        if apart:
            raise pytest.UsageError(f"pytest-xdist has not grouped {apart[0]}: install the pytest of constraints.txt")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


#: The login of each embedded MongoDB of this session, by its port.
_LOGINS: dict[int, Mapping[str, Any]] = {}


def _write_launchpad(
    folder: Path, *, port: int, name: str, options: str = "replicaSet=rs0", proxy_of: int | None = None
) -> Path:
    path = folder / "my_launchpad.yaml"
    path.write_text(
        f"uri_mode: true\nhost: mongodb://127.0.0.1:{port}/{name}?{options}\nname: {name}\nstrm_lvl: WARNING\n"
    )
    path.chmod(0o600)
    if login := _LOGINS.get(proxy_of or port):
        with path.open("a") as file:
            file.write(f"mongoclient_kwargs: {json.dumps(login)}\n")
    return path


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Function that returns a TCP port of 127.0.0.1 that nobody listens on just now."""
    return _free_port


@pytest.fixture(scope="session")
def write_launchpad() -> Callable[..., Path]:
    """Function (folder, *, port, name) that writes a my_launchpad.yaml for an embedded MongoDB, with its login.

    ``options`` are those of the URI; the port may be that of a proxy, ``proxy_of`` then that of the database.
    """
    return _write_launchpad


@pytest.fixture(scope="session")
def mongo_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseSettings]:
    """Settings of an embedded MongoDB that runs for the session and is stopped, by its id, at its end."""
    folder = tmp_path_factory.mktemp("database")
    data_dir = folder / "mongodb"
    for attempt in (1, 2, 3):
        port = _free_port()
        file = _write_launchpad(folder, port=port, name="tests")
        try:
            mongo.start(DatabaseSettings.from_file(file), data_dir=data_dir)
            break
        except MongoServerError:
            if attempt == 3:  # somebody took the free port in between; three times is no accident
                raise
    settings = DatabaseSettings.from_file(file)
    _LOGINS[port] = settings.mongoclient_kwargs
    try:
        yield settings
    finally:
        mongo.stop(data_dir)


@pytest.fixture
def launchpad_file(mongo_settings: DatabaseSettings, tmp_path: Path) -> Iterator[Path]:
    """A my_launchpad.yaml in tmp_path that names a fresh database, which is dropped after the test."""
    port = mongo_settings.seeds[0][1]
    assert port is not None
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield _write_launchpad(tmp_path, port=port, name=name)
    with mongo_settings.client() as client:
        client.drop_database(name)


@pytest.fixture
def database(launchpad_file: Path) -> DatabaseSettings:
    """Settings of the fresh database that ``launchpad_file`` describes."""
    return DatabaseSettings.from_file(launchpad_file)


@pytest.fixture(scope="session")
def finished_once(mongo_settings: DatabaseSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """The finished campaign in a database of its own, which only reading tests share; beside it my_launchpad.yaml."""
    from finished_campaign import Finished

    folder, name = tmp_path_factory.mktemp("finished"), f"test_finished_{uuid.uuid4().hex[:8]}"
    port = mongo_settings.seeds[0][1]
    assert port is not None
    campaign = Finished(DatabaseSettings.from_file(_write_launchpad(folder, port=port, name=name)), folder)
    campaign.run()
    yield campaign
    campaign.launchpad.connection.drop_database(name)


@pytest.fixture
def finished(finished_once: Finished, monkeypatch: pytest.MonkeyPatch) -> Finished:
    """The finished campaign, from the folder of its my_launchpad.yaml."""
    monkeypatch.chdir(finished_once.folder)
    return finished_once

"""jobflow's JobStore on the campaign's database, with the indexes needed by its queries."""

from functools import partial
from pathlib import Path
from typing import Any

from jobflow import JobStore
from maggma.stores import GridFSStore, MongoStore
from pymongo.collection import Collection

from launchers.database import mongo_uri
from launchers.database.patience import patiently
from launchers.database.patient_job_store import PatientJobStore
from launchers.database.settings import DatabaseSettings

OUTPUTS_COLLECTION = "outputs"
DATA_COLLECTION = "data"  # GridFS: its files are in data.files and data.chunks


def open_job_store(settings: DatabaseSettings) -> JobStore:
    """Return jobflow's JobStore: collection ``outputs``, and the additional store ``data`` in GridFS.

    It does not wait for an unavailable database; see `open_patient_job_store`.
    """
    return open_patient_job_store(settings, directory=Path(), wait_s=0.0)


def open_patient_job_store(settings: DatabaseSettings, *, directory: Path, wait_s: float) -> PatientJobStore:
    """Return a JobStore that does not lose outputs while the database is unavailable.

    Parameters
    ----------
    directory, wait_s
        Folder in which an output waits for the database, and how long, in s.

    The store's serialised form holds the password: never put it into a firework or a file.
    jobflow queries ``uuid`` with the highest ``index``, and large objects (atomate2's DOS) by ``blob_uuid``, but
    creates no indexes; without these every query reads the whole collection.
    """
    where = _connection(settings)
    store = PatientJobStore(
        MongoStore(collection_name=OUTPUTS_COLLECTION, **where),
        {"data": GridFSStore(collection_name=DATA_COLLECTION, **where)},
        directory=directory,
        wait_s=wait_s,
    )
    patiently(partial(_ensure_indexes, settings), wait_s=wait_s)
    return store


def _ensure_indexes(settings: DatabaseSettings) -> None:
    with settings.client() as client:
        database = client[settings.name]
        _ensure_index(database[OUTPUTS_COLLECTION], {"uuid": 1, "index": -1})
        _ensure_index(database[f"{DATA_COLLECTION}.files"], {"metadata.blob_uuid": 1})
        _ensure_index(database[f"{DATA_COLLECTION}.files"], {"metadata.job_uuid": 1, "metadata.job_index": 1})


def _connection(settings: DatabaseSettings) -> dict[str, Any]:
    """Return the arguments common to both maggma stores."""
    options = dict(settings.mongoclient_kwargs)
    if settings.uri_mode:
        # maggma shows the URI as the store's name, so user and password are passed separately.
        uri = mongo_uri.without_credentials(settings.host)
        return {"database": settings.name, "uri": uri, "mongoclient_kwargs": options | settings.login()}
    where: dict[str, Any] = {"database": settings.name, "host": settings.host, "mongoclient_kwargs": options}
    where["port"] = settings.port or mongo_uri.DEFAULT_PORT
    if settings.username:
        where |= {"username": settings.username, "password": settings.password or ""}
        where["auth_source"] = settings.authsource or settings.name
    return where


def _ensure_index(collection: Collection[dict[str, Any]], keys: dict[str, int]) -> None:
    """Create an index unless one on the same keys exists under any name."""
    if list(keys.items()) not in [entry["key"] for entry in collection.index_information().values()]:
        collection.create_index(list(keys.items()))

"""A JobStore that does not lose an output to an outage of its database."""

import gzip
import logging
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bson
from bson.errors import BSONError
from jobflow import JobStore
from maggma.stores import MemoryStore, Store

from launchers.database.patience import patiently

logger = logging.getLogger(__name__)


class PatientJobStore(JobStore):  # type: ignore[misc, unused-ignore]
    """jobflow's JobStore, which waits while the database is unavailable and keeps pending data in a file.

    Large objects are stored before the document that refers to them, so that an existing document is complete.

    Parameters
    ----------
    docs_store, additional_stores
        As for `jobflow.JobStore`.
    directory
        Folder for waiting outputs.
    wait_s
        Longest waiting time in s.
    """

    def __init__(
        self, docs_store: Store, additional_stores: Mapping[str, Store], *, directory: Path, wait_s: float
    ) -> None:
        super().__init__(docs_store, additional_stores=dict(additional_stores))
        self.directory = directory
        self.wait_s = wait_s

    def update(self, docs: Any, key: Any = None, save: Any = None) -> None:
        """Store the documents of jobs and their large objects."""
        split = JobStore(MemoryStore(), {name: MemoryStore() for name in self.additional_stores}, save=self.save)
        with split:
            split.update(docs, key=key, save=save)
            documents = _without_ids(split.docs_store)
            blobs = {name: _without_ids(store) for name, store in split.additional_stores.items()}
        self._store(documents, blobs)

    def _store(self, documents: list[dict[str, Any]], blobs: Mapping[str, list[dict[str, Any]]]) -> None:
        kept: list[Path] = []

        def write() -> None:
            for name, store in self.additional_stores.items():
                if blobs.get(name):
                    store.update(blobs[name], key="blob_uuid")
            self.docs_store.update(documents, key=["uuid", "index"])

        def keep(away: bool) -> None:
            if away:
                logger.warning("the database does not answer; the output waits in %s", self.directory)
                kept.extend(_keep(self.directory, document, blobs) for document in documents)

        patiently(write, wait_s=self.wait_s, on_outage=keep)
        for file in kept:
            file.unlink(missing_ok=True)

    def store_kept(self, directory: Path, uuid: str, *, as_uuid: str) -> bool:
        """Store a waiting output from a directory under the uuid of another try; return False if there is none.

        Parameters
        ----------
        directory
            Launch directory of an earlier try.
        uuid, as_uuid
            Uuid of the job then and now.
        """
        file = _file(directory, uuid)
        try:
            kept = bson.decode(gzip.decompress(file.read_bytes()))
            documents = [{**kept["document"], "uuid": as_uuid}]
            blobs = {name: [{**blob, "job_uuid": as_uuid} for blob in found] for name, found in kept["blobs"].items()}
        except (OSError, EOFError, zlib.error, BSONError, KeyError):
            return False  # missing or truncated
        self._store(documents, blobs)
        file.unlink(missing_ok=True)
        return True


def _without_ids(store: Store) -> list[dict[str, Any]]:
    return [{key: value for key, value in document.items() if key != "_id"} for document in store.query()]


def _file(directory: Path, uuid: str) -> Path:
    return directory / f"output-{uuid}.bson.gz"


def _keep(directory: Path, document: dict[str, Any], blobs: Mapping[str, list[dict[str, Any]]]) -> Path:
    """Write the output of a job into a file, atomically."""
    file = _file(directory, document["uuid"])
    own = {name: [blob for blob in found if blob["job_uuid"] == document["uuid"]] for name, found in blobs.items()}
    part = file.with_suffix(".part")
    try:
        with part.open("wb") as output:
            output.write(gzip.compress(bson.encode({"document": document, "blobs": own}), compresslevel=4))
            output.flush()
            os.fsync(output.fileno())
        part.replace(file)
    except OSError as error:
        logger.warning("the output cannot be kept in %s: %s", directory, error)
    return file

"""Puts a stored database back as it was: every collection, with this machine's host and folder for the placeholders.

Knows nothing of the project, so that it reads old formats whatever becomes of the code.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bson import json_util
from pymongo import ReplaceOne

if TYPE_CHECKING:
    from pymongo.database import Database

#: Stand where the maker's host name and folder stood; launch directories lie in ``FOLDER/runs/NAME``.
HOST, FOLDER = "@HOST@", "@FOLDER@"
OLD_FORMATS = Path(__file__).resolve().parent


def restore(database: Database[dict[str, Any]], path: Path, *, host: str, folder: Path) -> Counter[str]:
    """Write all documents of a ``.jsonl.gz`` file into a database that holds no campaign.

    Parameters
    ----------
    database
        Where they go. It gets no index: the code under test makes those that it needs.
    path
        A line for each document: ``{"collection": ..., "document": <MongoDB's extended JSON>}``.
    host
        Name that the processes of the ledger and of the launches ran on. With ``socket.gethostname()`` the code sees
        that those of this host are gone, by their process ids and start times.
    folder
        Folder that the campaign ran in: its file's, with ``bundle`` and ``runs`` beneath it.

    Returns
    -------
    Counter
        Number of documents in each collection.
    """
    counts: Counter[str] = Counter()
    for collection, documents in groupby(read_lines(path, host=host, folder=folder), key=lambda line: line[0]):
        # FireWorks may have counted to 1 there already
        writes = [ReplaceOne({"_id": document["_id"]}, document, upsert=True) for _, document in documents]
        database[collection].bulk_write(writes)
        counts[collection] += len(writes)
    return counts


def read_lines(path: Path, *, host: str, folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return collection and document of each line, the placeholders replaced."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        text = file.read()
    for placeholder, value in ((HOST, host), (FOLDER, str(folder))):
        text = text.replace(placeholder, json.dumps(value)[1:-1])
    lines = [json_util.loads(line) for line in text.splitlines()]
    return [(line["collection"], line["document"]) for line in lines]

"""Collections of a campaign in MongoDB, their indexes, and atomic moves between states."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar

from pymongo import ASCENDING, DESCENDING, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure

from campaign.store.states import REFERENCE, CandidateState, Stage, StepState

logger = logging.getLogger(__name__)

BY_ID = "_id_"
"""Index to give as `hint` when documents are selected by id and by other fields: MongoDB compares plans by their first
hundred results, so it may choose an index of the other fields and then read everything that matches them.
"""

SCHEMA_VERSION = 2
Document = dict[str, Any]
T = TypeVar("T")
_CHUNK = 1000
_WRITERS = 2
#: Time a transaction waits for another writer before that is logged, in s.
_SILENT_S = 5.0
#: Names of replaced indexes; those that are now partial keep their name.
_REPLACED_INDEXES = (
    *("campaign_1_state_1_batch_1", "campaign_1_rs_dos.state_1"),
    *("campaign_1_role_1_state_1", "campaign_1_state_1_result.e_hull_1", "campaign_1_result.stable_1"),
    *("campaign_1_decision.promoted_1_state_1", "spec.campaign_name_1_state_1"),
)
#: Indexes on fields that were renamed in version 2 of the schema.
_RENAMED_INDEXES = (
    *("campaign_1_result.e_hull_1", "campaign_1_result.stable_1_result.e_hull_1", "campaign_1_prediction.e_hull_1"),
)
_INDEX_NOT_FOUND = 27
#: Index of candidates by their name in their source.
NAME_INDEX = [("campaign", ASCENDING), ("parent.name", ASCENDING)]
#: MongoDB filter that separates campaigns from other programs' documents in the collection.
OUR_CAMPAIGNS = {"schema_version": {"$type": "number"}, "n_screened": {"$type": "number"}}


def in_chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of limited length, in order."""
    left = iter(items)
    while chunk := list(islice(left, size)):
        yield chunk


def now() -> datetime:
    """Return the current UTC time, to the millisecond stored by MongoDB."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def in_utc(time: datetime) -> datetime:
    """Return a stored time in UTC; depending on the client it is naive or aware."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


class CampaignStore:
    """The campaign collections of one database.

    Attributes
    ----------
    campaigns
        One document for each campaign: its spec, state, model and reference set.
    candidates, references
        One document for each candidate, and for each phase of the computed reference set.
    structures
        Both collections.
    features
        Projected DOS as compressed binary, see `workflows.dos.DosFeatures`.
    attempts
        The ledger: one document for each time a calculation or step was started.
    steps
        Trainings, Screens and the report: a unique id each, so that each is submitted once.
    left_out
        Given crystals that are not candidates, each with the reason.
    models, reference_sets
        Trained models and frozen reference sets, by checksum.
    events
        Changes of campaigns by people, one document each.
    """

    def __init__(self, database: Database[Document]) -> None:
        self.database = database
        self.campaigns: Collection[Document] = database["campaigns"]
        self.candidates: Collection[Document] = database["candidates"]
        self.references: Collection[Document] = database["references"]
        self.structures = (self.candidates, self.references)
        self.left_out: Collection[Document] = database["left_out"]
        self.features: Collection[Document] = database["features"]
        self.attempts: Collection[Document] = database["attempts"]
        self.steps: Collection[Document] = database["steps"]
        self.models: Collection[Document] = database["models"]
        self.reference_sets: Collection[Document] = database["reference_sets"]
        self.events: Collection[Document] = database["events"]

    def ensure_indexes(self) -> None:
        """Create the indexes for the campaign's queries and those of the README; safe to repeat."""
        self._drop_replaced_indexes()
        relaxed = {"state": CandidateState.RELAXED}
        for collection in self.structures:
            # ready and awaited calculations, and all counts of states and roles, without reading a document
            collection.create_index(
                [("campaign", ASCENDING), ("state", ASCENDING), ("role", ASCENDING), ("batch", ASCENDING)]
            )
            # two queries made after every relaxation; partial, so that other moves do not write to it
            collection.create_index(
                [("campaign", ASCENDING), ("rs_dos.state", ASCENDING)], partialFilterExpression=relaxed
            )
            # equal calculations of other campaigns
            collection.create_index("calculation_key")
        self.candidates.create_index(
            [("campaign", ASCENDING), ("result.e_above_hull", ASCENDING)], partialFilterExpression=relaxed
        )
        # few indexes on the state, since each move writes to all of them
        self.candidates.create_index(
            [("campaign", ASCENDING), ("result.stable", ASCENDING), ("result.e_above_hull", ASCENDING)]
        )
        # newest discoveries
        self.candidates.create_index(
            [("campaign", ASCENDING), ("result.time", DESCENDING), ("_id", ASCENDING)],
            partialFilterExpression={"result.stable": True},
        )
        self.candidates.create_index(
            [("campaign", ASCENDING), ("decision.promoted", ASCENDING), ("state", ASCENDING)],
            partialFilterExpression={"decision.promoted": {"$exists": True}},
        )
        self.candidates.create_index([("campaign", ASCENDING), ("prediction.e_above_hull", ASCENDING)])
        # only candidates with a prediction, ordered by it
        self.candidates.create_index(
            [("campaign", ASCENDING), ("result.e_above_hull", ASCENDING), ("prediction.e_above_hull", ASCENDING)]
        )
        self.candidates.create_index([("campaign", ASCENDING), ("prediction.step", ASCENDING)])
        # results that a retraining waits for
        self.candidates.create_index(
            [("campaign", ASCENDING), ("role", ASCENDING), ("rs_dos.state", ASCENDING), ("result.stable", ASCENDING)]
        )
        # only in campaigns with a prefilter
        self.candidates.create_index(
            [
                *(("campaign", ASCENDING), ("prefilter.state", ASCENDING)),
                *(("prefilter.outcome", ASCENDING), ("prefilter.audit", ASCENDING), ("batch", ASCENDING)),
                ("state", ASCENDING),
            ],
            partialFilterExpression={"prefilter.state": {"$exists": True}},
        )
        self.candidates.create_index("chemsys")
        # given crystals are looked up by name; other candidates have none
        self.candidates.create_index(NAME_INDEX, partialFilterExpression={"parent.name": {"$exists": True}})
        self.attempts.create_index([("campaign", ASCENDING), ("document", ASCENDING)])
        # sums over the ledger, and recently ended attempts
        self.attempts.create_index(
            [
                *(("campaign", ASCENDING), ("stage", ASCENDING), ("outcome", ASCENDING)),
                *(("ended", ASCENDING), ("cpu_s", ASCENDING), ("gpu_s", ASCENDING)),
            ]
        )
        self.attempts.create_index("fw_id")
        # campaigns that reuse calculations of another one
        self.attempts.create_index("reused_from.campaign", sparse=True)
        # other attempts in the same batch job; those outside a job have none
        self.attempts.create_index("job_id", sparse=True)
        self.features.create_index("campaign")
        self.left_out.create_index("campaign")
        self.steps.create_index([("campaign", ASCENDING), ("kind", ASCENDING)])
        self.events.create_index([("campaign", ASCENDING), ("time", ASCENDING), ("_id", ASCENDING)])
        # lookup of a campaign's fireworks and workflows
        self.database["workflows"].create_index("metadata.campaign")
        self.database["fireworks"].create_index(
            [("spec.campaign_name", ASCENDING), ("state", ASCENDING), ("spec._category", ASCENDING)]
        )
        self.database["workflows"].create_index(
            [("metadata.campaign", ASCENDING), ("locked", ASCENDING)],
            partialFilterExpression={"locked": {"$exists": True}},
        )

    def _drop_replaced_indexes(self) -> None:
        """Drop indexes of earlier versions; every index on the state costs a write per move."""
        for collection in (*self.structures, self.database["fireworks"]):
            for name, found in collection.index_information().items():
                is_replaced = name in _REPLACED_INDEXES and "partialFilterExpression" not in found
                if is_replaced or name in _RENAMED_INDEXES:
                    try:
                        collection.drop_index(name)
                    except OperationFailure as error:
                        if error.code != _INDEX_NOT_FOUND:  # dropped by another process
                            raise

    def collection_of(self, document_id: str) -> Collection[Document]:
        """Return the collection of a document; references are recognised by their ids."""
        return self.references if f"/{REFERENCE}/" in document_id else self.candidates

    def find_structures(
        self, query: Mapping[str, Any], fields: Sequence[str], *, session: ClientSession | None = None
    ) -> Iterator[Document]:
        """Yield fields of the matching candidates, then of the matching references."""
        for collection in self.structures:
            yield from collection.find(query, fields, session=session)

    def in_transaction(self, body: Callable[[ClientSession], T]) -> T:
        """Run `body` in one transaction, repeating it on a conflict with another writer."""
        began = time.monotonic()
        said = False

        def run(session: ClientSession) -> T:
            nonlocal said
            if not said and time.monotonic() - began > _SILENT_S:
                said = True
                logger.warning(
                    "the database is busy: another process is writing the same documents, or was killed while doing "
                    "so, which MongoDB notices after 60 to 90 s; waiting"
                )
            return body(session)

        with self.database.client.start_session() as session:
            return session.with_transaction(run)

    def insert_missing(self, collection: Collection[Document], documents: Iterable[Mapping[str, Any]]) -> int:
        """Insert the documents whose ``_id`` is new; return how many were added."""
        added = 0
        for chunk in in_chunks(documents, _CHUNK):
            upserts = [
                UpdateOne(
                    {"_id": document["_id"]},
                    {"$setOnInsert": {key: value for key, value in document.items() if key != "_id"}},
                    upsert=True,
                )
                for document in chunk
            ]
            added += collection.bulk_write(upserts, ordered=False).upserted_count
        return added

    def move(
        self,
        document_id: str,
        stage: Stage,
        *,
        to: str,
        expected: str | None = None,
        changes: Mapping[str, Any] | None = None,
        push: Mapping[str, Any] | None = None,
    ) -> bool:
        """Move a candidate or a reference from one state of a stage to the next, atomically.

        Parameters
        ----------
        expected
            Required state; by default the stage's running state.
        changes, push
            Further fields to set, and entries to append to lists, in the same write.

        Returns
        -------
        bool
            False if the document was not in the expected state: another process has changed it.
        """
        before = stage.running if expected is None else expected
        updated = self.collection_of(document_id).find_one_and_update(
            {"_id": document_id, stage.state_field: before},
            {
                "$set": {stage.state_field: to, **(changes or {})},
                "$push": {"history": history_entry(stage, to), **(push or {})},
            },
            projection=["_id"],
        )
        return updated is not None

    def bulk_update(self, updates: Iterable[UpdateOne]) -> int:
        """Write updates of candidates in chunks, in no particular order; return how many documents changed."""
        # the database processes some while the next are prepared
        with ThreadPoolExecutor(_WRITERS) as writers:
            return sum(writers.map(self._update_chunk, in_chunks(updates, _CHUNK)))

    def _update_chunk(self, chunk: list[UpdateOne]) -> int:
        return self.candidates.bulk_write(chunk, ordered=False).modified_count

    def close_step(
        self, step_id: str, facts: Mapping[str, Any] | None = None, *, session: ClientSession | None = None
    ) -> None:
        """Mark a step as done and write its results."""
        ended = {"state": StepState.DONE, "ended": now(), **(facts or {})}
        self.steps.update_one({"_id": step_id}, {"$set": ended, "$unset": {"reserved": ""}}, session=session)

    def state_counts(self, campaign: str) -> dict[str, int]:
        """Return the number of candidates of a campaign in each state."""
        return counts_by_state(self.role_counts(campaign))

    def role_counts(self, campaign: str, *, session: ClientSession | None = None) -> dict[tuple[str, str], int]:
        """Return the number of candidates of a campaign by ``(role, state)``, from an index alone."""
        return counts_by(self.candidates, {"campaign": campaign}, "role", "state", session=session)


def exists(collection: Collection[Any], query: Mapping[str, Any], *, session: ClientSession | None = None) -> bool:
    """Whether any document matches."""
    return collection.find_one(query, ["_id"], session=session) is not None


def sums_by(
    collection: Collection[Document],
    query: Mapping[str, Any],
    *fields: str,
    session: ClientSession | None = None,
    **sums: Any,
) -> dict[Any, Document]:
    """Group the matching documents by the values of one or more fields, and sum over each group.

    Parameters
    ----------
    sums
        Summand of each named sum: a number, a field (``"$cpu_s"``) or an expression.

    Returns
    -------
    dict
        The sums of each group, by its value or tuple of values; None for documents without the field.
    """
    key: Any = {field.rpartition(".")[2]: f"${field}" for field in fields}
    totals = {name: {"$sum": summed} for name, summed in sums.items()}
    group = {"_id": f"${fields[0]}" if len(fields) == 1 else key, **totals}
    found = collection.aggregate([{"$match": query}, {"$group": group}], session=session)
    if len(fields) == 1:
        return {each["_id"]: each for each in found}
    return {tuple(map(each["_id"].get, key)): each for each in found}


def counts_by(
    collection: Collection[Document], query: Mapping[str, Any], *fields: str, session: ClientSession | None = None
) -> dict[Any, int]:
    """Count the matching documents by the value of a field, or by the tuple of values of several."""
    return {key: group["n"] for key, group in sums_by(collection, query, *fields, session=session, n=1).items()}


def history_entry(stage: Stage, state: str) -> Document:
    """Return the entry of a document's history for a move of `stage` to `state`."""
    return {"stage": stage.name, "state": state, "time": now()}


def counts_by_state(counts: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """Sum counts by ``(role, state)`` over the roles."""
    by_state: dict[str, int] = {}
    for (_, state), number in counts.items():
        by_state[state] = by_state.get(state, 0) + number
    return by_state

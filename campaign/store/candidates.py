"""Candidates and references: find, insert, count before their Screen, and claim for a calculation."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from pymatgen.core import Composition
from pymongo import UpdateOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from campaign.store.campaigns import Campaign
from campaign.store.collections import BY_ID, NAME_INDEX, CampaignStore, counts_by, exists, history_entry, now
from campaign.store.documents import CandidateDocument, LeftOutDocument, stage_fields
from campaign.store.states import AWAITS_RS_DOS, BEFORE_SCREEN, OPEN_STATES, SCREENED, CandidateState, RsDosState, Stage
from esnet.files.errors import UserError

_SHOWN = 8
_LONGEST = 1000  # characters
_Index = list[tuple[str, int]]


class UnknownCandidateError(UserError, LookupError):
    """No candidate matches, or more than one; the message lists the existing ones."""


def read_document(
    store: CampaignStore, document_id: str, fields: Sequence[str] | None = None
) -> CandidateDocument | None:
    """Read a candidate or reference by ``_id``, completely or only some fields; None if there is none."""
    return cast("CandidateDocument | None", store.collection_of(document_id).find_one({"_id": document_id}, fields))


def find_candidate(campaign: Campaign, wanted: str) -> CandidateDocument:
    """Return the one candidate matching an id, the beginning of an id, formula and prototype, or name.

    Parameters
    ----------
    wanted
        ``_id`` or its beginning, a formula (``AlPd``, elements in any order), formula and prototype (``AlPd:B2``), or
        the
        name of a crystal in its source (``gen_0001``, ``run1/gen_0001``).

    Raises
    ------
    UnknownCandidateError
        If none or more than one matches.
    """
    candidates = collection_of_candidates(campaign.store)
    for query, index in _meanings(wanted):
        found = _find_some(candidates, {"campaign": campaign.name, **query}, index)
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(f"{each['formula']}:{each['prototype']} ({each['_id']})" for each in found[:_SHOWN])
            more = " and others" if len(found) > _SHOWN else ""
            raise UnknownCandidateError(
                f"campaign {campaign.name!r} has several candidates {wanted!r}: {listed}{more}; "
                "right: formula:prototype, or the id"
            )
    example = candidates.find_one({"campaign": campaign.name}, ["formula", "prototype"])
    shown = f", e.g. {example['formula']}:{example['prototype']}" if example else ""
    raise UnknownCandidateError(
        f"campaign {campaign.name!r} has no candidate {wanted!r}; right: an id, its beginning, a formula, "
        f"formula:prototype{shown}, or the name of a crystal in its source (see `campaign results {campaign.name}`)"
    )


def _find_some(
    candidates: Collection[CandidateDocument], query: dict[str, Any], index: _Index | None
) -> list[CandidateDocument]:
    found = candidates.find(query).limit(_SHOWN + 1)
    if index is not None:
        with suppress(OperationFailure):  # a database that no new version has written to lacks this index
            return list(found.clone().hint(index))
    return list(found)


def _meanings(wanted: str) -> Iterator[tuple[dict[str, Any], _Index | None]]:
    """Yield the possible meanings of a text as MongoDB filters, likeliest first, with the index to use."""
    yield {"_id": wanted}, None
    yield {"parent.name": wanted}, None
    if len(wanted) > _LONGEST or "\0" in wanted:
        return  # not a formula, and not a pattern that MongoDB accepts
    formula, _, prototype = wanted.partition(":")
    # a text that is not a formula matches no candidate
    with suppress(ValueError, ArithmeticError, RecursionError):
        composition = Composition(formula)
        named = {"chemsys": composition.chemical_system, "formula": composition.reduced_formula}
        yield named | ({"prototype": prototype} if prototype else {}), None
    yield {"_id": {"$regex": f"^{re.escape(wanted)}"}}, None
    # without a match, MongoDB would otherwise try every index of the campaign on all its documents
    yield {"parent.name": {"$regex": f"/{re.escape(wanted)}$"}}, NAME_INDEX


def collection_of_candidates(store: CampaignStore) -> Collection[CandidateDocument]:
    """Return the collection of candidates with its document type, for modules of this package."""
    return cast("Collection[CandidateDocument]", store.candidates)


def collection_of_references(store: CampaignStore) -> Collection[CandidateDocument]:
    """Return the collection of reference phases with its document type, for modules of this package."""
    return cast("Collection[CandidateDocument]", store.references)


def insert_candidates(store: CampaignStore, documents: Iterable[CandidateDocument]) -> int:
    """Insert new candidates; return how many were added."""
    return store.insert_missing(store.candidates, documents)


def insert_references(store: CampaignStore, documents: Iterable[CandidateDocument]) -> int:
    """Insert new phases of the reference set; return how many were added."""
    return store.insert_missing(store.references, documents)


def insert_left_out(store: CampaignStore, documents: Iterable[LeftOutDocument]) -> int:
    """Insert documents about crystals that are not candidates; return how many were added."""
    return store.insert_missing(store.left_out, documents)


def candidates_by_id(store: CampaignStore, ids: Sequence[str], fields: Sequence[str]) -> dict[str, CandidateDocument]:
    """Return these fields of candidates, by id."""
    found = collection_of_candidates(store).find({"_id": {"$in": list(ids)}}, fields)
    return {document["_id"]: document for document in found}


def element_phases(campaign: Campaign, symbol: str) -> list[dict[str, Any]]:
    """Return the unrelaxed structures of the elemental references of an element."""
    query = {"campaign": campaign.name, "elements": [symbol], "structure": {"$exists": True}}
    return [phase["structure"] for phase in collection_of_references(campaign.store).find(query, ["structure"])]


def ready_ids(campaign: Campaign, stage: Stage, *, references: bool, limit: int) -> list[str]:
    """Return the ids of candidates (or references) whose calculation of a stage may start."""
    found = _collection(campaign, references).find({"campaign": campaign.name, **stage.ready}, ["_id"])
    return [document["_id"] for document in found.limit(limit)]


def read_ready(
    campaign: Campaign, stage: Stage, ids: Sequence[str], *, references: bool, session: ClientSession
) -> list[CandidateDocument]:
    """Read those of the candidates (or references) that may still start a stage, with the fields its workflow needs."""
    query = {"_id": {"$in": list(ids)}, "campaign": campaign.name, **stage.ready}
    decided = ["decision.rank", "decision.kind"]
    fields = ["campaign", "formula", "prototype", "parent.name", "role", "state", *decided, stage.fields]
    return list(_collection(campaign, references).find(query, fields, session=session, hint=BY_ID))


def claim(
    campaign: Campaign,
    stage: Stage,
    claimed: Iterable[tuple[Mapping[str, Any], Sequence[int]]],
    *,
    first_tries: Mapping[str, int],
    references: bool,
    session: ClientSession,
) -> None:
    """Move candidates (or references) into a stage's running state, each with the fireworks that compute it.

    Parameters
    ----------
    claimed
        Documents from `read_ready`, each with the ids of the calculating and the recording firework.
    first_tries
        Number of the first try, by id, of calculations never started before, if not 0.
    session
        Transaction in which they were read.
    """
    updates = [_claim(document, stage, fw_ids, first_tries.get(document["_id"])) for document, fw_ids in claimed]
    _collection(campaign, references).bulk_write(updates, ordered=False, session=session)


def _claim(document: Mapping[str, Any], stage: Stage, fw_ids: Sequence[int], first: int | None) -> UpdateOne:
    previous = document.get(stage.fields) or {}
    first_try = {} if first is None else {f"{stage.fields}.first_attempt": first}
    return UpdateOne(
        {"_id": document["_id"], **stage.ready},
        {
            "$set": {
                stage.state_field: stage.running,
                f"{stage.fields}.fw_id": fw_ids[0],
                f"{stage.fields}.record_fw_id": fw_ids[1],
                f"{stage.fields}.attempt": int(previous.get("attempt") or 0) if first is None else first,
                **first_try,
                # the state to return to after a machine failure
                f"{stage.fields}.from_state": document["state"] if stage.state_field == "state" else RsDosState.NEW,
                f"{stage.fields}.submitted": now(),
            },
            # a reused calculation whose features have since been lost is computed
            "$unset": {f"{stage.fields}.reused_from": ""},
            "$push": {"history": history_entry(stage, stage.running)},
        },
    )


def take_back(store: CampaignStore, document_id: str, stage: Stage, *, fw_id: int) -> bool:
    """Make a running calculation of a candidate or a reference ready to be submitted again as the same try.

    Returns
    -------
    bool
        False if `fw_id` is no longer its firework or it is no longer running: another process came first.
    """
    current = {"_id": document_id, stage.state_field: stage.running, f"{stage.fields}.fw_id": fw_id}
    structures = store.collection_of(document_id)
    facts = stage_fields(structures.find_one(current, [stage.fields]) or {}, stage)
    before = facts.get("from_state") or CandidateState.NEW
    moved = structures.update_one(
        current, {"$set": {stage.state_field: before}, "$push": {"history": history_entry(stage, before)}}
    )
    return bool(moved.modified_count)


def write_restart(campaign: Campaign, document_id: str, source: Mapping[str, Any], *, fw_id: int) -> None:
    """Record from which earlier attempt the relaxation of a candidate or a reference was restarted.

    Parameters
    ----------
    source
        The attempt, its directory and why it was interrupted.
    fw_id
        The relaxing firework; nothing is written if it is no longer the current one.
    """
    campaign.store.collection_of(document_id).update_one(
        {"_id": document_id, "relaxation.fw_id": fw_id},
        {"$set": {"relaxation.restarted_from": {**source, "time": now()}}},
    )


def is_any_open(campaign: Campaign, *, session: ClientSession | None = None) -> bool:
    """Whether any candidate still waits for a calculation, a Screen or an RS-DOS."""
    # candidates that a model learns from end with their RS-DOS; two queries, so that an index answers each
    awaits_rs_dos = {"campaign": campaign.name, **AWAITS_RS_DOS}
    return is_any_in_state(campaign, *OPEN_STATES, session=session) or exists(
        campaign.store.candidates, awaits_rs_dos, session=session
    )


def count_before_screen_by_batch(campaign: Campaign, batches: Sequence[int]) -> dict[int, int]:
    """Count the candidates of each batch that have not reached their Screen; batches without any are absent."""
    if not batches:
        return {}
    before: dict[str, Any] = {"campaign": campaign.name, "state": {"$in": list(BEFORE_SCREEN)}, "role": SCREENED}
    # naming each of hundreds of batches would create thousands of index ranges
    before["batch"] = batches[0] if len(batches) == 1 else {"$gte": min(batches), "$lte": max(batches)}
    return counts_by(campaign.store.candidates, before, "batch")


def is_any_in_state(
    campaign: Campaign, *states: CandidateState, role: str | None = None, session: ClientSession | None = None
) -> bool:
    """Whether any candidate (of one role, if one is given) is in one of these states."""
    query: dict[str, Any] = {"campaign": campaign.name, "state": {"$in": list(states)}}
    return exists(campaign.store.candidates, query if role is None else query | {"role": role}, session=session)


def _collection(campaign: Campaign, references: bool) -> Collection[CandidateDocument]:
    return collection_of_references(campaign.store) if references else collection_of_candidates(campaign.store)

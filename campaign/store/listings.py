"""Read-only queries for a campaign's results, reports, figures and data sets."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from campaign.store.campaigns import Campaign
from campaign.store.collections import OUR_CAMPAIGNS, CampaignStore, Document
from campaign.store.counts import failed_for_good
from campaign.store.fireworks import fizzled_query, fizzled_reason
from campaign.store.states import BEFORE_SCREEN, SCREENED, CampaignState, CandidateState

#: Fields read of a stable candidate.
STABLE_FIELDS = ["formula", "prototype", "role", "result", "decision.promoted", "decision.kind"]


def running_campaigns(store: CampaignStore) -> list[str]:
    """Return the names of running campaigns, except archived ones."""
    return store.campaigns.distinct("_id", {**OUR_CAMPAIGNS, "state": CampaignState.RUNNING, "archived": None})


def unfinished_campaigns(store: CampaignStore) -> list[str]:
    """Return the names of unfinished campaigns in alphabetical order, except those archived or being deleted."""
    over = [CampaignState.FINISHED, CampaignState.DELETING]
    unfinished = {**OUR_CAMPAIGNS, "state": {"$nin": over}, "archived": None}
    return [document["_id"] for document in store.campaigns.find(unfinished, ["_id"]).sort("_id")]


def foreign_campaigns(store: CampaignStore) -> list[str]:
    """Return the ids of other programs' documents in the collection of campaigns."""
    return [str(document["_id"]) for document in store.campaigns.find({"$nor": [OUR_CAMPAIGNS]}, ["_id"]).limit(10)]


def all_candidates(campaign: Campaign, fields: Sequence[str], *, ordered: bool = False) -> list[Document]:
    """Read fields of all candidates of a campaign, sorted by id if `ordered`."""
    found = campaign.store.candidates.find({"campaign": campaign.name}, fields)
    return list(found.sort("_id") if ordered else found)


def iterate_candidates(campaign: Campaign, fields: Sequence[str]) -> Iterator[Document]:
    """Yield fields of every candidate of a campaign, in any order, without keeping all in memory."""
    yield from campaign.store.candidates.find({"campaign": campaign.name}, fields)


def predicted_candidates(campaign: Campaign, fields: Sequence[str], *, role: str | None = None) -> list[Document]:
    """Read fields of all candidates (of one role) with a prediction, sorted by id."""
    query = {"campaign": campaign.name, "prediction": {"$ne": None}} | ({} if role is None else {"role": role})
    return list(campaign.store.candidates.find(query, fields).sort("_id"))


def newest_stable_candidates(campaign: Campaign, *, number: int) -> list[Document]:
    """Read the stable candidates found last, newest first."""
    found = campaign.store.candidates.find({"campaign": campaign.name, "result.stable": True}, STABLE_FIELDS)
    return list(found.sort([("result.time", -1), ("_id", 1)]).limit(number))


def candidates_by_energy(
    campaign: Campaign, part: str, energy: float, fields: Sequence[str], *, upwards: bool, limit: int
) -> list[Document]:
    """Read the candidates next above or below an energy above the hull, ties included, using an index.

    Parameters
    ----------
    part
        Whose energy: ``result`` or ``prediction``.
    energy
        eV/atom.
    upwards
        Whether to return the less stable ones.
    """
    field = f"{part}.e_above_hull"
    query: dict[str, Any] = {"campaign": campaign.name, field: {"$gte" if upwards else "$lte": energy}}
    # a candidate with a result is ranked by that, whatever was predicted
    query |= {"state": CandidateState.RELAXED} if part == "result" else {"result.e_above_hull": None}
    return list(campaign.store.candidates.find(query, fields).sort(field, 1 if upwards else -1).limit(limit))


def screened_ids_after_dos(campaign: Campaign) -> set[str]:
    """Return the ids of screened candidates whose IS-DOS has ended, successfully or not."""
    return _screened_ids(campaign, {"$nin": list(BEFORE_SCREEN)})


def screened_ids_after_relaxation(campaign: Campaign) -> set[str]:
    """Return the ids of screened candidates whose relaxation has ended, successfully or not."""
    return _screened_ids(campaign, {"$in": [CandidateState.RELAXED, CandidateState.RELAX_FAILED]})


def _screened_ids(campaign: Campaign, states: dict[str, Any]) -> set[str]:
    query = {"campaign": campaign.name, "role": SCREENED, "state": states}
    return {found["_id"] for found in campaign.store.candidates.find(query, ["_id"])}


def relaxed_structures(campaign: Campaign, fields: Sequence[str]) -> list[Document]:
    """Read fields of all relaxed candidates, then of all relaxed references."""
    query = {"campaign": campaign.name, "state": CandidateState.RELAXED}
    return list(campaign.store.find_structures(query, fields))


def crystals_of(campaign: Campaign, ids: Sequence[str]) -> dict[str, tuple[Document | None, Document | None]]:
    """Return the unrelaxed and relaxed crystal (pymatgen dictionaries or None) of candidates and references, by id."""
    found = campaign.store.find_structures({"_id": {"$in": list(ids)}}, ["structure", "relaxation.structure"])
    return {
        document["_id"]: (document.get("structure"), (document.get("relaxation") or {}).get("structure"))
        for document in found
    }


def relaxed_references(campaign: Campaign, fields: Sequence[str]) -> list[Document]:
    """Read fields of all relaxed references, sorted by id."""
    query = {"campaign": campaign.name, "state": CandidateState.RELAXED}
    return list(campaign.store.references.find(query, fields).sort("_id"))


def open_references(campaign: Campaign) -> list[Document]:
    """Read the labels of references whose relaxation has not ended, sorted by id."""
    ended = [CandidateState.RELAXED, CandidateState.RELAX_FAILED]
    query = {"campaign": campaign.name, "state": {"$nin": ended}}
    return list(campaign.store.references.find(query, ["label"]).sort("_id"))


def failed_references(campaign: Campaign) -> list[Document]:
    """Read all references with a failure, sorted by id."""
    query = {"campaign": campaign.name, "final_failure": {"$ne": None}}
    fields = ["label", "formula", "state", "rs_dos.state", "final_failure"]
    return list(campaign.store.references.find(query, fields).sort("_id"))


def newest_failed(campaign: Campaign, *, number: int) -> list[Document]:
    """Read the candidates and references that failed last, in no particular order.

    Up to `number` per collection and kind of state (that of the candidate, that of its RS-DOS).
    """
    found: list[Document] = []
    for collection in campaign.store.structures:
        for query in failed_for_good(campaign.name):
            latest = collection.find(query, ["formula", "prototype", "label", "role", "final_failure"]).sort(
                "final_failure.time", -1
            )
            found.extend(latest.limit(number))
    return found


def attempts_with_outcome(campaign: Campaign, outcomes: Collection[str]) -> Iterable[Document]:
    """Iterate over the ledger's entries with these outcomes."""
    return campaign.store.attempts.find({"campaign": campaign.name, "outcome": {"$in": list(outcomes)}})


def engine_versions(campaign: Campaign) -> set[str]:
    """Return the versions of the engine used for the campaign's results."""
    return {
        str(version)
        for collection in campaign.store.structures
        for part in ("is_dos", "relaxation", "rs_dos")
        for version in collection.distinct(f"{part}.vasp_version", {"campaign": campaign.name})
        if version is not None
    }


def reference_set_summaries(store: CampaignStore) -> Iterable[Document]:
    """Iterate over all reference sets without their entries but with the number of ``phases``, newest first."""
    fields = {"source": 1, "engine": 1, "dft.engine": 1, "corrections": 1, "created": 1}
    counted = {"$project": {**fields, "phases": {"$size": "$entries"}}}
    # other programs may use a collection of that name
    ours = {"entries": {"$type": "array"}, "source": {"$type": "string"}, "corrections": {"$type": "string"}}
    ours |= {"created": {"$type": "date"}}
    return store.reference_sets.aggregate([{"$match": ours}, counted, {"$sort": {"created": -1, "_id": 1}}])


def reference_set_summary(store: CampaignStore, checksum: str) -> Document | None:
    """Read a reference set without its entries but with the number of ``phases``; None if there is none."""
    fields = {"source": 1, "functional": 1, "corrections": 1, "file_name": 1, "sha256": 1, "database_version": 1}
    found = store.reference_sets.aggregate(
        [{"$match": {"_id": checksum}}, {"$project": {**fields, "phases": {"$size": {"$ifNull": ["$entries", []]}}}}]
    )
    return next(found, None)


def reference_sets_beginning_with(store: CampaignStore, digits: str) -> list[str]:
    """Return the checksums of reference sets that begin with these hexadecimal digits."""
    return [document["_id"] for document in store.reference_sets.find({"_id": {"$regex": f"^{digits}"}}, ["_id"])]


def campaigns_using_reference_set(store: CampaignStore, checksum: str) -> list[str]:
    """Return the names of campaigns that use or import a reference set, in alphabetical order."""
    used = {"$or": [{"reference_set": checksum}, {"imported_references": checksum}]}
    return sorted(found["_id"] for found in store.campaigns.find(used, ["_id"]))


def running_fireworks(campaign: Campaign) -> list[Document]:
    """Read a campaign's fireworks that run or are reserved in a scheduler's queue, sorted by id."""
    query = {"spec.campaign_name": campaign.name, "state": {"$in": ["RUNNING", "RESERVED"]}}
    fields = ["fw_id", "name", "state", "spec._category", "launches"]
    return list(campaign.store.database["fireworks"].find(query, fields).sort("fw_id"))


def read_firework_state(store: CampaignStore, fw_id: int | None) -> str | None:
    """Return FireWorks' state of a firework; None if it does not exist."""
    found = None if fw_id is None else store.database["fireworks"].find_one({"fw_id": fw_id}, ["state"])
    return None if found is None else str(found["state"])


def launches_by_id(store: CampaignStore, launch_ids: Sequence[int]) -> dict[int, Document]:
    """Read where and when launches run, by launch id."""
    fields = ["launch_id", "fworker.name", "host", "time_start", "state_history"]
    found = store.database["launches"].find({"launch_id": {"$in": list(launch_ids)}}, fields)
    return {launch["launch_id"]: launch for launch in found}


def fizzled_firework(campaign: Campaign) -> Document | None:
    """Read one fizzled firework that stops a campaign: a step or a recording firework.

    Returns
    -------
    dict or None
        Its ``fw_id``, ``name``, ``launches``, ``archived_launches`` and ``updated_on``, the ``reason`` of its failure
        and the ``host`` of its latest launch; None if there is none.
    """
    fireworks = campaign.store.database["fireworks"]
    fields = ["fw_id", "name", "launches", "archived_launches", "updated_on"]
    found = fireworks.find_one(fizzled_query(campaign.name), fields)
    if found is None:
        return None
    launch = campaign.store.database["launches"].find_one({"launch_id": {"$in": found["launches"][-1:]}}, ["host"])
    host = None if launch is None else launch.get("host")
    return {**found, "reason": fizzled_reason(campaign.store.database, found), "host": host}

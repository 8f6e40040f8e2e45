"""``calculation_key`` for documents of earlier versions, which lack it."""

from pymatgen.core import Structure
from pymongo import UpdateOne

from campaign.candidates.structure_hash import ID_DIGITS, calculation_key
from campaign.store.collections import SCHEMA_VERSION, CampaignStore

_PATTERN = rf"[0-9a-f]{{{ID_DIGITS}}}-[0-9a-f]{{8}}$"


def add_calculation_keys(store: CampaignStore) -> int:
    """Add the missing ``calculation_key`` of candidates and references; return how many were added.

    A candidate's id contains it, so the database adds it alone; a reference's structure has to be read.
    """
    without = {"calculation_key": None, "schema_version": SCHEMA_VERSION}
    from_id = {"$getField": {"field": "match", "input": {"$regexFind": {"input": "$_id", "regex": _PATTERN}}}}
    query = without | {"_id": {"$regex": _PATTERN}}
    candidates = store.candidates.update_many(query, [{"$set": {"calculation_key": from_id}}], hint="calculation_key_1")
    known = store.campaigns.find({"settings_hash": {"$type": "string"}}, ["settings_hash"])
    hashes: dict[str, str] = {found["_id"]: found["settings_hash"] for found in known}
    updates = [
        UpdateOne(
            {"_id": found["_id"]},
            {
                "$set": {
                    "calculation_key": calculation_key(
                        found["_id"], Structure.from_dict(found["structure"]), hashes[found["campaign"]]
                    )
                }
            },
        )
        for found in store.references.find(without, ["campaign", "structure"])
        if found["campaign"] in hashes and found.get("structure")
    ]
    references = store.references.bulk_write(updates, ordered=False).modified_count if updates else 0
    return int(candidates.modified_count + references)

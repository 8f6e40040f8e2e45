"""Migration of documents of earlier versions to the present field names.

Version 2 (0.2.0) renamed fields of candidates, references and campaigns. A campaign is migrated when it is opened for
writing: each document at most once and in one write, the campaign's own document last. An interrupted migration is thus
completed by the next one, and a second one changes nothing.
"""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from pymongo import UpdateOne
from pymongo.collection import Collection

from campaign.spec.reader import current_section
from campaign.store.collections import OUR_CAMPAIGNS, CampaignStore
from campaign.store.documents import step_parts
from campaign.store.states import CampaignState

logger = logging.getLogger(__name__)

_TO = 2
_ENERGIES = {"e_form": "e_form_per_atom", "e_hull": "e_above_hull"}
_FIELDS = {
    "dos": "is_dos",
    "failure": "final_failure",
    "last_failure": "retried_failure",
    "uncorrectable": "correction_error",
    "relaxation.continued_from": "relaxation.restarted_from",
    **{f"{part}.{old}": f"{part}.{new}" for part in ("prediction", "result") for old, new in _ENERGIES.items()},
    **{f"decision.inputs.{old}": f"decision.inputs.{new}" for old, new in _ENERGIES.items()},
}
#: The same fields inside lists, where ``$rename`` does not work.
_LISTS = {"earlier_predictions": "previous_predictions", "earlier_decisions": "previous_decisions"}


def migrate(store: CampaignStore, name: str) -> bool:
    """Bring the documents of a campaign to the present version; return whether anything had to be changed."""
    complete = {"state": {"$ne": CampaignState.IMPORTING}}
    document = store.campaigns.find_one({"_id": name, **OUR_CAMPAIGNS, **complete}, ["schema_version", "spec"])
    if document is None or document["schema_version"] >= _TO:
        return False
    store.ensure_indexes()  # on the present field names
    changed = sum(_rename_fields(collection, name) for collection in store.structures)
    for step in store.steps.find({"campaign": name, "schema_version": {"$lt": _TO}}, ["_id"]):
        parts = {**step_parts(step["_id"]), "schema_version": _TO}
        store.steps.update_one({"_id": step["_id"]}, {"$set": parts})
    spec = {section: current_section(section, content) for section, content in document["spec"].items()}
    store.campaigns.update_one(
        {"_id": name, "schema_version": {"$lt": _TO}}, {"$set": {"schema_version": _TO, "spec": spec}}
    )
    logger.info("campaign %s: %d documents migrated to schema version %d", name, changed, _TO)
    return True


def _rename_fields(collection: Collection[dict[str, Any]], name: str) -> int:
    old = {"campaign": name, "schema_version": {"$lt": _TO}}
    with_lists = {**old, "$or": [{field: {"$exists": True}} for field in (*_LISTS, "decision")]}
    updates = [_update(document) for document in collection.find(with_lists, [*_LISTS, "decision.policy"])]
    changed = collection.bulk_write(updates, ordered=False).modified_count if updates else 0
    rest = collection.update_many(old, {"$rename": _FIELDS, "$set": {"schema_version": _TO}})
    return int(changed + rest.modified_count)


def _update(document: Mapping[str, Any]) -> UpdateOne:
    """Return the update of fields that ``$rename`` cannot reach: lists, and names of policies."""
    values: dict[str, Any] = {"schema_version": _TO}
    for old, new in _LISTS.items():
        if old in document:
            values[new] = [dict(_renamed(item)) for item in document[old]]
    if "policy" in (document.get("decision") or {}):
        values["decision.policy"] = current_section("policy", document["decision"]["policy"])
    lists = {old: "" for old in _LISTS if old in document}
    update: dict[str, Any] = {"$rename": _FIELDS, "$set": values, **({"$unset": lists} if lists else {})}
    return UpdateOne({"_id": document["_id"], "schema_version": {"$lt": _TO}}, update)


def _renamed(item: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the items of a stored prediction or decision under their present names."""
    for key, value in item.items():
        if key == "inputs":
            yield key, dict(_renamed(value))
        elif key == "policy":
            yield key, current_section("policy", value)
        else:
            yield _ENERGIES.get(key, key), value

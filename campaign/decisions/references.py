"""The reference set: the phases against which formation energies and hulls are taken. Frozen once it is complete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from campaign.decisions.hull import HullSet
from campaign.store import SCHEMA_VERSION, CampaignStore, now

if TYPE_CHECKING:
    from campaign.loading import Campaign


def freeze_reference_set(store: CampaignStore, campaign: Campaign) -> str | None:
    """Store the reference set of a campaign once all its phases are computed.

    The set is immutable and named by its checksum; every decision and result carries that checksum.

    Returns
    -------
    str or None
        The checksum; None while phases are still computed, or where an element has no phase (then the campaign's
        document says which).
    """
    name = campaign.spec.name
    if (known := campaign.document.get("reference_set")) is not None:
        return str(known)
    phases = list(store.references.find({"campaign": name}).sort("_id"))
    if not phases or any(phase["state"] not in ("relaxed", "relax_failed") for phase in phases):
        return None
    entries = [_entry(phase) for phase in phases if phase["state"] == "relaxed"]
    have = {next(iter(entry["composition"])) for entry in entries if len(entry["composition"]) == 1}
    missing = sorted({symbol for phase in phases for symbol in phase["elements"]} - have)
    if missing:
        problem = reference_problem(store, name)
        store.campaigns.update_one({"_id": name}, {"$set": {"problem": problem}})
        return None
    physics = campaign.spec.dft_settings().physics()
    failed = [phase["_id"] for phase in phases if phase["state"] == "relax_failed"]
    body = {
        **{"entries": entries, "source": "computed", "functional": "PBE", "corrections": "none", "dft": physics},
        # phases that the hull lacks: candidates may look more stable than they are
        "failed": failed,
    }
    checksum = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    document = {"_id": checksum, **body, "campaign": name, "created": now(), "schema_version": SCHEMA_VERSION}
    store.insert_missing(store.reference_sets, [document])
    store.campaigns.update_one(
        {"_id": name, "reference_set": None}, {"$set": {"reference_set": checksum}, "$unset": {"problem": ""}}
    )
    return checksum


def reference_problem(store: CampaignStore, name: str) -> str | None:
    """Say what an elemental reference that failed means and what to do; None where none failed or the set is frozen."""
    failed = store.references.find_one(
        {"campaign": name, "state": "relax_failed", "elements": {"$size": 1}}, ["elements", "failure.error"]
    )
    if failed is None or store.campaigns.find_one({"_id": name, "reference_set": {"$ne": None}}) is not None:
        return None
    return (
        f"the relaxation of the elemental reference of {failed['elements'][0]} failed "
        f"({(failed.get('failure') or {}).get('error')}), so nothing that contains it gets a formation energy. "
        f"Mend the cause, then `campaign reconcile {name} --retry-failed`"
    )


def _entry(phase: Mapping[str, Any]) -> dict[str, Any]:
    relaxation = phase["relaxation"]
    return {
        "id": phase["_id"],
        "composition": dict(phase["composition"]),
        "energy": relaxation["energy"],  # eV for the composition as given
        "vasp_version": relaxation["vasp_version"],
    }


def load_hull(store: CampaignStore, checksum: str) -> HullSet:
    """Hulls of a frozen reference set.

    Raises
    ------
    ValueError
        If the stored set does not match its checksum.
    LookupError
        If there is no such set.
    """
    from pymatgen.core import Composition
    from pymatgen.entries.computed_entries import ComputedEntry

    document = store.reference_sets.find_one({"_id": checksum})
    if document is None:
        raise LookupError(f"the database has no reference set {checksum}")
    body = {key: document[key] for key in ("entries", "source", "functional", "corrections", "dft", "failed")}
    found = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    if found != checksum:
        raise ValueError(f"reference set {checksum} was altered: its checksum is now {found}")
    return HullSet(
        [
            ComputedEntry(Composition(entry["composition"]), entry["energy"], entry_id=entry["id"])
            for entry in document["entries"]
        ]
    )

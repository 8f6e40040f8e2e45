"""The reference set: the phases that formation energies and hulls refer to. Frozen once complete."""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from pymatgen.core import Composition
from pymatgen.core.entries import ComputedEntry

from campaign.hull.corrections import corrected_energies
from campaign.hull.entries_file import EntriesFile
from campaign.hull.hull import HullSet
from campaign.store.campaigns import Campaign
from campaign.store.collections import SCHEMA_VERSION, CampaignStore, Document, now
from campaign.store.reference_sets import (
    assign_reference_set,
    delete_reference_set,
    elements_not_failed,
    failed_element_phases,
    find_reference_set,
    insert_reference_set,
    phases_of,
    stored_size,
    write_uncorrectable_phase,
)
from campaign.store.states import CandidateState
from esnet.files.errors import UserError
from esnet.files.versions import installed_versions

_BESIDE_THE_CONTENT = ("_id", "campaign", "created", "schema_version", "file_name", "versions")
"""Fields of a stored set not covered by its checksum: equal phases are the same set, whatever their origin."""

_LARGEST_DOCUMENT = 15 * 1024**2
"""Bytes; MongoDB's limit is 16 MiB."""


class ReferenceSetError(UserError, ValueError):
    """A reference set cannot be stored, or is not in the database."""


class ReferenceSetLostError(UserError, LookupError):
    """A reference set is not in the database; the message says how to restore it."""


_REMEDY = (
    "`campaign reconcile NAME` rebuilds it from the campaign's own phases; if it came from a file of entries, "
    "`campaign submit FILE` reads that again; otherwise restore the collection reference_sets from a backup"
)


def store_entries(store: CampaignStore, file: EntriesFile, *, campaign: str) -> str:
    """Store the entries of a file as a reference set; repeating it changes nothing.

    Returns
    -------
    str
        Its checksum.

    Raises
    ------
    ReferenceSetError
        If it exceeds MongoDB's limit of a document.
    """
    entries = [
        {"id": entry.id, "composition": entry.composition, "energy": entry.energy}  # eV, corrections included
        for entry in sorted(file.entries, key=lambda entry: entry.id)
    ]
    body = {
        **{"entries": entries, "source": file.source, "engine": file.engine, "functional": file.functional},
        **{"functional_stated": file.functional_stated, "corrections": file.corrections, "dft": file.dft},
        **{"database_version": file.database_version, "sha256": file.sha256, "failed": []},
    }
    return _insert(store, body, campaign=campaign, file_name=file.path.name)


def freeze_reference_set(campaign: Campaign) -> str | None:
    """Store the reference set of a campaign once all its phases are computed.

    The set is immutable and named by its checksum, which is stored with every decision and result. If the references
    came from a file and the campaign computes no phases, the set of the file is used unchanged.

    Returns
    -------
    str or None
        The checksum; None while phases are being computed, or if an element has no phase
        (`campaign.attempts.blocked`).
    """
    name = campaign.name
    if (known := campaign.document.get("reference_set")) is not None:
        return str(known)
    imported = campaign.document.get("imported_references")
    phases = phases_of(campaign)
    if any(phase["state"] not in (CandidateState.RELAXED, CandidateState.RELAX_FAILED) for phase in phases):
        return None
    if not phases:
        if imported is not None:
            assign_reference_set(campaign, imported)
        return imported
    body, file_name = _computed_set(campaign, phases)
    missing = sorted({symbol for phase in phases for symbol in phase["elements"]} - _elements_of(body["entries"]))
    if missing:
        return None
    checksum = _insert(campaign.store, body, campaign=name, file_name=file_name)
    assign_reference_set(campaign, checksum)
    return checksum


def restore_reference_set(campaign: Campaign) -> str | None:
    """Rebuild a campaign's frozen reference set from its phases if it is lost or altered.

    Returns
    -------
    str or None
        What was done, in one sentence; None if the set is intact.

    Raises
    ------
    ReferenceSetError, ReferenceSetLostError
        If it cannot be rebuilt.
    """
    checksum = campaign.document.get("reference_set")
    if checksum is None:
        return None
    try:
        stored_set(campaign.store, checksum)
    except (ReferenceSetError, ReferenceSetLostError):
        phases = phases_of(campaign)
        body, file_name = _computed_set(campaign, phases) if phases else ({}, None)
        if _checksum(body) != checksum:
            raise
        _insert(campaign.store, body, campaign=campaign.name, file_name=file_name)
        return f"the reference set {checksum} was lost or altered; it is rebuilt from its {len(phases)} phases"
    return None


def _computed_set(campaign: Campaign, phases: Collection[Mapping[str, Any]]) -> tuple[dict[str, Any], str | None]:
    """Return the reference set of a campaign's phases and those of a file, if any, and the file's name."""
    imported = campaign.document.get("imported_references")
    beside = {} if imported is None else stored_set(campaign.store, imported)
    scheme = beside.get("corrections") or campaign.spec.references.corrections or "none"
    entries, uncorrectable = _computed_entries(campaign.store, phases, scheme)
    every = [*beside.get("entries", []), *entries]
    # phases missing from the hull: candidates may look more stable than they are
    failed = [phase["_id"] for phase in phases if phase["state"] == CandidateState.RELAX_FAILED]
    settings = campaign.spec.dft_settings()
    body = {
        **{"source": "computed", "engine": settings.engine, "functional": "PBE", "corrections": scheme},
        **{key: value for key, value in beside.items() if key not in _BESIDE_THE_CONTENT},
        **{"entries": every, "dft": settings.physics(), "failed": sorted([*failed, *uncorrectable])},
    }
    if imported is not None:
        body["own_phases"] = [entry["id"] for entry in entries]
    return body, beside.get("file_name")


def _insert(store: CampaignStore, body: Mapping[str, Any], *, campaign: str, file_name: str | None) -> str:
    checksum = _checksum(body)
    document = {"_id": checksum, **body, "campaign": campaign, "created": now(), "schema_version": SCHEMA_VERSION}
    document |= {"file_name": file_name, "versions": installed_versions("pymatgen", "esnet-campaign")}
    if (size := stored_size(document)) > _LARGEST_DOCUMENT:
        raise ReferenceSetError(
            f"{len(body['entries'])} reference phases take {size / 1024**2:.1f} MiB, and the database takes "
            f"{_LARGEST_DOCUMENT / 1024**2:.0f} MiB at most; leave phases far above the hull out of the entries file, "
            "or divide the campaign by its elements"
        )
    known = find_reference_set(store, checksum)
    if known is not None and _checksum(known) != checksum:
        delete_reference_set(store, checksum)
    insert_reference_set(store, document)
    return checksum


def _checksum(document: Mapping[str, Any]) -> str:
    body = {key: value for key, value in document.items() if key not in _BESIDE_THE_CONTENT}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _elements_of(entries: Collection[Mapping[str, Any]]) -> set[str]:
    """Return the elements with an elemental phase."""
    return {next(iter(entry["composition"])) for entry in entries if len(entry["composition"]) == 1}


def _computed_entries(
    store: CampaignStore, phases: Collection[Mapping[str, Any]], scheme: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return entries of the relaxed phases, and the ids of those that the correction scheme cannot treat."""
    relaxed = [phase for phase in phases if phase["state"] == CandidateState.RELAXED]
    entries, uncorrectable = [], []
    for phase, corrected in zip(relaxed, corrected_energies(relaxed, scheme), strict=True):
        if corrected.energy is None:
            uncorrectable.append(phase["_id"])
            reason = {"scheme": scheme, "reason": corrected.reason}
            write_uncorrectable_phase(store, phase["_id"], reason)
            continue
        entries.append(
            {
                "id": phase["_id"],
                "composition": dict(phase["composition"]),
                "energy": corrected.energy,  # eV for the composition as given
                "vasp_version": phase["relaxation"]["vasp_version"],
            }
        )
    return entries, uncorrectable


def failed_elements(campaign: Campaign) -> list[Document]:
    """Return the failed elemental phases without which no reference set can be frozen.

    An element that has another phase, relaxed or to be relaxed, or one in the file of entries, needs none of them.
    """
    if campaign.document.get("reference_set") is not None or not (failed := failed_element_phases(campaign)):
        return []
    have = elements_not_failed(campaign)
    if (imported := campaign.document.get("imported_references")) is not None:
        have |= _elements_of((find_reference_set(campaign.store, imported, ["entries"]) or {}).get("entries", []))
    return [phase for phase in failed if phase["elements"][0] not in have]


def stored_set(store: CampaignStore, checksum: str) -> Document:
    """Return a frozen reference set as stored.

    Raises
    ------
    ValueError
        If the stored set does not match its checksum.
    LookupError
        If there is no such set.
    """
    document = find_reference_set(store, checksum)
    if document is None:
        raise ReferenceSetLostError(f"the database has no reference set {checksum}; {_REMEDY}")
    if (found := _checksum(document)) != checksum:
        raise ReferenceSetError(f"reference set {checksum} was altered: its checksum is now {found}; {_REMEDY}")
    return document


def correction_scheme(store: CampaignStore, checksum: str) -> str:
    """Return the correction scheme of a frozen reference set, required of all energies compared with it.

    Raises
    ------
    LookupError
        If there is no such set.
    """
    document = find_reference_set(store, checksum, ["corrections"])
    if document is None:
        raise ReferenceSetLostError(f"the database has no reference set {checksum}; {_REMEDY}")
    return str(document["corrections"])


def load_hull(store: CampaignStore, checksum: str, *, elements: Collection[str] | None = None) -> HullSet:
    """Return the hulls of a frozen reference set.

    Parameters
    ----------
    elements
        Load only phases made of these. If None, all. Large sets are loaded faster for few elements.

    Raises
    ------
    ValueError
        If the stored set does not match its checksum.
    LookupError
        If there is no such set.
    """
    return hull_of_set(stored_set(store, checksum), elements=elements)


def hull_of_set(document: Mapping[str, Any], *, elements: Collection[str] | None = None) -> HullSet:
    """Return the hulls of a reference set returned by `stored_set`; see `load_hull`."""
    entries = document["entries"]
    if elements is not None:
        wanted = set(elements)
        entries = [entry for entry in entries if entry["composition"].keys() <= wanted]
    return HullSet(
        [ComputedEntry(Composition(entry["composition"]), entry["energy"], entry_id=entry["id"]) for entry in entries]
    )


def relaxed_formation_energies(
    store: CampaignStore, checksum: str, documents: Collection[Mapping[str, Any]]
) -> dict[str, float]:
    """Return the formation energies of relaxed documents relative to a frozen set, with its corrections.

    Parameters
    ----------
    documents
        Candidates or references with the fields of `campaign.hull.corrections.relaxed_fields`.

    Returns
    -------
    dict of float
        eV/atom by id; those that the correction scheme cannot treat are left out.
    """
    corrected = corrected_energies(documents, correction_scheme(store, checksum))
    energies = {
        document["_id"]: (Composition(document["composition"]), found.energy)
        for document, found in zip(documents, corrected, strict=True)
        if found.energy is not None
    }
    elements = {symbol for document in documents for symbol in document["composition"]}
    formation = load_hull(store, checksum, elements=elements).formation_energies(
        [composition for composition, _ in energies.values()], [energy for _, energy in energies.values()]
    )
    return {name: float(energy) for name, energy in zip(energies, formation, strict=True)}

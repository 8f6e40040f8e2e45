"""Relaxed crystals of a campaign and the phases of its hulls as entries for pymatgen."""

import gzip
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

from campaign.hull.corrections import RELAXED_FIELDS, corrected_energies
from campaign.hull.entry import MP2020_MARK
from campaign.references.entries_export import exported_entry, refuse_entries_file
from campaign.references.reference_sets import stored_set
from campaign.store.campaigns import Campaign
from campaign.store.candidates import candidates_by_id
from campaign.store.collections import Document, in_chunks
from campaign.store.listings import relaxed_references
from campaign.views.export.full_rows import AT_ONCE
from campaign.views.export.selection import Which, plain_structure, selected_rows
from campaign.views.results import Row
from esnet.files.atomic import whole_file
from esnet.files.errors import UserError

_FIELDS = (*RELAXED_FIELDS, "relaxation.vasp_version", "relaxation.potcars")
_ADJUSTMENT = MP2020_MARK | {"name": "MP2020 corrections"}


class NoReferenceSetError(UserError, LookupError):
    """The campaign's references are still being computed, so that energies have no zero yet."""


def campaign_entries(campaign: Campaign, *, which: Which = "relaxed") -> Iterator[dict[str, Any]]:
    """Yield dictionaries of pymatgen entries: the phases of the reference set, then the campaign's relaxed crystals.

    Energies are total energies in eV as computed, with the corrections of the campaign's scheme as energy adjustments,
    so that all values of ``entry.energy`` are valid in one hull. ``data.role`` says ``reference`` or ``candidate``; for
    a candidate, ``data`` also has E_f and E_hull in eV/atom, relative to the phases alone. A phase that came from a
    file is a ComputedEntry whose energy contains the corrections; all others are ComputedStructureEntry.

    Parameters
    ----------
    which
        ``stable`` or ``relaxed`` candidates. Those that the corrections cannot treat are left out.

    Raises
    ------
    NoReferenceSetError
        If the reference set is not frozen yet.
    NothingToExportError
        If there is no such candidate.
    """
    checksum = campaign.document.get("reference_set")
    if checksum is None:
        raise NoReferenceSetError(
            f"the references of campaign {campaign.name!r} are still being computed, so no energy can be compared "
            f"with them; see `campaign status {campaign.name}`"
        )
    rows = [row for row in selected_rows(campaign, which) if row.e_form_dft is not None]
    phases = stored_set(campaign.store, checksum)
    yield from _phases(campaign, phases)
    for part in in_chunks(rows, AT_ONCE):
        documents = candidates_by_id(campaign.store, [row.id for row in part], _FIELDS)
        for row in part:
            document = documents.get(row.id)
            if document is not None and (found := _entry(document, phases, _candidate_data(campaign, row))):
                yield found


def write_entries(campaign: Campaign, file: Path, *, which: Which = "relaxed") -> int:
    """Write `campaign_entries` as a JSON list, one entry a line, packed for a name that ends in ``.gz``.

    `monty.serialization.loadfn` reads it, and so does ``references.entries`` of another campaign.

    Returns
    -------
    int
        Number of entries.

    Raises
    ------
    EntriesFileError
        If the file exists, or its name has another format.
    """
    refuse_entries_file(file)
    number = 0
    with whole_file(file) as temporary, _text_file(temporary, packed=file.suffix == ".gz") as stream:
        for number, entry in enumerate(campaign_entries(campaign, which=which), start=1):
            stream.write(f"{'[' if number == 1 else ','}\n{json.dumps(entry, allow_nan=False)}")
        stream.write("\n]\n")
    return number


def _text_file(path: Path, *, packed: bool) -> IO[str]:
    """Return a text file open for writing; packed files are reproducible byte by byte."""
    if not packed:
        return path.open("w", encoding="utf-8")
    return io.TextIOWrapper(cast("IO[bytes]", gzip.GzipFile(path, "wb", mtime=0)), encoding="utf-8")


def _phases(campaign: Campaign, phases: Document) -> Iterator[dict[str, Any]]:
    own = {phase["_id"]: phase for phase in relaxed_references(campaign, _FIELDS)}
    for entry in phases["entries"]:
        data = {"role": "reference", "reference_set": phases["_id"], "corrections": phases["corrections"]}
        computed = own.get(entry["id"])
        found = None if computed is None else _entry(computed, phases, data)
        if found is None:
            found = exported_entry(entry, phases["corrections"])
            found["parameters"] |= {"engine": phases["engine"]} if phases.get("engine") else {}
            found["data"] = data
        yield found


def _entry(document: Mapping[str, Any], phases: Document, data: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a relaxed document as an entry, or None if the scheme cannot treat it or its structure is not stored."""
    relaxation = document["relaxation"]
    (corrected,) = corrected_energies([document], phases["corrections"])
    if corrected.energy is None or not relaxation.get("structure"):
        return None
    energy, hubbards = float(relaxation["energy"]), relaxation.get("hubbards") or {}
    correction = corrected.energy - energy
    parameters = {"run_type": "GGA+U" if hubbards else "GGA", "is_hubbard": bool(hubbards), "hubbards": hubbards}
    parameters |= {"potcar_spec": relaxation.get("potcars") or [], "vasp_version": relaxation.get("vasp_version")}
    if phases.get("engine"):
        parameters["engine"] = phases["engine"]
    return {
        "@module": "pymatgen.core.entries",
        "@class": "ComputedStructureEntry",
        "entry_id": document["_id"],
        "composition": dict(document["composition"]),
        "energy": energy,
        "correction": correction,
        "energy_adjustments": [_ADJUSTMENT | {"value": correction}] if phases["corrections"] == "mp2020" else [],
        "parameters": parameters,
        "data": dict(data),
        "structure": plain_structure(relaxation["structure"]).as_dict(),
    }


def _candidate_data(campaign: Campaign, row: Row) -> dict[str, Any]:
    return {
        "role": "candidate",
        "campaign": campaign.name,
        "formula": row.formula,
        "prototype": row.prototype,
        "e_form_per_atom": row.e_form_dft,
        "e_above_hull": row.e_hull_dft,
        "stable": row.stable,
        "reference_set": campaign.reference_set,
        "corrections": row.corrections,
    }

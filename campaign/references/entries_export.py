"""Write files of entries for use as references: from the Materials Project, or from a stored set."""

import gzip
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from campaign.candidates.elements import check_element
from campaign.hull.entries_format import EntriesFileError
from campaign.hull.entry import MP2020_MARK
from campaign.store.collections import Document
from esnet.files.atomic import whole_file
from esnet.sources.materials_project_client import MaterialsProjectClient

_MOST_SYSTEMS = 20_000


def fetch_entries(
    path: Path, *, elements: Sequence[str], max_elements: int | None = None, endpoint: str | None = None
) -> int:
    """Write the Materials Project's entries made of some elements; return their number.

    Structures are left out, since a hull needs only compositions and energies.

    Parameters
    ----------
    path
        A file .json or .json.gz that does not exist yet.
    elements
        Symbols; no f-block elements.
    max_elements
        Leave out phases with more elements. If None, all are kept. A hull is complete for candidates with at most this
        many.
    endpoint
        Address of the REST interface. If None, MP_API_ENDPOINT or the public one.

    Raises
    ------
    ElementError
        If a symbol is not an element that a campaign can treat.
    EntriesFileError
        If the file exists, has another ending, or nothing was found.
    MaterialsProjectError
        If the service cannot be used or does not respond.
    """
    refuse_entries_file(path)
    symbols = sorted({check_element(symbol) for symbol in elements})
    limit = min(max_elements or len(symbols), len(symbols))
    systems = _systems(path, symbols, limit)
    with MaterialsProjectClient(endpoint=endpoint) as client:
        entries = [_without_structure(entry) for entry in client.entries(systems)]
        version = client.database_version
    if not entries:
        raise EntriesFileError(path, [f"not written: the Materials Project has no entries of {', '.join(symbols)}"])
    header = {"source": "materials-project", "database_version": version, "engine": "vasp", "corrections": "mp2020"}
    _write_entries(path, header | {"elements": symbols, "max_elements": limit}, entries)
    return len(entries)


def _systems(path: Path, symbols: Sequence[str], limit: int) -> list[str]:
    number = sum(math.comb(len(symbols), size) for size in range(1, limit + 1))
    if number > _MOST_SYSTEMS:
        raise EntriesFileError(
            path,
            [
                f"not written: {len(symbols)} elements make {number} chemical systems; give the largest number of "
                "elements in your candidates with --max-elements, e.g. --max-elements 2"
            ],
        )
    return ["-".join(chosen) for size in range(1, limit + 1) for chosen in combinations(symbols, size)]


def _without_structure(entry: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in entry.items() if key != "structure"}
    return plain | {"@module": "pymatgen.core.entries", "@class": "ComputedEntry"}


def export_set(document: Document, path: Path) -> None:
    """Write a stored reference set as a file of entries, for campaigns of another database.

    Raises
    ------
    EntriesFileError
        If the file exists or has another ending.
    """
    refuse_entries_file(path)
    keys = ("source", "engine", "functional", "corrections", "database_version", "dft")
    # a set of an earlier version has its engine among its settings
    known = {"engine": (document.get("dft") or {}).get("engine")} | document
    header = {key: known[key] for key in keys if known.get(key) is not None}
    _write_entries(path, header, (exported_entry(entry, document["corrections"]) for entry in document["entries"]))


def exported_entry(entry: Mapping[str, Any], corrections: str) -> dict[str, Any]:
    """Return a phase of a stored set as a dictionary of pymatgen's ComputedEntry."""
    return {
        "@module": "pymatgen.core.entries",
        "@class": "ComputedEntry",
        "entry_id": entry["id"],
        "composition": entry["composition"],
        "energy": entry["energy"],
        "correction": 0.0,
        # energies of a set include their corrections; an adjustment of zero names their scheme
        "energy_adjustments": [MP2020_MARK] if corrections == "mp2020" else [],
        "parameters": {"run_type": "GGA"},
        "data": {},
    }


def _write_entries(path: Path, header: Mapping[str, Any], entries: Iterator[dict[str, Any]] | list[Any]) -> None:
    """Write the object form atomically."""
    content = json.dumps({**header, "entries": list(entries)}).encode()
    if path.suffix == ".gz":
        content = gzip.compress(content, mtime=0)  # equal content makes an equal file
    with whole_file(path) as temporary:
        temporary.write_bytes(content)
        refuse_entries_file(path)


def refuse_entries_file(path: Path) -> None:
    """Raise EntriesFileError if a file of entries cannot be written there."""
    if not path.name.endswith((".json", ".json.gz")):
        raise EntriesFileError(path, ["right: a name that ends in .json or .json.gz"])
    if path.exists():
        raise EntriesFileError(path, ["already exists and is not overwritten; give another name"])
    if not path.resolve().parent.is_dir():
        raise EntriesFileError(path, [f"the folder {path.resolve().parent} does not exist"])

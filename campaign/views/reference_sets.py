"""Reference sets and files of entries, as text and tables."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from rich.table import Table

from campaign.config.wording import format_count
from campaign.hull.entries_file import EntriesFile
from campaign.references.reference_sets import ReferenceSetError, stored_set
from campaign.store.collections import CampaignStore, Document
from campaign.store.listings import (
    campaigns_using_reference_set,
    reference_set_summaries,
    reference_sets_beginning_with,
)

_MOST_SYSTEMS = 12


def format_entries_file(file: EntriesFile) -> Iterator[str]:
    """Yield the content of a file of entries as lines of text, one per field."""
    yield format_count(len(file.entries), "entry", "entries") + (
        f"; {file.n_f_block} more contain f-block elements and are never used" if file.n_f_block else ""
    )
    yield f"chemical systems: {_systems([entry.composition for entry in file.entries])}"
    elemental = sorted(file.reference_elements)
    yield f"elemental references: {', '.join(elemental) or 'none'}"
    yield f"engine: {file.engine}"
    yield f"functional: {file.functional}" + ("" if file.functional_stated else " (nothing else stated)")
    yield f"corrections: {file.corrections}"
    version = f", database version {file.database_version}" if file.database_version else ""
    yield f"source: {file.source}{version}"
    if file.max_elements is not None:
        yield f"fetched with at most {file.max_elements} elements per phase"
    yield f"SHA-256: {file.sha256}"


def _systems(compositions: Collection[Mapping[str, float]]) -> str:
    counts = Counter("-".join(sorted(composition)) for composition in compositions)
    shown = [f"{system} {count}" for system, count in counts.most_common(_MOST_SYSTEMS)]
    more = f", and {len(counts) - _MOST_SYSTEMS} more" if len(counts) > _MOST_SYSTEMS else ""
    return f"{len(counts)} ({', '.join(shown)}{more})" if counts else "none"


def sets_table(store: CampaignStore) -> Table:
    """Return the table of all reference sets of a database, the newest first."""
    table = Table(box=None, title="reference sets", title_justify="left", padding=(0, 2, 0, 0))
    for heading in ("checksum", "source", "engine", "corrections", "phases", "campaigns", "created"):
        table.add_column(heading, justify="right" if heading == "phases" else "left", no_wrap=heading == "checksum")
    for document in reference_set_summaries(store):
        table.add_row(
            document["_id"][:16],
            document["source"],
            _engine(document),
            document["corrections"],
            str(document["phases"]),
            ", ".join(campaigns_using_reference_set(store, document["_id"])) or "none",
            f"{document['created']:%Y-%m-%d %H:%M}",
        )
    return table


def _engine(document: Document) -> str:
    """Return the engine of a set; sets of earlier versions have it among their settings."""
    return str(document.get("engine") or (document.get("dft") or {}).get("engine"))


def find_set(store: CampaignStore, beginning: str) -> Document:
    """Return the only set whose checksum starts with `beginning`.

    Raises
    ------
    ReferenceSetError
        If there is none or more than one, or the stored set was altered.
    """
    given = beginning.strip().lower()
    if not given or any(digit not in "0123456789abcdef" for digit in given):
        raise ReferenceSetError(
            f"{beginning!r} is not a checksum; right: hexadecimal digits, as listed by `campaign references list`"
        )
    found = reference_sets_beginning_with(store, given)
    if len(found) != 1:
        number = f"{len(found)} reference sets begin with" if found else "there is no reference set"
        raise ReferenceSetError(f"{number} {given}; see `campaign references list`")
    try:
        return stored_set(store, found[0])
    except ValueError as error:
        raise ReferenceSetError(str(error)) from error


def format_reference_set(store: CampaignStore, document: Document) -> Iterator[str]:
    """Yield the content of a stored set as lines of text, one per field."""
    known: Mapping[str, Any] = document
    yield f"checksum: {document['_id']} (verified)"
    version = f", database version {known['database_version']}" if known.get("database_version") else ""
    yield f"source: {known['source']}{version}"
    if known.get("sha256"):
        yield f"file: {known.get('file_name')}, SHA-256 {known['sha256']}"
    yield f"engine: {_engine(document)}"
    stated = "" if known.get("functional_stated", True) else " (nothing else stated)"
    yield f"functional: {known['functional']}{stated}"
    yield f"corrections: {known['corrections']}"
    yield f"chemical systems: {_systems([entry['composition'] for entry in known['entries']])}"
    yield f"phases: {len(known['entries'])}"
    if known.get("own_phases"):
        yield f"of which computed by the campaign: {', '.join(known['own_phases'])}"
    if known.get("failed"):
        yield f"failed, so the hull lacks them: {', '.join(known['failed'])}"
    if known.get("versions"):
        yield "versions: " + ", ".join(f"{name} {number}" for name, number in sorted(known["versions"].items()))
    yield f"used by: {', '.join(campaigns_using_reference_set(store, document['_id'])) or 'none'}"

"""Add crystals as further candidates to a running or finished campaign, with the campaign's settings."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymatgen.core import Composition, Structure
from pymongo.client_session import ClientSession

from campaign.candidates.generate import Candidate
from campaign.candidates.given.crystals import GivenCrystal, LeftOut
from campaign.candidates.given.duplicates import KnownCrystal
from campaign.candidates.given.reading import OnProgress, Reading
from campaign.candidates.packed import PackedCrystal
from campaign.candidates.structure_text import Reason
from campaign.config.wording import format_count
from campaign.hull.entries_file import EntriesFile
from campaign.references.reference_sets import store_entries, stored_set
from campaign.spec.given import candidates_of, known_crystal, refuse_mixtures, usable_crystals
from campaign.spec.reference_checks import campaign_entries
from campaign.steps.start import (
    candidate_documents,
    elements_of,
    left_out_documents,
    reference_documents,
    source_document,
)
from campaign.store.additions.candidates import (
    absent_ids,
    append_candidates,
    append_references,
    candidates_of_formulas,
    open_steps_of_sets,
)
from campaign.store.campaigns import OpenCampaign
from campaign.store.candidates import insert_left_out
from campaign.store.changes.events import record_event
from campaign.store.changes.refusal import refuse_changes
from campaign.store.collections import in_chunks, now
from campaign.store.documents import AdditionDocument
from campaign.store.held import lock_budget
from campaign.store.reference_sets import phases_of
from esnet.files.errors import UserError

_CHUNK = 1000
"""Candidates per transaction; MongoDB aborts transactions after 60 s."""


class AdditionError(UserError, ValueError):
    """Candidates cannot be added to the campaign now."""


@dataclass(frozen=True, kw_only=True)
class Added:
    """Result of adding crystals to a campaign.

    Attributes
    ----------
    name
        Name of the campaign.
    n_read, n_added
        Number of crystals read, and of candidates added.
    left_out
        The remaining crystals, including those that are already candidates.
    new_elements
        Elements whose references are computed first.
    """

    name: str
    n_read: int
    n_added: int
    left_out: tuple[LeftOut, ...]
    new_elements: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """One-sentence summary."""
        counts = Counter(str(each.reason) for each in self.left_out)
        listed = ", ".join(f"{number} {reason}" for reason, number in counts.most_common())
        first = f"; references of {', '.join(self.new_elements)} are computed first" if self.new_elements else ""
        return (
            f"campaign {self.name}: {self.n_added} of {self.n_read} crystals added"
            f"{f'; left out: {listed}' if listed else ''}{first}"
        )


def add_candidates(
    campaign: OpenCampaign, found: Reading, *, rescale: str | None = None, on_progress: OnProgress | None = None
) -> Added:
    """Add crystals as candidates; those that exist are left out, so repeating it adds nothing.

    A finished campaign resumes. References for elements that the campaign's reference set lacks are computed first, and
    the set is frozen again with them. Earlier results do not change, because the new set adds no phase in their
    chemical systems.

    Parameters
    ----------
    found
        The crystals.
    rescale
        How the crystals were rescaled, for the record.

    Raises
    ------
    AdditionError
        If a step that uses the campaign's reference set is under way.
    NoChangesError
        If the campaign is starting or archived.
    CampaignFileError
        If the crystals' elements cannot be treated together.
    """
    campaign = campaign.refresh()
    refuse_changes(campaign)
    spec = campaign.spec
    usable, refused = usable_crystals(spec, found)
    candidates, duplicates = candidates_of(spec, usable, known=list(_known(campaign, usable)), on_progress=on_progress)
    left_out = (*found.left_out, *refused, *duplicates)
    new_elements: tuple[str, ...] = ()
    if candidates:
        elements = elements_of(candidates)
        refuse_mixtures(spec, sorted({*elements, *_elements_with_reference(campaign)}), campaign=campaign)
        new_elements = _add_references(campaign, elements)
    addition: AdditionDocument = {
        "id": _addition_id(found, rescale),
        "time": now(),
        "sources": [source_document(source) for source in found.sources],
        "n_left_out": len(left_out),
        "rescale": rescale,
    }
    n_added = sum(_append(campaign, chunk, addition) for chunk in in_chunks(candidates, _CHUNK))
    # crystals that are already candidates are not recorded as left out
    insert_left_out(
        campaign.store,
        left_out_documents(campaign.name, [each for each in left_out if each.reason != Reason.DUPLICATE]),
    )
    n_read = sum(source.n_read for source in found.sources)
    return Added(name=campaign.name, n_read=n_read, n_added=n_added, left_out=left_out, new_elements=new_elements)


def _addition_id(found: Reading, rescale: str | None) -> str:
    content = [rescale, [source.sha256 for source in found.sources]]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _known(campaign: OpenCampaign, crystals: Sequence[GivenCrystal]) -> Iterator[KnownCrystal]:
    """Yield the campaign's candidates with the formula of one of the crystals."""
    formulas = {Composition(each.crystal.composition()).reduced_formula for each in crystals}
    for document in candidates_of_formulas(campaign, formulas):
        label = (document.get("parent") or {}).get("name") or f"{document['formula']}:{document['prototype']}"
        crystal = PackedCrystal.of(Structure.from_dict(document["structure"]))
        yield known_crystal(document["_id"], str(label), crystal)


def _append(campaign: OpenCampaign, candidates: Sequence[Candidate], addition: AdditionDocument) -> int:
    """Add a chunk of the candidates in one transaction; return how many were new."""
    spec = campaign.spec
    size = spec.screening.batch_size

    def append(session: ClientSession) -> int:
        document = lock_budget(campaign, session)
        absent = absent_ids(campaign, [candidate.id for candidate in candidates], session)
        new = [candidate for candidate in candidates if candidate.id in absent]
        if not new:
            return 0
        trained_on = {candidate.id for candidate in new} if spec.purpose == "training_set" else set()
        n_screened = len(new) - len(trained_on)
        sizes = [min(size, n_screened - place) for place in range(0, n_screened, size)]
        first_batch = len(document["batch_sizes"])
        documents = list(candidate_documents(spec, new, trained_on, first_batch=first_batch))
        append_candidates(campaign, documents, sizes, addition, session)
        if all(earlier["id"] != addition["id"] for earlier in document.get("additions") or []):
            sources = ", ".join(source["path"] for source in addition["sources"])
            record_event(campaign, "add", {"text": f"candidates from {sources}"}, session)
        return len(new)

    return campaign.store.in_transaction(append)


def _elements_with_reference(campaign: OpenCampaign) -> set[str]:
    """Return the elements with an elemental phase, computed by the campaign or from its file of entries."""
    elements = {phase["elements"][0] for phase in phases_of(campaign) if len(phase["elements"]) == 1}
    if (imported := campaign.document.get("imported_references")) is not None:
        entries = stored_set(campaign.store, imported)["entries"]
        elements |= {symbol for each in entries for symbol in each["composition"] if len(each["composition"]) == 1}
    return elements


def _refuse_changed_entries(file: EntriesFile, stored: Mapping[str, Any]) -> None:
    """Refuse a file of entries that has changed, since it would change the hulls of earlier candidates."""
    elements = {symbol for entry in stored["entries"] for symbol in entry["composition"]}
    before = {entry["id"]: entry["energy"] for entry in stored["entries"]}
    now_there = {entry.id: entry.energy for entry in file.entries if elements.issuperset(entry.composition)}
    changed = sorted(key for key in before.keys() | now_there.keys() if before.get(key) != now_there.get(key))
    if changed or file.corrections != stored["corrections"]:
        found = (
            f"{format_count(len(changed), 'entry', 'entries')} "
            f"({', '.join(changed[:3])}{' ...' if changed[3:] else ''})"
            if changed
            else ""
        )
        what = found or f"corrections {file.corrections!r} instead of {stored['corrections']!r}"
        raise AdditionError(
            f"references.entries: {file.path} has changed since the campaign was started: {what} among the elements "
            f"{', '.join(sorted(elements))}; right: the original file, with phases of additional elements only, or "
            "another campaign"
        )


def _add_references(campaign: OpenCampaign, elements: Sequence[str]) -> tuple[str, ...]:
    """Add references for elements without one, and have the reference set frozen again with them."""
    spec = campaign.spec
    known = _elements_with_reference(campaign)
    new = tuple(symbol for symbol in elements if symbol not in known)
    if not new:
        return ()
    every = sorted({*known, *new})
    entries = campaign_entries(spec, every)
    if entries is not None and (earlier := campaign.document.get("imported_references")) is not None:
        _refuse_changed_entries(entries, stored_set(campaign.store, earlier))
    there = {phase["_id"] for phase in phases_of(campaign)}
    # the phases of earlier elements remain those the campaign was started with, whatever the folder contains now
    documents = [
        each
        for each in reference_documents(spec, every)
        if each["_id"] not in there and not known.issuperset(each["elements"])
    ]
    if campaign.document.get("model") is not None:
        for document in documents:
            document.pop("rs_dos", None)  # the model is already trained
    imported = None if entries is None else store_entries(campaign.store, entries, campaign=campaign.name)

    def append(session: ClientSession) -> None:
        lock_budget(campaign, session)
        if under_way := open_steps_of_sets(campaign, session):
            raise AdditionError(
                f"campaign {campaign.name!r} has no reference of {', '.join(new)} yet, and {', '.join(under_way)} is "
                "in progress with the current reference set; right: repeat the command when that is done, or add only "
                "crystals of the campaign's elements"
            )
        append_references(campaign, documents, imported, session)

    campaign.store.in_transaction(append)
    return new

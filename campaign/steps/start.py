"""Turn a campaign file into documents: the campaign, its references and its candidates."""

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pymatgen.core import Structure

from campaign.candidates.generate import Candidate, bootstrap_sample
from campaign.candidates.given.crystals import LeftOut
from campaign.candidates.given.reading import SourceRecord, forget_reading
from campaign.candidates.structure_hash import calculation_key
from campaign.config.wording import format_count
from campaign.hull.entries_file import EntriesFile
from campaign.references.phases import reference_phases
from campaign.references.reference_sets import store_entries
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.given import MadeCandidates, make_candidates
from campaign.spec.reference_checks import campaign_entries
from campaign.steps.same_settings import CampaignExistsError, refuse_other_settings, settings_note
from campaign.store.additions.candidates import are_all_stored
from campaign.store.campaigns import find_start_settings, insert_campaign, mark_as_running
from campaign.store.candidates import insert_candidates, insert_left_out, insert_references
from campaign.store.collections import SCHEMA_VERSION, CampaignStore, now
from campaign.store.documents import CampaignDocument, CandidateDocument, LeftOutDocument, ModelSummary, SourceDocument
from campaign.store.migration import migrate
from campaign.store.models import model_summary, register_bundle, register_graph_bundle, store_lost_bundle
from campaign.store.reference_sets import find_reference_set
from campaign.store.reuse.keys import add_calculation_keys
from campaign.store.states import (
    BOOTSTRAP,
    REFERENCE,
    SCREENED,
    TRAINING,
    CampaignState,
    CandidateState,
    PrefilterState,
    RsDosState,
)
from esnet.bundle.shipped import bundle_folder
from esnet.files.errors import UserError

logger = logging.getLogger(__name__)


class NoCandidatesError(UserError, ValueError):
    """Every crystal was left out."""


class BootstrapSizeError(UserError, ValueError):
    """The sample that trains the model leaves no candidate to screen."""


@dataclass(frozen=True, kw_only=True)
class Started:
    """Result of starting a campaign.

    Attributes
    ----------
    name
        Name of the campaign.
    added, known
        Number of candidates added, and of those that existed already.
    note
        Settings in which the file differs from those in force, or None.
    left_out
        Summary, by reason, of the crystals of ``candidates.as_given`` that are not candidates; may be empty.
    changed
        Sources whose content has changed since the campaign was started, without other candidates.
    message
        One-sentence summary.
    """

    name: str
    added: int
    known: int
    note: str | None = None
    left_out: str = ""
    changed: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """One-sentence summary, with the note."""
        note = f"; left out: {self.left_out}" if self.left_out else ""
        if self.changed:
            note += f"; {', '.join(self.changed)} has changed since the start, but the candidates are the same"
        if self.note:
            note += f"; {self.note}"
        if not self.added:
            return f"campaign {self.name}: all {self.known} candidates exist already; nothing was added{note}"
        there = f", {self.known} existed already" if self.known else ""
        return f"campaign {self.name}: {format_count(self.added, 'candidate')} added{there}{note}"


def write_campaign(
    store: CampaignStore, spec: CampaignSpec, *, worker: str | None = None, made: MadeCandidates | None = None
) -> Started:
    """Store a campaign, ready to be advanced. Repeating it adds nothing.

    Parameters
    ----------
    made
        The candidates, if already generated.
    worker
        Name of the only FireWorker that takes its fireworks. If None, any. An existing campaign keeps its own.

    Raises
    ------
    CampaignExistsError
        If a campaign of that name was started with other settings; lists the differences.
    CampaignFileError
        If its file of entries cannot be used.
    """
    store.ensure_indexes()
    add_calculation_keys(store)
    given, spec = spec, _with_its_built_in_data(store, spec)
    made = make_candidates(spec) if made is None or spec.built_in != given.built_in else made
    candidates, relaxed = divide_candidates(spec, made)
    elements = elements_of(candidates)
    entries = campaign_entries(spec, elements)
    references = list(reference_documents(spec, elements))
    checksum = _structures_checksum(candidates, references, entries)
    migrate(store, spec.name)
    known = find_start_settings(store, spec.name)
    changed: tuple[str, ...] = ()
    if known is None:
        model = _register_given_model(store, spec) if spec.model.bundle is not None else None
        document = _campaign_document(spec, len(candidates) - len(relaxed), model)
        if bundles := [path for scorer in spec.scorers() for path in scorer.bundles()]:
            document["scorer_bundles"] = [register_graph_bundle(store, path) for path in bundles]
        if made.sources:
            document["sources"] = [source_document(source) for source in made.sources]
        if entries is not None:
            document["imported_references"] = store_entries(store, entries, campaign=spec.name)
        insert_campaign(store, document | {"structures_checksum": checksum, "worker": worker})
    else:
        refuse_other_settings(known, spec)
        changed = _changed_sources(known, made)
        if known["structures_checksum"] != checksum and not (
            known.get("additions") and _is_all_there(store, candidates, references, known, entries)
        ):
            raise _other_structures(spec, changed)
        # restores entries lost from the database since
        if entries is not None:
            store_entries(store, entries, campaign=spec.name)
        if spec.model.bundle is not None and (models := known.get("models")):
            store_lost_bundle(store, bundle_folder(str(spec.model.bundle)), models[0]["checksum"])
        for bundle in known.get("scorer_bundles") or []:
            store_lost_bundle(store, Path(bundle["path"]), bundle["checksum"])
    insert_references(store, references)
    insert_left_out(store, left_out_documents(spec.name, made.left_out))
    added = insert_candidates(store, candidate_documents(spec, candidates, relaxed))
    # nothing is submitted or decided before all documents exist; an interrupted start is repeated
    mark_as_running(store, spec.name)
    note = None if known is None else settings_note(known, spec)
    known_before = len(candidates) - added
    started = Started(
        name=spec.name, added=added, known=known_before, note=note, left_out=made.counts(), changed=changed
    )
    forget_reading()
    logger.info(started.message)
    return started


def _with_its_built_in_data(store: CampaignStore, spec: CampaignSpec) -> CampaignSpec:
    """Return the spec with the built-in data version that the campaign was started with, unless the file names one."""
    known = find_start_settings(store, spec.name)
    if known is None or "built_in" in spec.model_fields_set:
        return spec
    # not validated: it may be of an earlier version, which is migrated later
    return spec.model_copy(update={"built_in": known["spec"].get("built_in", 1)})


def divide_candidates(spec: CampaignSpec, made: MadeCandidates | None = None) -> tuple[list[Candidate], set[str]]:
    """Generate the candidates, and choose those that train the model.

    Parameters
    ----------
    made
        The candidates, if already generated.

    Returns
    -------
    candidates
        All of them.
    relaxed
        Ids of those relaxed regardless of predictions: the bootstrap sample; none if a trained model is given or no
        model is needed; all if the campaign's purpose is a training set.

    Raises
    ------
    BootstrapSizeError
        If no candidate would be left to screen.
    """
    made = make_candidates(spec) if made is None else made
    candidates = made.candidates
    if not candidates:
        if not made.left_out:
            paths = ", ".join(str(source.path) for source in made.sources)
            raise NoCandidatesError(f"spec.campaign.candidates: there are no crystals in {paths}")
        examples = "; ".join(f"{each.name}: {each.detail}" for each in made.left_out[:3])
        raise NoCandidatesError(
            f"spec.campaign.candidates: no crystal can be used as a candidate ({made.counts()}), e.g. {examples}"
        )
    if spec.purpose == "training_set":
        # so that a campaign stopped half-way has computed a random sample of its candidates
        order = np.random.default_rng(spec.seed).permutation(len(candidates))
        return [candidates[place] for place in order], {candidate.id for candidate in candidates}
    if spec.model.bundle is not None or not spec.scorer.needs_model:
        return candidates, set()
    if spec.model.bootstrap_size >= len(candidates):
        raise BootstrapSizeError(
            f"spec.campaign.model.bootstrap_size: found {spec.model.bootstrap_size}, but there are only "
            f"{len(candidates)} candidates, and all of them would be relaxed to train the model; right: a smaller "
            "number, so that some are left to screen"
        )
    return candidates, set(bootstrap_sample(candidates, spec.model.bootstrap_size, spec.seed))


def elements_of(candidates: Sequence[Candidate]) -> list[str]:
    """Return the symbols of the candidates' elements in alphabetical order."""
    return sorted({symbol for candidate in candidates for symbol in candidate.chemsys.split("-")})


def _structures_checksum(
    candidates: Sequence[Candidate], references: Sequence[CandidateDocument], entries: EntriesFile | None
) -> str:
    """Return the SHA-256 of the candidates' ids, the references' structures and the file of entries."""
    names = sorted(candidate.id for candidate in candidates)
    phases = sorted((document["_id"], json.dumps(document["structure"], sort_keys=True)) for document in references)
    # unchanged without a file of entries, so that older campaigns keep their checksum
    content = [names, phases] if entries is None else [names, phases, entries.sha256]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _other_structures(spec: CampaignSpec, changed: Sequence[str]) -> CampaignExistsError:
    references = spec.references
    named = [str(path) for path in (spec.candidates.structures, references.structures, references.entries) if path]
    add = f", or add the new crystals with `campaign add {spec.name} PATH`" if spec.candidates.as_given else ""
    return CampaignExistsError(
        f"campaign {spec.name!r} was started with other structures or entries: "
        f"{' or '.join([*changed, *named]) or 'a folder'} has changed since. "
        f"A running campaign keeps its candidates and references: give the new campaign another name{add}; `campaign "
        f"run {spec.name}` continues it as it is"
    )


def _is_all_there(
    store: CampaignStore,
    candidates: Sequence[Candidate],
    references: Sequence[CandidateDocument],
    known: CampaignDocument,
    entries: EntriesFile | None,
) -> bool:
    """Whether every candidate and reference of a file is stored in a campaign to which candidates were added."""
    # ids identify the crystal; entries are compared by the file's content
    if entries is not None:
        stored = find_reference_set(store, str(known.get("imported_references")), ["sha256"])
        if stored is None or stored.get("sha256") != entries.sha256:
            return False
    return are_all_stored(store, [each.id for each in candidates], [each["_id"] for each in references])


def source_document(source: SourceRecord) -> SourceDocument:
    """Return the record, in the campaign's document, of a path from which crystals were read."""
    return {
        "path": str(source.path),
        "sha256": source.sha256,
        "n_files": source.n_files,
        "n_read": source.n_read,
        "n_left_out": source.n_left_out,
    }


def _changed_sources(known: CampaignDocument, made: MadeCandidates) -> tuple[str, ...]:
    """Return the paths whose content has changed since the campaign was started."""
    before = {source["path"]: source["sha256"] for source in known.get("sources", [])}
    return tuple(str(each.path) for each in made.sources if before.get(str(each.path)) != each.sha256)


def left_out_documents(campaign: str, left_out: Sequence[LeftOut]) -> Iterator[LeftOutDocument]:
    """Yield the documents of crystals that are not candidates, one each."""
    for each in left_out:
        told = {"name": each.name, "file": each.file, "reason": str(each.reason), "detail": each.detail}
        digest = hashlib.sha256(json.dumps([each.file, each.name]).encode()).hexdigest()[:24]
        yield {"_id": f"{campaign}/left_out/{digest}", "campaign": campaign, "created": now(), **told}  # type: ignore[typeddict-item]


def _register_given_model(store: CampaignStore, spec: CampaignSpec) -> ModelSummary:
    folder = bundle_folder(str(spec.model.bundle))
    checksum = register_bundle(store, folder, expected=spec.representation(), engine=spec.dft.engine)
    return model_summary(store, checksum, source="bundle") | {"step": None, "time": now()}


def _campaign_document(spec: CampaignSpec, n_screened: int, model: ModelSummary | None) -> CampaignDocument:
    size = spec.screening.batch_size
    return {
        "_id": spec.name,
        "schema_version": SCHEMA_VERSION,
        "spec": spec.model_dump(mode="json"),
        "settings_hash": spec.settings_hash,
        "engine": spec.dft.engine,
        "quality": spec.dft.quality,
        "state": CampaignState.STARTING,
        "n_screened": n_screened,
        "batch_sizes": [min(size, n_screened - place) for place in range(0, n_screened, size)],
        "model": model,
        "models": [model] if model is not None else [],
        "reference_set": None,
        "created": now(),
    }


def _new_document(spec: CampaignSpec, document_id: str, structure: Structure) -> CandidateDocument:
    composition = structure.composition
    return {
        "_id": document_id,
        "schema_version": SCHEMA_VERSION,
        "campaign": spec.name,
        "formula": composition.reduced_formula,
        "chemsys": composition.chemical_system,
        "elements": sorted(element.symbol for element in composition.elements),
        "composition": {element.symbol: float(n) for element, n in composition.items()},
        "n_sites": len(structure),
        "calculation_key": calculation_key(document_id, structure, spec.settings_hash),
        "structure": structure.as_dict(),
        "state": CandidateState.NEW,
        "calculation": {"engine": spec.dft.engine, "quality": spec.dft.quality},
        "created": now(),
        "history": [],
    }


def candidate_documents(
    spec: CampaignSpec, candidates: Sequence[Candidate], relaxed: set[str], *, first_batch: int = 0
) -> Iterator[CandidateDocument]:
    """Yield the documents of candidates.

    Parameters
    ----------
    relaxed
        Ids of those relaxed regardless of predictions.
    first_batch
        Number of the first batch that the others are placed in.
    """
    place = 0
    role = TRAINING if spec.purpose == "training_set" else BOOTSTRAP
    for candidate in candidates:
        document = _new_document(spec, candidate.id, candidate.structure)
        document |= {"prototype": candidate.prototype, "parent": dict(candidate.parent)}
        if candidate.id in relaxed:
            yield document | {"role": role, "rs_dos": {"state": RsDosState.NEW}}
        else:
            screened = document | {"role": SCREENED, "batch": first_batch + place // spec.screening.batch_size}
            # without a DOS to wait for, it is ready to be scored
            screened["state"] = CandidateState.NEW if spec.scorer.needs_dos else CandidateState.DOS_DONE
            if spec.prefilter is not None:
                screened["prefilter"] = {"state": PrefilterState.NEW}
            # only relaxed candidates get an RS-DOS, on which the next model is trained
            yield screened if spec.screening.retrain_every is None else screened | {"rs_dos": {"state": RsDosState.NEW}}
            place += 1


def reference_documents(spec: CampaignSpec, elements: Sequence[str]) -> Iterator[CandidateDocument]:
    """Yield the documents of phases that the campaign computes: elemental references, and phases given by the user."""
    for label, structure in reference_phases(spec, elements):
        document = _new_document(spec, f"{spec.name}/{REFERENCE}/{label}", structure)
        document |= {"role": REFERENCE, "label": label}
        if spec.trains_model:
            document["rs_dos"] = {"state": RsDosState.NEW}
        yield document

"""Types of the documents that a campaign keeps in MongoDB; fields that come later are absent until then."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Required, TypedDict

from campaign.store.states import CampaignState, CandidateState, Stage, StepState


class PredictionDocument(TypedDict, total=False):
    """What a Screen has predicted (``prediction`` of a candidate)."""

    e_form_per_atom: float  # eV/atom; NaN where there is no prediction
    e_above_hull: float  # eV/atom
    uncertainty: float | None  # eV/atom, one standard deviation
    novel: bool | None
    relax_cpu_s: float  # CPU-seconds, expected cost of the relaxation
    reason: str | None  # why there is no prediction
    scorer: dict[str, Any]
    model: str | None  # checksum
    reference_set: str  # checksum
    corrections: str | None  # none or mp2020, in the energies: those of the reference set; None: not known
    step: str  # id of the Screen
    time: datetime


class ResultDocument(TypedDict):
    """What a relaxation has shown (``result`` of a candidate)."""

    e_form_per_atom: float  # eV/atom
    e_above_hull: float  # eV/atom
    stable: bool
    reference_set: str  # checksum
    corrections: str  # none or mp2020, in the energies: those of the reference set
    hubbards: dict[str, float]  # Hubbard U in eV of the relaxation, those that are not zero
    time: datetime


class CandidateDocument(TypedDict, total=False):
    """A candidate, or a phase of the computed reference set (the same fields, and a ``label``)."""

    _id: Required[str]
    schema_version: int
    campaign: str  # name
    role: str  # screened, bootstrap, training or reference
    batch: int  # screened candidates only
    label: str  # references only
    state: CandidateState
    formula: str  # reduced
    chemsys: str  # e.g. Al-Pd
    elements: list[str]  # symbols, sorted
    composition: dict[str, float]  # atoms in the cell, by element
    n_sites: int  # atoms in the cell
    prototype: str
    parent: dict[str, Any]
    structure: dict[str, Any]  # pymatgen's, unrelaxed, in Angstrom
    calculation: dict[str, str]  # engine and quality
    is_dos: dict[str, Any]  # IS-DOS: firework, energy (eV, whole cell), cpu_s (s), spacing and efermi (eV)
    relaxation: dict[str, Any]  # firework, energy (eV, whole cell), energy_per_atom (eV/atom), cpu_s (s), structure
    rs_dos: dict[str, Any]  # RS-DOS: its own state, else as ``is_dos``
    prediction: PredictionDocument | None
    decision: dict[str, Any]  # energies in eV/atom, relax_cpu_s in CPU-seconds
    previous_predictions: list[PredictionDocument]
    previous_decisions: list[dict[str, Any]]
    result: ResultDocument
    correction_error: dict[str, Any]  # why the references' corrections cannot treat it
    final_failure: dict[str, Any] | None
    retried_failure: dict[str, Any]  # of the latest attempt that was tried again
    overrides: list[dict[str, Any]]  # settings that a person changed
    history: list[dict[str, Any]]  # moves between states
    created: datetime


def stage_fields(document: Mapping[str, Any], stage: Stage) -> dict[str, Any]:
    """What a candidate's or a reference's document says of one of its calculations; empty before it was submitted."""
    return document.get(stage.fields) or {}


class AttemptDocument(TypedDict, total=False):
    """Entry of the ledger: one start of a calculation or of a step."""

    _id: Required[str]  # <fw_id>.<n>
    schema_version: int
    campaign: str  # name
    document: str | None  # id of the candidate or reference; None for a step
    stage: str | None  # dos, relax, rs_dos, train, screen
    fw_id: int
    host: str
    pid: int
    boot_id: str
    pid_ticks: int  # clock ticks from boot to the start of the process
    pid_created: float  # s since 1970
    scheduler: str
    cluster: str | None
    job_id: str
    restarts: int | None
    directory: str
    started: datetime | None
    seen: datetime
    ended: datetime
    outcome: str  # running, completed, science, machine, lost, stopped
    cause: str | None
    error: str | None
    cpu_s: float | None  # CPU-seconds
    gpu_s: float | None  # GPU-seconds
    inputs: dict[str, Any]  # of a calculation: asked, used, outside, notes (`workflows.inputs.used_inputs`)


class StepDocument(TypedDict, total=False):
    """A training, a Screen or the report."""

    _id: Required[str]
    schema_version: int
    campaign: str  # name
    kind: str  # `campaign.store.steps.StepKind`
    batch: int | None  # of the Screen of a batch
    number: int | None  # of a retraining or a sweep, from 0
    after: str | None  # id of the step that a Screen follows
    state: StepState
    fw_id: int
    created: datetime
    ended: datetime
    allowance: dict[str, Any]  # what a Screen may promise: CPU-seconds, relaxations
    reserved: dict[str, Any]  # what it has set aside while it decides: CPU-seconds, relaxations
    n_relaxed: int  # relaxations that a retraining could learn from
    outcome: str  # of a retraining
    reason: str
    model: str  # checksum


class ModelSummary(TypedDict, total=False):
    """What a campaign's document says of a model of its own."""

    checksum: Required[str]
    representation: dict[str, Any]
    n_structures: int | None
    corrections: str | None  # none or mp2020, in the energies that it predicts; absent or None: not known
    source: str  # bundle, bootstrap or retrained
    step: str | None  # that made it
    time: datetime
    initial: str  # checksum of the model that was trained on
    trained_on: dict[str, int]  # samples
    n_new: int | None
    n_relaxed: int
    validation_mae: float | None  # eV/atom


#: Why a campaign submits nothing more: its calculations failed alike, or a person has paused or stopped it.
StopKind = Literal["failures", "paused", "stopped"]


class StopDocument(TypedDict, total=False):
    """Why a campaign submits nothing more until it is resumed."""

    kind: StopKind  # failures where absent
    cause: str  # of the failures; also where a person has stopped it after them
    number: int  # calculations in a row that failed of it
    error: str | None
    directory: str | None
    host: str | None
    by: str  # user@host who paused or stopped it
    reason: str | None  # in that person's words
    ends_running: bool  # what runs is to end as well
    time: Required[datetime]


class EventDocument(TypedDict):
    """What was done with a campaign as a whole."""

    kind: str  # paused, stopped, resumed, archived, unarchived, ...
    at: datetime
    by: str  # user@host
    details: dict[str, Any]


class DeletionDocument(TypedDict, total=False):
    """What of a campaign is being deleted beside its documents and fireworks."""

    outputs: bool
    features: bool
    files: bool
    began: datetime
    was: str  # state before


class CampaignDocument(TypedDict, total=False):
    """A campaign."""

    _id: Required[str]
    schema_version: int
    spec: dict[str, Any]  # the campaign file
    settings_hash: str
    structures_checksum: str
    engine: str
    quality: str
    state: CampaignState
    worker: str | None  # name of the FireWorker that alone takes its fireworks
    n_screened: int  # candidates
    batch_sizes: list[int]  # candidates
    model: ModelSummary | None
    models: list[ModelSummary]  # all that it has had
    reference_set: str | None  # checksum
    imported_references: str | None  # checksum of the reference set from a file
    budget: dict[str, Any]  # in force; the file's where absent
    budget_history: list[dict[str, Any]]
    budget_serial: int
    next_held: list[dict[str, Any]]  # composition and number of atoms of the best held candidates
    problem: str
    stopped: StopDocument
    resumed: datetime  # after the latest stop; what failed before it does not count for the next
    archived: datetime  # hidden since then
    events: list[EventDocument]
    deletion: DeletionDocument
    summary: dict[str, Any]  # of a finished campaign; CPU-seconds by stage
    created: datetime
    ended: datetime


def step_parts(step_id: str) -> dict[str, Any]:
    """Read ``batch``, ``number`` and ``after`` from a step's id, for documents of version 0.1, which lack them.

    Examples
    --------
    >>> step_parts("alloys/screen/after-retrain-0")
    {'batch': None, 'number': None, 'after': 'alloys/retrain/0'}
    """
    parts: dict[str, Any] = {"batch": None, "number": None, "after": None}
    campaign, _, name = step_id.partition("/")
    if found := re.fullmatch(r"screen/(\d+)", name):
        parts["batch"] = int(found[1])
    elif found := re.fullmatch(r"(?:retrain/|screen/sweep-)(\d+)", name):
        parts["number"] = int(found[1])
    elif found := re.fullmatch(r"screen/after-(.+)", name):
        # the step's kind, then its own name, which has no slash
        parts["after"] = f"{campaign}/{found[1].replace('-', '/', 1)}"
    return parts

"""Types of the documents that a campaign keeps in MongoDB; fields written later are absent until then."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Required, TypedDict

from campaign.store.states import CampaignState, CandidateState, PrefilterState, Stage, StepState


class RawPrediction(TypedDict):
    """The scorer's own prediction (``prediction.raw``), before any correction."""

    e_form_per_atom: float  # eV/atom; NaN where there is no prediction
    e_above_hull: float  # eV/atom
    uncertainty: float | None  # eV/atom, one standard deviation


class RecalibrationUsed(TypedDict):
    """The fit that corrected a prediction (``prediction.recalibration``)."""

    step: str  # id of the step that made it
    n: int  # relaxed candidates that it was made of


class PartDocument(TypedDict):
    """Prediction of one of several scorers (``prediction.parts``), in the energy scheme of the references."""

    scorer: str  # its name, as in the results
    e_form_per_atom: float | None  # eV/atom; None where it gives no prediction
    uncertainty: float | None  # eV/atom, one standard deviation
    novel: bool | None
    weight: float | None  # share of the combined prediction; None where it does not count
    reason: str | None  # why it gives none


class PredictionDocument(TypedDict, total=False):
    """Prediction of a Screen (``prediction`` of a candidate)."""

    e_form_per_atom: float  # eV/atom, corrected where ``recalibration`` names a fit; NaN where there is no prediction
    e_above_hull: float  # eV/atom
    uncertainty: float | None  # eV/atom, one standard deviation
    novel: bool | None
    relax_cpu_s: float  # CPU-seconds, expected cost of the relaxation
    reason: str | None  # why there is no prediction
    scorer: dict[str, Any]
    model: str | None  # checksum
    reference_set: str  # checksum
    corrections: str | None  # none or mp2020, in the energies: those of the reference set; None: not known
    raw: RawPrediction  # with screening.recalibrate_every
    recalibration: RecalibrationUsed | None  # with screening.recalibrate_every; None: not corrected
    parts: list[PartDocument]  # of a combined prediction, one for each scorer
    combination: dict[str, Any]  # of a combined prediction: correlation of the errors, with what it rests on
    step: str  # id of the Screen
    time: datetime


class PrefilterDocument(TypedDict, total=False):
    """Result of the prefilter for a candidate (``prefilter``)."""

    state: Required[PrefilterState]  # new until it has come through
    e_form_per_atom: float  # eV/atom; NaN where there is no prediction
    e_above_hull: float  # eV/atom
    uncertainty: float | None  # eV/atom, one standard deviation
    outcome: str  # passed or rejected
    audit: bool  # rejected, and drawn for the audit: it gets its IS-DOS and is relaxed
    reason: str  # in words and numbers
    decision: dict[str, Any]  # of the audited, until their Screen
    scorer: dict[str, Any]
    reference_set: str  # checksum
    corrections: str | None  # none or mp2020, in the energies
    step: str  # id of the prefilter's step
    time: datetime


class ResultDocument(TypedDict):
    """Result of a relaxation (``result`` of a candidate)."""

    e_form_per_atom: float  # eV/atom
    e_above_hull: float  # eV/atom
    stable: bool
    reference_set: str  # checksum
    corrections: str  # none or mp2020, in the energies: those of the reference set
    hubbards: dict[str, float]  # Hubbard U in eV of the relaxation, those that are not zero
    time: datetime


class ReusedFrom(TypedDict):
    """Origin of a reused calculation (``reused_from`` of a stage's fields and of the ledger)."""

    campaign: str  # name
    document: str  # id of the candidate or reference, in that campaign
    attempt: int  # number of the try, which names its outputs in the JobStore
    entry: str  # id of its entry in the ledger
    cpu_s: float  # CPU-seconds of that entry
    time: datetime  # when it was taken over


class CandidateDocument(TypedDict, total=False):
    """A candidate or a phase of the computed reference set, which also has a ``label``."""

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
    calculation_key: str  # <structure>-<settings>: the same in every campaign
    n_sites: int  # atoms in the cell
    prototype: str
    parent: dict[str, Any]
    structure: dict[str, Any]  # pymatgen's, unrelaxed, in Angstrom
    calculation: dict[str, str]  # engine and quality
    # IS-DOS: firework, energy (eV, whole cell), cpu_s (s), spacing and efermi (eV); `ReusedFrom` if taken over
    is_dos: dict[str, Any]
    relaxation: dict[str, Any]  # firework, energy (eV, whole cell), energy_per_atom (eV/atom), cpu_s (s), structure
    rs_dos: dict[str, Any]  # RS-DOS: its own state, else as ``is_dos``
    prefilter: PrefilterDocument  # only in a campaign with a prefilter
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
    announced: list[dict[str, str]]  # users who were told that it is stable (`user`), each with the message's `claim`
    created: datetime


def stage_fields(document: Mapping[str, Any], stage: Stage) -> dict[str, Any]:
    """Return the fields of one calculation of a candidate or a reference; empty before it is submitted."""
    return document.get(stage.fields) or {}


class AttemptDocument(TypedDict, total=False):
    """Entry of the ledger: one start of a calculation or a step."""

    _id: Required[str]  # <fw_id>.<n>; <document>:<stage>:<try>:reused of what was taken over
    schema_version: int
    campaign: str  # name
    document: str | None  # id of the candidate or reference; None for a step
    stage: str | None  # dos, relax, rs_dos, prefilter, train, screen
    fw_id: int | None  # None of what was taken over
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
    outcome: str  # running, completed, science, machine, lost, stopped, reused
    cause: str | None
    error: str | None
    cpu_s: float | None  # CPU-seconds
    gpu_s: float | None  # GPU-seconds
    reused_from: ReusedFrom  # of what was taken over
    inputs: dict[str, Any]  # of a calculation: asked, used, outside, notes (`workflows.inputs.used_inputs`)


class StepDocument(TypedDict, total=False):
    """A prefilter, a training, a Screen or the report."""

    _id: Required[str]
    schema_version: int
    campaign: str  # name
    kind: str  # `campaign.store.steps.StepKind`
    batch: int | None  # of the Screen or prefilter of a batch
    number: int | None  # of a retraining, a recalibration or a sweep, from 0
    after: str | None  # id of the step that a Screen follows
    state: StepState
    fw_id: int
    created: datetime
    ended: datetime
    policy: dict[str, Any]  # that a Screen decides by, from its first decision on
    allowance: dict[str, Any]  # what a Screen may promise: CPU-seconds, relaxations
    reserved: dict[str, Any]  # what it has set aside while it decides: CPU-seconds, relaxations
    n_relaxed: int  # relaxations that a retraining or a recalibration could learn from
    outcome: str  # of a retraining: new model or no model; of a recalibration: on or off
    fit: dict[str, Any]  # of a recalibration (`campaign.recalibration.fit.Fit.to_dict`)
    fitted_to: dict[str, Any]  # of a recalibration: scorer and model (checksum or None) whose predictions it corrects
    fitted: datetime
    reason: str
    model: str  # checksum


class ModelSummary(TypedDict, total=False):
    """Description of a model in a campaign's document."""

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


class ScorerBundle(TypedDict):
    """Description, in a campaign's document, of a graph model used by its scorer."""

    path: str  # as the campaign file names it
    checksum: str
    network: str  # e.g. CGCNN-HD
    corrections: str | None  # none or mp2020, in the energies that it predicts; None: not known
    time: datetime


#: Why a campaign submits no more work: its calculations failed alike, or a person paused or stopped it.
StopKind = Literal["failures", "paused", "stopped"]


class StopDocument(TypedDict, total=False):
    """Why a campaign submits no more work until it is resumed."""

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


class DeletionDocument(TypedDict, total=False):
    """Scope of a campaign's deletion besides its documents and fireworks."""

    outputs: bool
    features: bool
    files: bool
    began: datetime
    was: str  # state before


class ImportedDocument(TypedDict, total=False):
    """Origin of an imported campaign."""

    sha256: Required[str]  # of the file, as it carries it at its end
    file: str  # name
    written: str  # time of the export, ISO 8601 in UTC
    shift: Required[int]  # what was added to the numbers of its fireworks
    begun: datetime
    completed: datetime


class SourceDocument(TypedDict):
    """A path from which crystals were read as given."""

    path: str
    sha256: str  # over the content of its files
    n_files: int
    n_read: int  # crystals
    n_left_out: int  # of these, without duplicates


class LeftOutDocument(TypedDict, total=False):
    """A crystal of ``candidates.as_given`` that is not a candidate."""

    _id: Required[str]
    campaign: str  # name
    name: str
    file: str
    reason: str  # in a word, as it is counted
    detail: str
    created: datetime


class AdditionDocument(TypedDict, total=False):
    """Candidates added by ``campaign add`` (``additions`` of a campaign)."""

    id: str  # checksum over the candidates
    time: datetime
    sources: list[SourceDocument]
    n_added: int
    n_left_out: int  # duplicates among them
    rescale: str | None


class NoticeDocument(TypedDict, total=False):
    """The last notification of a user about a campaign (`campaign.store.notices`)."""

    user: Required[str]
    said: Required[str]  # running (nothing yet), stuck or finished
    time: datetime  # of the message
    idle_since: datetime  # nothing can run since then


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
    sources: list[SourceDocument]  # of crystals as they are, in the file that started it
    additions: list[AdditionDocument]
    n_screened: int  # candidates
    batch_sizes: list[int]  # candidates
    model: ModelSummary | None
    models: list[ModelSummary]  # all that it has had
    scorer_bundles: list[ScorerBundle]  # absent: none
    element_energies: dict[str, float]  # eV/atom with potentials, by crystal, potential and settings; absent: none
    reference_set: str | None  # checksum
    previous_reference_sets: list[str]  # checksums; each later set has the phases of the earlier ones, and others
    reference_serial: int  # grows when phases are added after the start
    imported_references: str | None  # checksum of the reference set from a file
    budget: dict[str, Any]  # in force; the file's where absent
    budget_history: list[dict[str, Any]]
    settings: dict[
        str, Any
    ]  # sections in force that `campaign set` may change, apart from the budget; absent: the file's
    settings_history: list[dict[str, Any]]  # every `settings` that was in force, its time, and its entry in events
    budget_serial: int
    next_held: list[dict[str, Any]]  # composition and number of atoms of the best held candidates
    problem: str
    stopped: StopDocument
    notices: list[NoticeDocument]  # one for each user who is told of it
    resumed: datetime  # after the latest stop; what failed before it does not count for the next
    imported: ImportedDocument  # by `campaign import`
    archived: datetime  # hidden since then
    deletion: DeletionDocument
    summary: dict[str, Any]  # of a finished campaign; CPU-seconds by stage
    created: datetime
    ended: datetime


def step_parts(step_id: str) -> dict[str, Any]:
    """Parse ``batch``, ``number`` and ``after`` from a step's id, for documents of version 0.1, which lack them.

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

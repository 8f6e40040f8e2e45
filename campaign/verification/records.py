"""Data of a campaign kept in memory during verification: a few numbers per document and firework."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from sys import intern
from typing import Any, NamedTuple

from campaign.budget.decision_document import is_persons
from campaign.recovery.removed_workflows import REMOVALS
from campaign.store import integrity
from campaign.store.campaigns import Campaign
from campaign.store.collections import Document
from campaign.store.documents import ReusedFrom, stage_fields
from campaign.store.fireworks import state_of
from campaign.store.states import STAGES, CandidateState, Stage

_AFTER_IS_DOS = frozenset(
    {CandidateState.DOS_DONE, CandidateState.PROMOTED, CandidateState.REJECTED, CandidateState.RELAX_RUNNING}
    | {CandidateState.RELAXED, CandidateState.RELAX_FAILED}
)


def is_live(state: str | None) -> bool:
    """Whether a firework in this state runs or will run, possibly after others or once resumed."""
    return state not in REMOVALS and state not in ("COMPLETED", "FIZZLED")


class Calculation(NamedTuple):
    """A running or finished calculation of a candidate or a reference.

    Attributes
    ----------
    document, stage
        Id of the document, and stage.
    done
        Whether it is done; otherwise it is running.
    fw_id, record_fw_id
        Fireworks that compute and record it; None if not stored.
    attempt
        Number of the try.
    retried
        Whether a person retried it after a permanent failure.
    reused_from
        Origin of a reused calculation, or None.
    """

    document: str
    stage: Stage
    done: bool
    fw_id: int | None
    record_fw_id: int | None
    attempt: int
    retried: bool
    reused_from: ReusedFrom | None = None

    @property
    def title(self) -> str:
        """Name of the calculation in messages."""
        return f"{self.document} ({self.stage.title})"


def calculations_of(document: Mapping[str, Any]) -> Iterator[Calculation]:
    """Yield the running and finished calculations of a document, see `campaign.store.integrity.structures`."""
    for stage in STAGES.values():
        fields = stage_fields(document, stage)
        running, done = _standing(document, stage, fields)
        if running or done:
            yield Calculation(
                document=document["_id"],
                stage=stage,
                done=done,
                fw_id=fields.get("fw_id"),
                record_fw_id=fields.get("record_fw_id"),
                attempt=int(fields.get("attempt") or 0),
                retried=bool(fields.get("first_attempt")),
                reused_from=fields.get("reused_from"),
            )


def _standing(document: Mapping[str, Any], stage: Stage, fields: Mapping[str, Any]) -> tuple[bool, bool]:
    """Return whether a calculation of a stage is running, and whether it is done."""
    if stage.name == "rs_dos":
        return fields.get("state") == stage.running, fields.get("state") == stage.done
    state = document.get("state")
    if stage.name == "relax":
        return state == stage.running, state == stage.done
    is_there = "fw_id" in fields or "reused_from" in fields
    if is_persons(document.get("decision")):  # whatever happened to its IS-DOS
        return state == stage.running, state != stage.running and is_there and "energy" in fields
    if state == CandidateState.HELD:  # before its IS-DOS, or after its Screen
        return False, is_there and document.get("prediction") is not None
    # scorers without DOS, and references, never had one
    return state == stage.running, state in _AFTER_IS_DOS and is_there


def _shared(text: str | None) -> str | None:
    """Return the text interned, so that it is stored once for all documents."""
    return None if text is None else intern(text)


@dataclass
class Records:
    """The content of a campaign's collections.

    Attributes
    ----------
    roles
        Role of each candidate and reference, by id.
    calculations
        Running and finished calculations.
    steps
        The steps, by id.
    firework_states
        FireWorks' state of each firework, by id.
    firework_subjects
        Purpose of each firework, by id: ``(document, stage)`` or ``(step, None)``.
    """

    roles: dict[str, str] = field(default_factory=dict)
    calculations: list[Calculation] = field(default_factory=list)
    steps: dict[str, Document] = field(default_factory=dict)
    firework_states: dict[int, str] = field(default_factory=dict)
    firework_subjects: dict[int, tuple[str | None, str | None]] = field(default_factory=dict)

    def read_steps_and_fireworks(self, campaign: Campaign) -> None:
        """Read everything but the documents, which are too large to keep and are added one by one."""
        self.steps = {step["_id"]: step for step in integrity.steps(campaign)}
        for firework in integrity.fireworks(campaign):
            fw_id, spec = firework["fw_id"], firework["spec"]
            self.firework_states[fw_id] = intern(state_of(firework))
            subject = (spec["document"], spec.get("stage")) if "document" in spec else (spec.get("step"), None)
            self.firework_subjects[fw_id] = (_shared(subject[0]), _shared(subject[1]))

    def add(self, document: Mapping[str, Any]) -> None:
        """Keep the fields of a candidate or a reference needed by later checks."""
        document = {**document, "_id": intern(document["_id"])}
        self.roles[document["_id"]] = intern(str(document.get("role")))
        self.calculations.extend(calculations_of(document))

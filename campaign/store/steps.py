"""Steps of a campaign: prefilters, trainings, Screens and the report, each submitted once per id."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self, cast

from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

from campaign.store.campaigns import Campaign
from campaign.store.collections import SCHEMA_VERSION, exists, now
from campaign.store.documents import StepDocument, step_parts
from campaign.store.states import StepState


class StepKind(StrEnum):
    """Kinds of steps."""

    TRAIN = "train"
    RETRAIN = "retrain"
    RECALIBRATE = "recalibrate"
    PREFILTER = "prefilter"
    SCREEN = "screen"
    REPORT = "report"


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of a campaign.

    Attributes
    ----------
    id
        Unique key, built from the other fields and never parsed.
    campaign
        Name of the campaign.
    kind
        Kind of step.
    batch
        Batch that a Screen or prefilter scores; None for a Screen of all waiting candidates, and for other kinds.
    number
        Number of the retraining, recalibration or sweep, from 0.
    after
        Id of the step that a Screen follows.
    state
        State of the step.
    """

    id: str
    campaign: str
    kind: StepKind
    batch: int | None = None
    number: int | None = None
    after: str | None = None
    state: StepState = StepState.SUBMITTED

    @classmethod
    def train(cls, campaign: str) -> Self:
        """Return the training step on the bootstrap sample."""
        return cls(id=f"{campaign}/train", campaign=campaign, kind=StepKind.TRAIN)

    @classmethod
    def retrain(cls, campaign: str, number: int) -> Self:
        """Return a retraining step; `number` counts from 0."""
        return cls(id=f"{campaign}/retrain/{number}", campaign=campaign, kind=StepKind.RETRAIN, number=number)

    @classmethod
    def recalibrate(cls, campaign: str, number: int) -> Self:
        """Return a recalibration step; `number` counts from 0."""
        return cls(id=f"{campaign}/recalibrate/{number}", campaign=campaign, kind=StepKind.RECALIBRATE, number=number)

    @classmethod
    def prefilter(cls, campaign: str, batch: int) -> Self:
        """Return the prefilter step of a batch."""
        return cls(id=f"{campaign}/prefilter/{batch}", campaign=campaign, kind=StepKind.PREFILTER, batch=batch)

    @classmethod
    def screen(cls, campaign: str, batch: int) -> Self:
        """Return the Screen of a batch."""
        return cls(id=f"{campaign}/screen/{batch}", campaign=campaign, kind=StepKind.SCREEN, batch=batch)

    @classmethod
    def sweep(cls, campaign: str, number: int) -> Self:
        """Return a Screen of candidates that came after their batch was closed; `number` counts from 0."""
        return cls(id=f"{campaign}/screen/sweep-{number}", campaign=campaign, kind=StepKind.SCREEN, number=number)

    @classmethod
    def screen_after(cls, campaign: str, after: str) -> Self:
        """Return the Screen that follows another step and scores waiting candidates again."""
        name = after.removeprefix(f"{campaign}/").replace("/", "-")
        return cls(id=f"{campaign}/screen/after-{name}", campaign=campaign, kind=StepKind.SCREEN, after=after)

    @classmethod
    def report(cls, campaign: str) -> Self:
        """Return the last step."""
        return cls(id=f"{campaign}/report", campaign=campaign, kind=StepKind.REPORT)

    @classmethod
    def from_document(cls, document: StepDocument) -> Self:
        """Create from a stored step; for one of version 0.1, the fields are parsed from its id."""
        parts = document if "batch" in document else step_parts(document["_id"])
        return cls(
            id=document["_id"],
            campaign=document["campaign"],
            kind=StepKind(document["kind"]),
            batch=parts["batch"],
            number=parts["number"],
            after=parts["after"],
            state=StepState(document["state"]),
        )

    @property
    def category(self) -> str:
        """FireWorks category of its firework, which determines the queue."""
        return "train" if self.kind in (StepKind.TRAIN, StepKind.RETRAIN) else "screen"


def read_step(campaign: Campaign, step_id: str) -> Step:
    """Read a step.

    Raises
    ------
    LookupError
        If it was never submitted.
    """
    document = find_step(campaign, step_id)
    if document is None:
        raise LookupError(f"campaign {campaign.name!r} has no step {step_id}")
    return Step.from_document(document)


def find_step(campaign: Campaign, step_id: str) -> StepDocument | None:
    """Return a step's document; None if it is not submitted yet."""
    return _steps(campaign).find_one({"_id": step_id})


def is_submitted(campaign: Campaign, step: Step) -> bool:
    """Whether a step has been submitted, done or not."""
    return exists(campaign.store.steps, {"_id": step.id})


def open_step(campaign: Campaign, step: Step, *, fw_id: int, session: ClientSession) -> bool:
    """Claim a step by its unique id; return False if it is already claimed."""
    if _steps(campaign).find_one({"_id": step.id}, session=session) is not None:
        return False
    fields = asdict(step)
    document = {"_id": fields.pop("id"), **fields, "fw_id": fw_id, "created": now(), "schema_version": SCHEMA_VERSION}
    try:
        campaign.store.steps.insert_one(document, session=session)
    except DuplicateKeyError:
        return False
    return True


def open_steps(campaign: Campaign) -> dict[Step, int]:
    """Return the open steps with their fireworks."""
    query = {"campaign": campaign.name, "state": {"$ne": StepState.DONE}}
    return {Step.from_document(found): found["fw_id"] for found in _steps(campaign).find(query)}


def is_other_step_open(campaign: Campaign, step_id: str, *, session: ClientSession | None = None) -> bool:
    """Whether a step other than this one is open."""
    query = {"campaign": campaign.name, "state": {"$ne": StepState.DONE}, "_id": {"$ne": step_id}}
    return exists(campaign.store.steps, query, session=session)


def replace_firework(campaign: Campaign, step: Step, *, old: int, new: int, session: ClientSession) -> bool:
    """Give an open step a new firework; return False if `old` is no longer its firework."""
    current = {"_id": step.id, "fw_id": old, "state": {"$ne": StepState.DONE}}
    return bool(_steps(campaign).update_one(current, {"$set": {"fw_id": new}}, session=session).modified_count)


def withdraw_step(campaign: Campaign, step_id: str) -> None:
    """Withdraw a step, so that it is submitted again when due."""
    campaign.store.steps.delete_one({"_id": step_id, "state": StepState.SUBMITTED})


def batches_without_step(campaign: Campaign, step: Callable[[str, int], Step], batches: Sequence[int]) -> list[int]:
    """Return the batches whose step has not been submitted; a large campaign has hundreds, most of them closed.

    Parameters
    ----------
    step
        Creates the step of a campaign and a batch, e.g. `Step.screen`.
    """
    ids = {step(campaign.name, batch).id: batch for batch in batches}
    submitted = {found["_id"] for found in _steps(campaign).find({"_id": {"$in": list(ids)}}, ["_id"])}
    return [batch for step_id, batch in ids.items() if step_id not in submitted]


def count_of_kind(campaign: Campaign, kind: StepKind) -> int:
    """Return the number of submitted steps of a kind."""
    return _steps(campaign).count_documents({"campaign": campaign.name, "kind": kind})


def count_sweeps(campaign: Campaign) -> int:
    """Return the number of submitted sweeps."""
    # steps of version 0.1 lack the field
    of_no_batch = {"campaign": campaign.name, "kind": StepKind.SCREEN, "batch": None}
    steps = map(Step.from_document, _steps(campaign).find(of_no_batch))
    return sum(step.number is not None for step in steps)


def is_step_open(campaign: Campaign, kind: StepKind) -> bool:
    """Whether a step of a kind is open."""
    query = {"campaign": campaign.name, "kind": kind, "state": StepState.SUBMITTED}
    return exists(campaign.store.steps, query)


def open_screens(campaign: Campaign) -> list[str]:
    """Return the ids of open Screens."""
    query = {"campaign": campaign.name, "kind": StepKind.SCREEN, "state": {"$ne": StepState.DONE}}
    return list(_steps(campaign).distinct("_id", query))


def fix_policy(campaign: Campaign, step_id: str, policy: Mapping[str, Any]) -> dict[str, Any]:
    """Fix the policy of a Screen unless it has started with another one; return the one it uses."""
    _steps(campaign).update_one({"_id": step_id, "policy": None}, {"$set": {"policy": dict(policy)}})
    step = _steps(campaign).find_one({"_id": step_id}, ["policy"])
    return (step and step.get("policy")) or dict(policy)


def read_allowance(campaign: Campaign, step_id: str, *, session: ClientSession) -> dict[str, Any] | None:
    """Return the budget that a Screen may reserve, written when it started to decide; None before that."""
    step = _steps(campaign).find_one({"_id": step_id}, ["allowance"], session=session)
    return None if step is None else step.get("allowance")


def write_allowance(
    campaign: Campaign,
    step_id: str,
    allowance: Mapping[str, Any],
    *,
    reserved: Mapping[str, Any],
    session: ClientSession,
) -> None:
    """Write the budget that a Screen may reserve, and what it reserves while it decides."""
    fixed = {"allowance": allowance, "reserved": reserved}
    _steps(campaign).update_one({"_id": step_id}, {"$set": fixed}, session=session)


def _steps(campaign: Campaign) -> Collection[StepDocument]:
    return cast("Collection[StepDocument]", campaign.store.steps)

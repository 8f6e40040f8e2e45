"""One workflow of FireWorks' own making, copied for many candidates.

FireWorks builds and serialises a workflow in about half a millisecond. The workflows of one stage differ in names and
ids only, so one is built with stand-ins for these, and its documents are copied with the right values in their places.
What has no stand-in in it is the same object in every copy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fireworks import Workflow

    from campaign.store.states import Stage

_DOCUMENT, _FORMULA = "\N{REPLACEMENT CHARACTER}document", "\N{REPLACEMENT CHARACTER}formula"
_FIRST = -(10**9)


@dataclass(frozen=True)
class WorkflowDocuments:
    """A workflow as LaunchPad keeps it: the workflow's document and those of its fireworks."""

    workflow: dict[str, Any]
    fireworks: list[dict[str, Any]]

    @classmethod
    def of(cls, workflow: Workflow) -> WorkflowDocuments:
        """Documents of a workflow, as FireWorks writes them."""
        return cls(workflow.to_db_dict(), [firework.to_db_dict() for firework in workflow])

    @property
    def fw_ids(self) -> list[int]:
        """Ids of its fireworks, smallest first."""
        return sorted(firework["fw_id"] for firework in self.fireworks)


@dataclass(frozen=True)
class _Values:
    """What stands in one copy where the stand-ins are: whole values, and the formula inside texts."""

    whole: Mapping[Any, Any]
    formula: str


_Filler = Callable[[_Values], Any]


class Stencil:
    """The workflow of one stage, for candidates of one campaign and role."""

    def __init__(self, campaign: str, stage: Stage, *, role: str) -> None:
        from campaign.scheduling.workflows import stage_workflow

        self._stage = stage
        stand_in = {"_id": _DOCUMENT, "campaign": campaign, "formula": _FORMULA, "role": role}
        documents = WorkflowDocuments.of(stage_workflow(stand_in, stage, fw_ids=count(_FIRST)))
        self._ids = documents.fw_ids
        whole = {_DOCUMENT, *self._ids, *map(str, self._ids)}
        fillers = [_filler(document, whole) for document in (documents.workflow, *documents.fireworks)]
        self._fillers = [filler for filler in fillers if filler is not None]

    def copy(self, document: Mapping[str, Any], *, fw_ids: count[int]) -> WorkflowDocuments:
        """Return the workflow of a candidate or reference with ``_id``, ``formula`` and its facts; takes its ids.

        Copies share what is the same in all of them: they are for writing into the database, not for changing.
        """
        ids = {old: next(fw_ids) for old in self._ids}
        whole: dict[Any, Any] = {**ids, **{str(old): str(new) for old, new in ids.items()}}
        whole[_DOCUMENT] = document["_id"]
        values = _Values(whole, str(document["formula"]))
        workflow, *fireworks = (fill(values) for fill in self._fillers)
        if queue := (document.get(self._stage.facts) or {}).get("queue"):
            # more time or memory than the queue adapter's own: reservation mode reads it (docs/failures.md)
            calculation = min(fireworks, key=lambda firework: int(firework["fw_id"]))
            calculation["spec"]["_queueadapter"] = dict(queue)
        return WorkflowDocuments(workflow, fireworks)


def _filler(value: Any, whole: set[Any]) -> _Filler | None:
    """Function that makes the value of one copy; None for a value that is the same in all."""
    if isinstance(value, dict):
        return _dict_filler(value, whole)
    if isinstance(value, list):
        return _list_filler(value, whole)
    # False equals 0 and True equals 1, which are no ids here: ids of stand-ins are far below
    if isinstance(value, str | int) and value in whole:
        return lambda values: values.whole[value]
    if isinstance(value, str) and _FORMULA in value:
        return lambda values: value.replace(_FORMULA, values.formula)
    return None


def _dict_filler(value: dict[Any, Any], whole: set[Any]) -> _Filler | None:
    found = {key: _filler(item, whole) for key, item in value.items()}
    if any(key in whole for key in value):
        fillers = [(key, found[key] or _constant(item)) for key, item in value.items()]
        return lambda values: {values.whole.get(key, key): fill(values) for key, fill in fillers}
    changing = [(key, fill) for key, fill in found.items() if fill is not None]
    if not changing:
        return None
    return lambda values: {**value, **{key: fill(values) for key, fill in changing}}


def _list_filler(value: list[Any], whole: set[Any]) -> _Filler | None:
    found = [_filler(item, whole) for item in value]
    if not any(found):
        return None
    fillers = [fill or _constant(item) for fill, item in zip(found, value, strict=True)]
    return lambda values: [fill(values) for fill in fillers]


def _constant(item: Any) -> _Filler:
    return lambda _values: item

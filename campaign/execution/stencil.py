"""One workflow of FireWorks' own making, copied for many candidates.

FireWorks builds and serialises a workflow in about half a millisecond. The workflows of one stage differ in names and
ids only, so one is built with stand-ins for these, and its documents are copied with the right values in their places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fireworks import Workflow

    from campaign.stages import Stage

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


class Stencil:
    """The workflow of one stage, for candidates of one campaign and role."""

    def __init__(self, campaign: str, stage: Stage, *, role: str) -> None:
        from campaign.execution.fireworks import stage_workflow

        self._stage = stage
        stand_in = {"_id": _DOCUMENT, "campaign": campaign, "formula": _FORMULA, "role": role}
        self._documents = WorkflowDocuments.of(stage_workflow(stand_in, stage, fw_ids=count(_FIRST)))
        self._ids = self._documents.fw_ids

    def copy(self, document: Mapping[str, Any], *, fw_ids: count[int]) -> WorkflowDocuments:
        """Return the workflow of a candidate or reference with ``_id``, ``formula`` and its facts; takes its ids."""
        ids = {old: next(fw_ids) for old in self._ids}
        values: dict[Any, Any] = {**ids, **{str(old): str(new) for old, new in ids.items()}}
        values[_DOCUMENT] = document["_id"]
        filled = _filled([self._documents.workflow, *self._documents.fireworks], values, str(document["formula"]))
        workflow, fireworks = filled[0], filled[1:]
        if queue := (document.get(self._stage.facts) or {}).get("queue"):
            # more time or memory than the queue adapter's own: reservation mode reads it (docs/failures.md)
            calculation = min(fireworks, key=lambda firework: int(firework["fw_id"]))
            calculation["spec"]["_queueadapter"] = dict(queue)
        return WorkflowDocuments(workflow, fireworks)


def _filled(value: Any, values: Mapping[Any, Any], formula: str) -> Any:
    if isinstance(value, dict):
        return {values.get(key, key): _filled(found, values, formula) for key, found in value.items()}
    if isinstance(value, list):
        return [_filled(found, values, formula) for found in value]
    if isinstance(value, str):
        return values[value] if value in values else value.replace(_FORMULA, formula)
    # False equals 0 and True equals 1, which are no ids here: ids of stand-ins are far below
    return values.get(value, value) if isinstance(value, int) else value

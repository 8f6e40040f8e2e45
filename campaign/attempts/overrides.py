"""Settings of a person's retry of a failed calculation (`campaign retry --set`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from campaign.store.states import Stage
from esnet.files.errors import UserError
from launchers.scheduler.slurm_output import megabytes, seconds
from workflows.inputs.incar_tags import Door, IncarTagError, check_tag
from workflows.settings import Engine


class OverrideError(UserError, ValueError):
    """A setting cannot be changed; the message names it and says why."""


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """Settings of a retry.

    Attributes
    ----------
    incar
        INCAR tags.
    queue
        ``walltime`` (HH:MM:SS) and ``mem``, in the terms of FireWorks' queue-adapter templates.
    """

    incar: Mapping[str, Any] = field(default_factory=dict)
    queue: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything is changed."""
        return bool(self.incar or self.queue)


def parse_overrides(words: Sequence[str], *, stages: Sequence[Stage], engine: Engine) -> Overrides:
    """Parse ``INCAR.TAG=value``, ``walltime=HH:MM:SS`` and ``memory=4000M``.

    Parameters
    ----------
    words
        As given on the command line.
    stages
        Stages to be repeated; a tag must be allowed for each.

    Raises
    ------
    OverrideError
        Names the first invalid setting.
    """
    incar: dict[str, Any] = {}
    queue: dict[str, str] = {}
    of_dos = tuple(stage.title for stage in stages if stage.name != "relax")
    door = Door(retry=True, dos=of_dos, gpaw=engine == "gpaw")
    for word in words:
        name, equals, value = (part.strip() for part in word.partition("="))
        if not equals or not value:
            raise OverrideError(f"--set {word}: right: INCAR.TAG=value, walltime=HH:MM:SS or memory=4000M")
        if name.upper().startswith("INCAR."):
            tag = name[len("INCAR.") :].upper()
            try:
                incar[tag] = check_tag(tag, value, door)
            except IncarTagError as error:
                raise OverrideError(f"--set INCAR.{tag}: {error}") from error
        elif name == "walltime":
            if seconds(value) is None or ":" not in value:
                raise OverrideError(f"--set walltime: found {value!r}; right: HH:MM:SS, e.g. walltime=24:00:00")
            queue["walltime"] = value
        elif name == "memory":
            if megabytes(value) is None:
                raise OverrideError(f"--set memory: found {value!r}; right: memory per node, e.g. memory=8000M")
            queue["mem"] = value
        else:
            raise OverrideError(f"--set {name}: is not a setting; right: INCAR.TAG, walltime or memory")
    return Overrides(incar=incar, queue=queue)


def incar_overrides(document: Mapping[str, Any], stage: Stage) -> dict[str, Any]:
    """Return the INCAR tags that a document's overrides set for a stage; later ones take precedence."""
    tags: dict[str, Any] = {}
    for entry in document.get("overrides") or []:
        if entry["stage"] == stage.name:
            tags |= entry.get("incar") or {}
    return tags

"""Other settings with which a person has a failed calculation tried again (`campaign retry --set`)."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymatgen.io.vasp import Incar

from campaign.store.states import Stage
from esnet.files.errors import UserError
from launchers.scheduler.slurm_output import megabytes, seconds
from workflows.gpaw_vasp.errors import InputRefused
from workflows.gpaw_vasp.incar import check_tags, parse_incar
from workflows.settings import Engine


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


#: Tags that change the way to the result, not the result.
ALLOWED_TAGS = _names(
    "ALGO AMIN AMIX AMIX_MAG BMIX BMIX_MAG IALGO IBRION ICHARG IMIX INIMIX INIWAV ISTART ISYM KPAR LDIAG LMAXMIX "
    "LPLANE LSCALAPACK LSCALU LSUBROT MAGMOM MAXMIX MIXPRE NBANDS NCORE NELM NELMDL NELMIN NFREE NPAR NSIM POTIM "
    "SYMPREC TIME WC"
)
#: These too, where there is no DOS whose shape or window they are.
_RELAXATION_TAGS = frozenset({"ISMEAR", "SIGMA", "NSW"})
_ENERGIES = "energies with and without it do not compare, and all of a campaign meet in one hull"
_DOS = "it changes the DOS that the model sees, and every candidate's must be made alike"
_REASONS = {
    **dict.fromkeys(("ENCUT", "ENAUG", "PREC", "ISPIN", "GGA", "METAGGA", "KSPACING", "KGAMMA", "LASPH"), _ENERGIES),
    **dict.fromkeys(("ADDGRID", "LREAL", "IVDW", "LHFCALC", "LSORBIT", "NELECT", "NUPDOWN", "EDIFF"), _ENERGIES),
    **dict.fromkeys(("NEDOS", "EMIN", "EMAX", "LORBIT"), _DOS),
    **dict.fromkeys(("EDIFFG", "ISIF"), "all relaxations of a campaign end at the same criterion"),
}


class OverrideError(UserError, ValueError):
    """A setting that cannot be changed; the message names it and says why."""


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """Settings of a retry.

    Attributes
    ----------
    incar
        INCAR tags.
    queue
        ``walltime`` (HH:MM:SS) and ``mem``, as FireWorks' queue-adapter templates have them.
    """

    incar: Mapping[str, Any] = field(default_factory=dict)
    queue: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything is changed."""
        return bool(self.incar or self.queue)


def parse_overrides(words: Sequence[str], *, stages: Sequence[Stage], engine: Engine) -> Overrides:
    """Read ``INCAR.TAG=value``, ``walltime=HH:MM:SS`` and ``memory=4000M``.

    Parameters
    ----------
    words
        As given on the command line.
    stages
        What is calculated again; a tag must be allowed for each.

    Raises
    ------
    OverrideError
        Naming the first setting that cannot be.
    """
    incar: dict[str, Any] = {}
    queue: dict[str, str] = {}
    for word in words:
        name, equals, value = (part.strip() for part in word.partition("="))
        if not equals or not value:
            raise OverrideError(f"--set {word}: right: INCAR.TAG=value, walltime=HH:MM:SS or memory=4000M")
        if name.upper().startswith("INCAR."):
            tag = name[len("INCAR.") :].upper()
            incar[tag] = _checked_tag(tag, value, stages, engine)
        elif name == "walltime":
            if seconds(value) is None or ":" not in value:
                raise OverrideError(f"--set walltime: found {value!r}; right: HH:MM:SS, e.g. walltime=24:00:00")
            queue["walltime"] = value
        elif name == "memory":
            if megabytes(value) is None:
                raise OverrideError(f"--set memory: found {value!r}; right: an amount for each node, e.g. memory=8000M")
            queue["mem"] = value
        else:
            raise OverrideError(f"--set {name}: is no setting; right: INCAR.TAG, walltime or memory")
    return Overrides(incar=incar, queue=queue)


def _checked_tag(tag: str, text: str, stages: Sequence[Stage], engine: Engine) -> Any:
    if tag not in ALLOWED_TAGS | _RELAXATION_TAGS:
        if tag.startswith("LDAU"):
            raise OverrideError(f"--set INCAR.{tag}: refused: {_ENERGIES}")
        if tag in _REASONS:
            raise OverrideError(f"--set INCAR.{tag}: refused: {_REASONS[tag]}")
        if tag not in Incar.INCAR_PARAMS:
            near = difflib.get_close_matches(tag, sorted(ALLOWED_TAGS), n=1)
            raise OverrideError(f"--set INCAR.{tag}: is no INCAR tag{f'; do you mean {near[0]}?' if near else ''}")
        raise OverrideError(
            f"--set INCAR.{tag}: refused: it is not among the tags that change the way to the result alone: "
            f"{', '.join(sorted(ALLOWED_TAGS))}; for relaxations also {', '.join(sorted(_RELAXATION_TAGS))}"
        )
    of_dos = [stage.title for stage in stages if stage.name != "relax"]
    if tag in _RELAXATION_TAGS and of_dos:
        raise OverrideError(
            f"--set INCAR.{tag}: refused for {' and '.join(of_dos)}: {_DOS}. For relaxations alone: --stage relax"
        )
    value = Incar.proc_val(tag, text)
    kind = Incar.INCAR_PARAMS.get(tag, {}).get("type", "str")
    if kind in ("int", "float") and not isinstance(value, int | float):
        raise OverrideError(f"--set INCAR.{tag}: found {text!r}; right: a number")
    if engine == "gpaw":
        try:
            check_tags(parse_incar(f"{tag} = {text}"))
        except InputRefused as refusal:
            raise OverrideError(f"--set INCAR.{tag}: vasp-gpaw refuses it: {refusal}") from refusal
    return value


def incar_overrides(document: Mapping[str, Any], stage: Stage) -> dict[str, Any]:
    """INCAR tags that a document's overrides set for a stage; a later one goes before an earlier one."""
    tags: dict[str, Any] = {}
    for entry in document.get("overrides") or []:
        if entry["stage"] == stage.name:
            tags |= entry.get("incar") or {}
    return tags

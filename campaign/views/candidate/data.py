"""Content of a candidate's page, read by indexed queries for that candidate alone.

Missing or damaged parts of its documents are named, and the rest is shown.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from pymongo.errors import PyMongoError

from campaign.hull.hull import HullSet
from campaign.scorers.base import identity_text
from campaign.store.attempts import attempts_at, other_attempts
from campaign.store.campaigns import Campaign
from campaign.store.collections import in_utc, now
from campaign.store.documents import CandidateDocument
from campaign.store.features import read_features
from campaign.store.states import SCREENED, STAGES, CandidateState
from campaign.store.usage import cpu_seconds_by_document
from campaign.views.candidate.crystal import WHICH, CrystalFacts, Which, crystal_facts, label_of, stored_crystal
from campaign.views.candidate.dos_figure import SpinDos, read_dos
from campaign.views.candidate.ledger import AttemptRow, attempt_rows, folders
from campaign.views.candidate.neighbours import Neighbour, neighbours
from campaign.views.explanation import explanation, format_explanation
from campaign.views.export.full_rows import decompositions
from campaign.views.results import Row, make_row
from campaign.views.status.words import format_stage

T = TypeVar("T")
MOST_ATTEMPTS = 200
_LONGEST = 300
KINDS = {"dos": "IS-DOS", "rs_dos": "RS-DOS"}
_STATES = {
    CandidateState.NEW: "waits for its first calculation",
    CandidateState.DOS_RUNNING: "its IS-DOS is queued or running",
    CandidateState.DOS_DONE: "waits for its prediction and the decision",
    CandidateState.DOS_FAILED: "its IS-DOS failed permanently",
    CandidateState.PROMOTED: "promoted: waits for its relaxation",
    CandidateState.REJECTED: "rejected: will not be relaxed",
    CandidateState.HELD: "held: waits until the budget allows it",
    CandidateState.RELAX_RUNNING: "its relaxation is queued or running",
    CandidateState.RELAXED: "relaxed",
    CandidateState.RELAX_FAILED: "its relaxation failed permanently",
}


@dataclass(frozen=True, kw_only=True)
class PredictionRow:
    """Prediction of a candidate in eV/atom: time (UTC), standard deviation (`uncertainty`) and model."""

    time: str
    e_form: float | None
    e_hull: float | None
    uncertainty: float | None
    by: str


@dataclass(kw_only=True)
class CandidateData:
    """Everything stored about a candidate; fields without data (yet) are None or empty.

    Attributes
    ----------
    campaign, id, made
        Campaign, id of the candidate, and the time at which it was read (UTC).
    title, label, state
        Formula, prototype or name in its source, and the state in words.
    row
        Its row of ``campaign results``; its `rank` is not known here.
    reason
        Of the decision.
    why
        The lines of ``campaign explain``.
    decomposition
        As in ``campaign results --wide``.
    crystals
        Unrelaxed and relaxed.
    dos, no_dos
        Stored DOS by kind, and the reason for a missing one.
    facts
        Further stored data as pairs of label and text: origin, energies of the cells, models.
    attempts, more_attempts
        The ledger, and whether older entries are left out.
    folders
        Calculation, host, folder.
    predictions
        The latest first.
    history
        Time, calculation and state of each move.
    neighbours
        ``previous`` and ``next`` of the ranking.
    problems
        Descriptions of damaged data.
    """

    campaign: str
    id: str
    made: datetime
    title: str = ""
    label: str = ""
    state: str = ""
    row: Row | None = None
    reason: str = ""
    why: list[str] = field(default_factory=list)
    decomposition: str | None = None
    crystals: dict[Which, CrystalFacts] = field(default_factory=dict)
    dos: dict[str, SpinDos] = field(default_factory=dict)
    no_dos: dict[str, str] = field(default_factory=dict)
    facts: list[tuple[str, str]] = field(default_factory=list)
    attempts: list[AttemptRow] = field(default_factory=list)
    more_attempts: bool = False
    folders: list[tuple[str, str, str]] = field(default_factory=list)
    predictions: list[PredictionRow] = field(default_factory=list)
    history: list[tuple[str, str, str]] = field(default_factory=list)
    neighbours: dict[str, Neighbour] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def read(self, what: str, make: Callable[..., T], *given: Any) -> T | None:
        """Return the result of `make`; if a damaged document raises, record the problem and return None."""
        try:
            return make(*given)
        except PyMongoError:
            raise  # the database, not the document
        except Exception as error:  # noqa: BLE001 damaged documents raise errors of any type
            said = f"the field {error} is missing" if isinstance(error, KeyError) else str(error)
            self.problems.append(f"{what} cannot be read: {type(error).__name__}: {said[:_LONGEST]}")
            return None


def read_candidate(
    campaign: Campaign, document: CandidateDocument, *, hull_of: Callable[[Sequence[str]], HullSet | None]
) -> CandidateData:
    """Return everything stored about a candidate.

    Parameters
    ----------
    hull_of
        Hull of the campaign's reference set over these elements; None if the set is not frozen yet.
    """
    data = CandidateData(campaign=campaign.name, id=document["_id"], made=now())
    entries = attempts_at(campaign, data.id, limit=MOST_ATTEMPTS + 1)
    data.more_attempts = len(entries) > MOST_ATTEMPTS
    entries = entries[:MOST_ATTEMPTS]
    earlier = other_attempts(campaign, data.id, entries) if data.more_attempts else {}
    cpu_s = cpu_seconds_by_document(campaign, documents=[data.id]).get(data.id, 0.0)
    data.title = str(document.get("formula") or data.id)
    data.label = label_of(document)
    data.row = data.read("its numbers", partial(make_row, document, rank=0, cpu_s=cpu_s, policy=campaign.spec.policy))
    data.state = _state(document, data.row)
    data.reason = data.read("its decision", _reason, document) or ""
    data.why = data.read("the output of `campaign explain`", _why, campaign, document) or []
    data.decomposition = data.read("its decomposition", _decomposition, document, hull_of)
    for which in WHICH:
        if found := data.read(f"its {which} crystal", _crystal, document, which):
            data.crystals[which] = found
    _read_dos(campaign, document, data)
    for what, make in (("its origin", _origin), ("its energies", _energies), ("its settings", _overrides)):
        data.facts += data.read(what, make, document) or []
    data.attempts = data.read("its attempts", attempt_rows, entries, earlier) or []
    data.folders = data.read("its folders", folders, document, entries) or []
    data.predictions = data.read("its predictions", _predictions, document) or []
    data.history = data.read("its history", _history, document) or []
    data.neighbours = data.read("its neighbours", neighbours, campaign, document) or {}
    return data


def _reason(document: Mapping[str, Any]) -> str:
    if document.get("role") != SCREENED:
        return "always relaxed, to train the model"
    decision = document.get("decision")
    return str(decision.get("reason") or "no reason is stored") if decision else "not decided yet"


def _state(document: Mapping[str, Any], row: Row | None) -> str:
    state = str(document.get("state"))
    words = _STATES[CandidateState(state)] if state in set(CandidateState) else f"unknown state {state[:_LONGEST]}"
    if row is not None and state == CandidateState.RELAXED and row.stable is not None:
        words += ", stable" if row.stable else ", not stable"
    if row is not None and row.decision.startswith("audit"):
        words += " (audited)"
    return words


def _why(campaign: Campaign, document: CandidateDocument) -> list[str]:
    # the moves have a table of their own
    lines = list(format_explanation(explanation(campaign, document)))
    return [line for line in lines[1:] if not line.startswith("history: ")]


def _decomposition(document: Mapping[str, Any], hull_of: Callable[[Sequence[str]], HullSet | None]) -> str | None:
    return decompositions([document], hull_of(list(document["composition"])))[0]


def _crystal(document: Mapping[str, Any], which: Which) -> CrystalFacts | None:
    content = stored_crystal(document, which)
    return None if content is None else crystal_facts(document["_id"], content, relaxed=which == "relaxed")


def _read_dos(campaign: Campaign, document: Mapping[str, Any], data: CandidateData) -> None:
    stored = {found["_id"]: found for found in read_features(campaign.store, [f"{data.id}:{kind}" for kind in KINDS])}
    for kind, title in KINDS.items():
        if (features := stored.get(f"{data.id}:{kind}")) is None:
            data.no_dos[kind] = data.read(f"its {title}", _no_dos, document, kind) or ""
        elif (found := data.read(f"its {title}", read_dos, features)) is not None:
            data.dos[kind] = found
        else:
            data.no_dos[kind] = f"It is damaged: `campaign reconcile {campaign.name}` repairs it."


def _no_dos(document: Mapping[str, Any], kind: str) -> str:
    """Return the reason why there are no features."""
    stage = STAGES[kind]
    facts = document.get(stage.fields) or {}
    if facts.get("features"):
        return (
            f"Its features {facts['features']} are not in the database: `campaign reconcile "
            f"{document.get('campaign')}` restores them."
        )
    if kind == "rs_dos" and not facts.get("state"):
        return "None is computed: RS-DOS are for structures that train a model (docs/explanation/design.md)."
    state = facts.get("state") if kind == "rs_dos" else document.get("state")
    if state == stage.failed:
        return "It failed permanently; see its attempts."
    if state == stage.running:
        return "It is queued or running."
    if kind == "rs_dos" and document.get("state") != CandidateState.RELAXED:
        return "It would be computed after the relaxation."
    if kind == "dos" and not facts and document.get("state") not in (CandidateState.NEW, CandidateState.HELD):
        return "None is computed: the scorer needs none, or the candidate was relaxed without one."
    return "It is not computed yet."


def _origin(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    role = str(document.get("role"))
    told = [("role", role + (f", batch {document['batch']}" if document.get("batch") is not None else ""))]
    parent = document.get("parent") or {}
    told += [(f"origin: {key}", _plain(value)) for key, value in parent.items()]
    return told


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(part)}" for key, part in value.items())
    return str(value)


def _energies(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    told = []
    for stage in STAGES.values():
        facts = document.get(stage.fields) or {}
        if facts.get("energy") is not None:
            told.append((f"energy of the cell, {stage.title}", f"{float(facts['energy']):.6f} eV"))
        if facts.get("energy_per_atom") is not None:
            told.append((f"energy per atom, {stage.title}", f"{float(facts['energy_per_atom']):.6f} eV/atom"))
        if facts.get("vasp_version"):
            told.append((f"engine, {stage.title}", str(facts["vasp_version"])))
    if error := document.get("correction_error"):
        told.append(("corrections", f"cannot be treated: {error.get('reason')}"))
    return told


def _overrides(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [("settings changed by a person", _plain(one)) for one in document.get("overrides") or []]


def _predictions(document: Mapping[str, Any]) -> list[PredictionRow]:
    made = [*(document.get("previous_predictions") or []), document.get("prediction")]
    return [_prediction(one) for one in reversed(made) if one]


def _prediction(one: Mapping[str, Any]) -> PredictionRow:
    by = f"model {str(one['model'])[:12]}" if one.get("model") else identity_text(one.get("scorer"))
    step = str(one.get("step") or "").rsplit("/", 1)[-1]
    if used := one.get("recalibration"):
        said = float(one["raw"]["e_form_per_atom"])
        by += f", E_f {said:+.3f} corrected by {used['step']} ({used['n']} relaxed)"
    if parts := one.get("parts"):
        by += f", combined: {'; '.join(map(_part, parts))}"
    return PredictionRow(
        time=_time(one.get("time")),
        e_form=_number(one.get("e_form_per_atom")),
        e_hull=_number(one.get("e_above_hull")),
        uncertainty=_number(one.get("uncertainty")),
        by=by + (f", Screen {step}" if step else ""),
    )


def _part(part: Mapping[str, Any]) -> str:
    """Format the prediction of one of several combined scorers: energy in eV/atom and its weight."""
    if (energy := _number(part["e_form_per_atom"])) is None:
        return f"{part['scorer']} none ({part['reason']})"
    doubt = "" if part["uncertainty"] is None else f" +/- {part['uncertainty']:.3f}"
    share = "not counted" if part["weight"] is None else f"weight {part['weight']:.2f}"
    return f"{part['scorer']} {energy:+.3f}{doubt} ({share})"


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _history(document: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    moves = document.get("history") or []
    return [(_time(move.get("time")), format_stage(str(move.get("stage"))), str(move.get("state"))) for move in moves]


def _time(value: Any) -> str:
    return f"{in_utc(value):%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else ""

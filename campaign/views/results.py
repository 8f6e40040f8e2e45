"""Ranked table of a campaign's candidates."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from campaign.attempts.blocked import blocked
from campaign.config.wording import format_count
from campaign.policies.base import Policy
from campaign.store.campaigns import Campaign
from campaign.store.listings import iterate_candidates, open_references
from campaign.store.states import BOOTSTRAP, STAGES, TRAINING, CandidateState
from campaign.store.usage import cpu_seconds_by_document
from campaign.views.export.cells import csv_line
from campaign.views.near_threshold import MARK, near_note, near_threshold
from campaign.views.policy_dry_run import word_of
from campaign.views.reused import reused_from

#: Flags of an IS-DOS, and their meaning.
_CHANGED = {"smearing_changed": "smearing", "kpoints_changed": "k-points"}
#: Fields that determine the ranking.
STABILITY_FIELDS = tuple(
    f"{part}.{key}" for part in ("result", "prediction") for key in ("e_above_hull", "e_form_per_atom")
)
_DIGITS = 6  # of an energy in eV/atom: a millionth of an eV, far below what any calculation converges to
#: Fields of a row; nothing else is read, since 100,000 candidates are in memory for the ranking.
_FIELDS = (
    *("formula", "prototype", "role", "state", "parent.name", "parent.columns"),
    *("decision.outcome", "decision.promoted", "decision.audit", "decision.kind"),
    *(f"{part}.{key}" for part in ("prefilter", "prediction", "result") for key in ("e_form_per_atom", "e_above_hull")),
    *("prediction.raw.e_form_per_atom", "prediction.raw.e_above_hull", "prediction.recalibration.step"),
    "prediction.parts",
    *("prediction.corrections", "prediction.uncertainty", "prediction.novel", "result.corrections", "result.stable"),
    *("correction_error", *(f"is_dos.{flag}" for flag in _CHANGED)),
    *(f"{stage.fields}.reused_from" for stage in STAGES.values()),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One candidate. Energies in eV/atom, None where there is none (yet); `cpu_s` counts every attempt.

    `decision` is promoted, rejected, held (by the budget), audit (not promoted, and relaxed as part of the random
    sample) or person (promoted by a person), ``training`` for those that train a model (relaxed, not predicted), or
    ``waiting`` for a candidate that has not come to its Screen; with ``uncorrectable`` behind it where the correction
    scheme of the references cannot treat the relaxed crystal, which then has no E_f. `corrections` are those in all
    four energies: ``none`` or ``mp2020``.
    `dos_changed` is what custodian changed of the IS-DOS: ``smearing``, ``k-points``, both, or None. `reused_from`
    names the campaigns whose calculations were reused at no cost; None: it was computed here. `uncertainty` is the
    standard deviation of `e_form_ml`, `novel` whether the crystal is unlike the model's training data; both None if the
    model cannot say. `near_threshold` is whether a rejected candidate would be promoted if its predicted energy were
    lower by one standard deviation; None if no policy rejected it, or without a standard deviation. Energies are
    rounded to 1e-6 eV/atom. `e_form_prefilter` and `e_hull_prefilter` are the prefilter's, None without one; a rejected
    candidate without `e_form_ml` was rejected by it, without an IS-DOS.
    `e_form_raw` and `e_hull_raw` are the scorer's own predictions, and `recalibration` is the step whose fit turned
    them into `e_form_ml` and `e_hull_ml`; all None if the prediction was not corrected.
    `parts` is what each of several combined scorers predicts (its `e_form`, `uncertainty` and `weight`, by its name);
    None with one scorer.
    `name` is the name of a given
    crystal in its source, and `columns` further information from there.
    """

    rank: int
    id: str
    formula: str
    prototype: str
    e_form_ml: float | None
    e_hull_ml: float | None
    decision: str
    e_form_dft: float | None
    e_hull_dft: float | None
    stable: bool | None
    cpu_s: float
    corrections: str | None
    dos_changed: str | None = None
    reused_from: str | None = None
    state: str = ""
    uncertainty: float | None = None
    novel: bool | None = None
    e_form_prefilter: float | None = None
    e_hull_prefilter: float | None = None
    e_form_raw: float | None = None
    e_hull_raw: float | None = None
    recalibration: str | None = None
    parts: Mapping[str, Mapping[str, float | None]] | None = None
    name: str | None = None
    columns: Mapping[str, Any] | None = None
    near_threshold: bool | None = None


def result_rows(campaign: Campaign) -> list[Row]:
    """Return the candidates of a campaign, the most stable first.

    Relaxed ones come first, by E_hull(DFT); then the others by E_hull(ML); then those without either.
    """
    cost = cpu_seconds_by_document(campaign)
    found = sorted(iterate_candidates(campaign, _FIELDS), key=stability)
    return [
        make_row(document, rank=rank, cpu_s=cost.get(document["_id"], 0.0), policy=campaign.spec.policy)
        for rank, document in enumerate(found, start=1)
    ]


def make_row(document: Mapping[str, Any], *, rank: int, cpu_s: float, policy: Policy) -> Row:
    """Return the row of one candidate.

    Parameters
    ----------
    document
        The candidate's, whole or the fields that a row is made of.
    rank
        Its place in the table; 0 where only this candidate is looked at.
    cpu_s
        CPU-seconds of all its attempts.
    policy
        The policy in force.
    """
    return Row(
        rank=rank,
        id=document["_id"],
        formula=document["formula"],
        prototype=document["prototype"],
        e_form_ml=_number(document, "prediction", "e_form_per_atom"),
        e_hull_ml=_number(document, "prediction", "e_above_hull"),
        decision=_decision(document),
        e_form_dft=_number(document, "result", "e_form_per_atom"),
        e_hull_dft=_number(document, "result", "e_above_hull"),
        stable=(document.get("result") or {}).get("stable"),
        cpu_s=round(cpu_s, 1),
        corrections=(document.get("result") or document.get("prediction") or {}).get("corrections"),
        dos_changed=dos_changed(document),
        reused_from=", ".join(sorted({origin["campaign"] for _, origin in reused_from(document)})) or None,
        state=document["state"],
        uncertainty=_number(document, "prediction", "uncertainty"),
        novel=(document.get("prediction") or {}).get("novel"),
        e_form_prefilter=_number(document, "prefilter", "e_form_per_atom"),
        e_hull_prefilter=_number(document, "prefilter", "e_above_hull"),
        **_corrected(document),
        parts=_parts(document),
        name=(document.get("parent") or {}).get("name"),
        columns=plain_json((document.get("parent") or {}).get("columns")) or None,
        near_threshold=near_threshold(document, policy),
    )


def _corrected(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the uncorrected prediction of a candidate and the step of its correction, if it was corrected."""
    prediction = document.get("prediction") or {}
    if not prediction.get("recalibration"):
        return {}
    energies = {"e_form_raw": "e_form_per_atom", "e_hull_raw": "e_above_hull"}
    said = {column: _number(prediction, "raw", key) for column, key in energies.items()}
    return {**said, "recalibration": prediction["recalibration"]["step"]}


def _parts(document: Mapping[str, Any]) -> dict[str, dict[str, float | None]] | None:
    """Return the predictions of several combined scorers for a candidate in eV/atom, with their weights."""
    parts = (document.get("prediction") or {}).get("parts") or []
    names = {"e_form": "e_form_per_atom", "uncertainty": "uncertainty", "weight": "weight"}
    return {
        part["scorer"]: {
            name: None if part[field] is None else round(float(part[field]), _DIGITS) + 0.0
            for name, field in names.items()
        }
        for part in parts
    } or None


def plain_json(value: Any) -> Any:
    """Return a value from a user's file as JSON types: None for NaN and infinities, text for other types."""
    if isinstance(value, Mapping):
        return {str(key): plain_json(part) for key, part in value.items()}
    if isinstance(value, list):
        return [plain_json(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def dos_changed(document: Mapping[str, Any]) -> str | None:
    """Return custodian's changes of a candidate's IS-DOS that affect the DOS, or None."""
    facts = document.get("is_dos") or {}
    return " and ".join(word for flag, word in _CHANGED.items() if facts.get(flag)) or None


def _number(document: Mapping[str, Any], part: str, key: str) -> float | None:
    value = _exact(document, part, key)
    return None if value is None else round(value, _DIGITS) + 0.0  # no -0.0


def _exact(document: Mapping[str, Any], part: str, key: str) -> float | None:
    value = (document.get(part) or {}).get(key)
    return None if value is None or math.isnan(value) else float(value)


def stability(document: Mapping[str, Any]) -> tuple[int, float, float, str]:
    """Return the ranking key: relaxed, predicted or neither; E_hull and E_f in eV/atom; id."""
    for place, part in enumerate(("result", "prediction")):
        e_hull, e_form = _exact(document, part, "e_above_hull"), _exact(document, part, "e_form_per_atom")
        if e_hull is not None and e_form is not None:
            return place, e_hull, e_form, document["_id"]
    return 2, 0.0, 0.0, document["_id"]


def _decision(document: Mapping[str, Any]) -> str:
    ending = ", failed" if document["state"].endswith("_failed") else ""
    if document.get("correction_error"):
        ending = ", uncorrectable"
    if document["role"] in (BOOTSTRAP, TRAINING):
        return f"training{ending}"
    decision = word_of(document.get("decision"))
    if decision == "waiting":
        return "held" if document["state"] == CandidateState.HELD else "waiting"
    return f"{decision}{ending}"


def why_no_energy(campaign: Campaign) -> str | None:
    """Return why no candidate has an E_f yet, in one line; None once the references are computed."""
    if campaign.document.get("reference_set") is not None:
        return None
    if (found := blocked(campaign)) is not None:
        return str(found)
    named = ", ".join(str(document.get("label", document["_id"])) for document in open_references(campaign))
    return f"E_f is empty until the references are computed; still to come: {named}" if named else None


def closing_lines(campaign: Campaign, rows: Sequence[Row]) -> Iterator[str]:
    """Yield what belongs below the table: the basis of the predictions, and what to do about uncertain rejections."""
    yield f"\n{format_model(campaign)}"
    if number := sum(bool(row.near_threshold) for row in rows):
        yield near_note(number, campaign.name)


def format_model(campaign: Campaign) -> str:
    """Return a one-line description of the basis of the predictions."""
    model = campaign.document.get("model")
    if campaign.spec.purpose == "training_set":
        engine = campaign.document["engine"]
        return f"A training set: every candidate is relaxed, nothing is predicted. DFT by {engine}."
    if not campaign.spec.scorer.needs_model:
        return _with_engine(f"Predictions (ML): {campaign.spec.scorer.describe()}", campaign)
    if model is None:
        return "No model yet: nothing has been predicted."
    count = model["n_structures"]
    line = f"Predictions (ML) are from a model trained on {count} materials"
    if model["source"] == "bootstrap":
        line += " of this campaign's own bootstrap sample and references"
    number = len(campaign.document.get("models") or [])
    if model["source"] == "retrained":
        line += f", including those relaxed by this campaign (model {number} of {number}, by retraining; "
        line += "earlier decisions were made with previous models)"
    if count is None or count < 1000:
        line += ": far too few to be reliable; only the DFT columns are results"
    return _with_engine(line, campaign)


def _with_engine(line: str, campaign: Campaign) -> str:
    if campaign.document["quality"] == "fast":
        line += ". Quality fast: coarse k-points, for examples only"
    return f"{line}. DFT by {campaign.document['engine']}."


def rows_as_json(rows: Sequence[Row]) -> str:
    """Return rows as a JSON list of objects."""
    return json.dumps([asdict(row) for row in rows], indent=1)


def rows_as_csv(rows: Sequence[Any], kind: Any = Row) -> str:
    """Return rows of a dataclass as CSV with a header line; None becomes an empty cell."""
    names = [field.name for field in fields(kind)]
    lines = (csv_line([getattr(row, name) for name in names], names) for row in rows)
    return "".join([csv_line(names), *lines])


def csv_text(rows: Sequence[Sequence[Any]]) -> str:
    """Return rows of values as CSV."""
    return "".join(map(csv_line, rows))


def rows_as_table(rows: Sequence[Row], *, title: str, more: Mapping[str, Sequence[str]] | None = None) -> Table:
    """Return rows as a table for the terminal, with an uncertainty column if there is any.

    Parameters
    ----------
    more
        Further columns by heading, with a text per row.
    """
    added = more or {}
    # narrow enough for a terminal of 80 columns
    energies = "energies in eV/atom"
    if "mp2020" in {row.corrections for row in rows}:
        energies += ", with the corrections mp2020"
    table = Table(title=f"{title} ({energies})", title_justify="left", box=None, padding=(0, 1, 0, 0))
    texts = ("name", "formula", "prototype", "decision", "stable")
    # the name of a user's structure file may be long: it is the only thing that is ever shortened
    formulas = [f"{row.formula}*" if row.dos_changed else row.formula for row in rows]
    notes = []
    if any(row.dos_changed for row in rows):
        notes.append("* custodian changed k-points or smearing of the IS-DOS: see campaign explain")
    if number := sum(row.recalibration is not None for row in rows):
        notes.append(
            f"{format_count(number, 'prediction')} corrected with results of relaxations; uncorrected predictions: "
            "--format csv"
        )
    if combined := next((row.parts for row in rows if row.parts), None):
        notes.append(f"ML: combined of {' and '.join(combined)}; what each says: --format csv, campaign explain")
    if any(row.novel for row in rows):
        notes.append("! unlike the model's training data")
    table.caption, table.caption_justify = "\n".join(notes) or None, "left"
    decisions = [f"{row.decision}{MARK if row.near_threshold else ''}" for row in rows]
    longest = max(map(len, decisions), default=0)
    widths = {"#": len(str(len(rows))), "formula": max([7, *map(len, formulas)]), "prototype": 9}
    widths |= {"decision": max(8, longest), "stable": 6, "CPU-s": 5}
    before = ("E_hull\npre",) if any(row.e_hull_prefilter is not None for row in rows) else ()
    ml, dft = ("E_f\nML", "E_hull\nML"), ("E_f\nDFT", "E_hull\nDFT")
    with_deviation = any(row.uncertainty is not None or row.novel for row in rows)
    deviation = ("+/-\nML",) if with_deviation else ()
    widths["+/-\nML"] = 5
    # crystals that were given as they are are known by their names
    named = ("name",) if any(row.name for row in rows) else ()
    for heading in ("#", *named, "formula", "prototype", *before, *ml, *deviation, "decision", *dft, "stable", "CPU-s"):
        justify: Literal["left", "right"] = "left" if heading in texts else "right"
        table.add_column(heading, justify=justify, no_wrap=True, min_width=widths.get(heading, 6))
    for heading in added:
        table.add_column(heading)
    for row, formula, decision, *rest in zip(rows, formulas, decisions, *added.values(), strict=True):
        predicted = [_energy(value) for value in (row.e_form_ml, row.e_hull_ml)]
        found = [_energy(value) for value in (row.e_form_dft, row.e_hull_dft)]
        stable = Text("yes", style="green") if row.stable else Text("" if row.stable is None else "no")
        cost = f"{row.cpu_s:.0f}"
        if with_deviation:
            predicted.append(_deviation(row))
        name = [row.name or ""] if named else []
        if before:
            predicted.insert(0, _energy(row.e_hull_prefilter))
        cells = [str(row.rank), *name, formula, row.prototype, *predicted, decision, *found, stable, cost, *rest]
        table.add_row(*cells)
    return table


def _deviation(row: Row) -> str:
    return ("" if row.uncertainty is None else f"{row.uncertainty:.3f}") + ("!" if row.novel else "")


def _energy(value: float | None) -> str:
    return "" if value is None else f"{value:+.3f}"

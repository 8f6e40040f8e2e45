"""The top of the page: what was found, what it cost, how well the model does; in ten seconds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from campaign.store.states import CandidateState
from campaign.views.report.data import ReportData
from campaign.views.results import Row

_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Card:
    """One large number with what it means."""

    id: str
    title: str
    value: str
    unit: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The top of the page.

    Attributes
    ----------
    cards
        Three large numbers.
    best
        The most stable candidates that were found.
    lines
        What else a reader must know first: the model, problems, what the budget holds.
    """

    cards: Sequence[Card]
    best: Sequence[Row]
    lines: Sequence[str]


def summary(data: ReportData) -> Summary:
    """Say it."""
    stable = [row for row in data.rows if row.stable]
    return Summary(cards=[_found(data), _cost(data), _model(data)], best=stable[:_NAMED], lines=_format_state(data))


def _found(data: ReportData) -> Card:
    counts = data.metrics.candidates
    every = counts.screened + counts.training
    relaxed = data.metrics.n_results
    if data.campaign.spec.purpose == "training_set":
        text = f"of {every} candidates with a DFT energy; a training set relaxes them all"
        return Card(id="found", title="Relaxed", value=f"{relaxed:,}", unit="", text=text)
    text = f"among {every:,} candidates, {relaxed:,} of them relaxed"
    if data.metrics.n_stable and data.metrics.metrics is not None:
        promoted = counts.promoted
        text += f"; {promoted:,} were promoted"
    return Card(id="found", title="Stable crystals found", value=f"{data.metrics.n_stable:,}", unit="", text=text)


def _cost(data: ReportData) -> Card:
    hours = data.costs.cpu_s / 3600.0
    saving = math.nan if data.metrics.metrics is None else data.metrics.metrics.saving
    if math.isnan(saving):
        text = "so far, all stages and failed attempts counted"
    elif saving >= 0.0:
        text = f"in all; {100 * saving:.1f} % less than relaxing every candidate, IS-DOS and audit counted"
    else:
        text = f"in all; {-100 * saving:.1f} % MORE than relaxing every candidate: the IS-DOS cost more than was saved"
    return Card(
        id="cost", title="Cost", value=f"{hours:,.3g}" if hours < 1000 else f"{hours:,.0f}", unit="CPU-hours", text=text
    )


def _model(data: ReportData) -> Card:
    if data.parity is None:
        text = "no candidate with a prediction is relaxed yet, so nobody knows how far off predictions are"
        return Card(id="model", title="Error of the model", value="unknown", unit="", text=text)
    text = f"mean absolute error of E_f over {data.parity.metrics.n:,} relaxed candidates"
    measured = data.metrics.metrics
    if measured is not None and math.isfinite(measured.success_ratio):
        text += f"; {100 * measured.success_ratio:.0f} % of the promoted that were relaxed are stable"
    return Card(
        id="model", title="Error of the model", value=f"{data.parity.metrics.mae:.3f}", unit="eV/atom", text=text
    )


def _format_state(data: ReportData) -> list[str]:
    lines = [data.model_line, *(f"Note: {note}." for note in data.reference_notes)]
    if data.status.problem:
        lines.append(f"Problem: {data.status.problem}")
    if held := data.status.candidates.get(CandidateState.HELD):
        lines.append(f"The budget holds {held} candidates: `campaign budget {data.name}` shows it and changes it.")
    if data.failures:
        lines.append(f"{len(data.failures)} calculation(s) failed for good; see Failures.")
    if data.metrics.purpose == "screening" and not data.metrics.n_results:
        lines.append("Nothing is relaxed yet: everything below rests on predictions.")
    return lines

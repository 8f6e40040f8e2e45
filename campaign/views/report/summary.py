"""The basis of a report's numbers: the model, the saving, and necessary warnings."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from campaign.config.wording import format_count
from campaign.views.report.data import ReportData
from campaign.views.report.enough import errors_missing, saving_missing, success_ratio_missing
from campaign.views.report.first_screen import Card
from campaign.views.results import Row

_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The part of the page between the first screen and the figures.

    Attributes
    ----------
    cards
        Large numbers computed from the whole campaign.
    best
        The most stable discoveries.
    lines
        Notes on the model and the settings of the references.
    """

    cards: Sequence[Card]
    best: Sequence[Row]
    lines: Sequence[str]


def summary(data: ReportData) -> Summary:
    """Return the summary of a report."""
    stable = [row for row in data.rows if row.stable]
    cards = [_model(data), _saving(data)] if data.metrics.purpose == "screening" else []
    return Summary(cards=cards, best=stable[:_NAMED], lines=_format_notes(data))


def _model(data: ReportData) -> Card:
    missing = errors_missing(data)
    value, unit = "unknown", ""
    if data.parity is None:
        text = "no candidate with a prediction is relaxed yet, so the error of the predictions is unknown"
    elif missing is not None:
        text = missing
    else:
        value, unit = f"{data.parity.metrics.mae:.3f}", "eV/atom"
        text = f"mean absolute error of E_f over {data.parity.metrics.n:,} relaxed candidates"
    measured = data.metrics.metrics
    if measured is not None and math.isfinite(measured.success_ratio) and success_ratio_missing(data) is None:
        text += f"; {100 * measured.success_ratio:.0f} % of the promoted and relaxed candidates are stable"
    return Card(id="model", title="Error of the model", value=value, unit=unit, text=text)


def _saving(data: ReportData) -> Card:
    saving = math.nan if data.metrics.metrics is None else data.metrics.metrics.saving
    value = "unknown"
    if math.isnan(saving):
        text = "the cost of relaxing every candidate is not known yet"
    elif (missing := saving_missing(data)) is not None:
        text = missing
    else:
        value = f"{100 * saving:.1f} %"
        text = "less than relaxing every candidate, including IS-DOS and audit"
        if saving < 0.0:
            text = "negative: the IS-DOS cost more than was saved compared with relaxing every candidate"
    return Card(id="saving", title="CPU time saved", value=value, unit="", text=text)


def _format_notes(data: ReportData) -> list[str]:
    lines = [data.model_line, *(f"Note: {note}." for note in data.reference_notes)]
    uncorrectable = sum(row.kind == "uncorrectable" for row in data.failures)
    if failed := len(data.failures) - uncorrectable:
        lines.append(f"{format_count(failed, 'calculation')} failed permanently; see Failures.")
    if uncorrectable:
        lines.append(f"Results that the correction scheme cannot treat: {uncorrectable}; see Failures.")
    if data.metrics.purpose == "screening" and not data.metrics.n_results:
        lines.append("Nothing is relaxed yet: all values below are predictions.")
    return lines

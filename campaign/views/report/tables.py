"""The tables of a report: columns with their units, rows as plain values; for the page and for CSV files."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from campaign.views.metrics.text import metrics_rows
from campaign.views.near_threshold import MARK
from campaign.views.report.data import DecisionRow, FailureRow, ReportData
from campaign.views.results import Row, csv_text, rows_as_csv

MOST_ROWS = 2000
"""Maximum number of rows of a table in the page; the CSV files have all."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column.

    Attributes
    ----------
    kind
        ``number`` is shown with `digits` and exported in full; ``3d`` opens the structure viewer; ``candidate`` links
        to the page of the candidate whose id is in the column ``id``, if a server provides it.
    """

    title: str
    unit: str = ""
    kind: Literal["text", "number", "flag", "3d", "candidate"] = "text"
    digits: int = 0
    signed: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of the page.

    Attributes
    ----------
    id
        Name in the page and of the CSV file.
    columns, rows
        Its content; at most `MOST_ROWS` rows.
    n_rows
        Total number of rows.
    """

    id: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    n_rows: int

    @property
    def note(self) -> str:
        """Note on rows that are left out, or an empty string."""
        if len(self.rows) == self.n_rows:
            return ""
        return f"The first {len(self.rows)} of {self.n_rows} rows. All are in the CSV files of `campaign report --csv`."

    def to_json(self) -> dict[str, Any]:
        """Return the table as the page's script reads it."""
        return {"columns": [asdict(column) for column in self.columns], "rows": self.rows}


def _energy(title: str) -> Column:
    return Column(title=title, unit="eV/atom", kind="number", digits=3, signed=True)


def page_tables(data: ReportData) -> list[Table]:
    """Return all tables of the page."""
    return [_candidates_table(data), _decisions_table(data), failures_table(data)]


def _candidates_table(data: ReportData) -> Table:
    """Return the ranked table of ``campaign results``."""
    with_structure = {structure.id for structure in data.structures}
    columns = [
        Column(title="#", kind="number"),
        Column(title="formula", kind="candidate"),
        Column(title="prototype"),
        Column(title="3D", kind="3d"),
        _energy("E_f(ML)"),
        _energy("E_hull(ML)"),
        Column(title="decision"),
        _energy("E_f(DFT)"),
        _energy("E_hull(DFT)"),
        Column(title="stable", kind="flag"),
        Column(title="cost", unit="CPU-s", kind="number", digits=1),
        Column(title="id", kind="candidate"),
    ]
    rows = [
        [
            *(row.rank, row.formula, row.prototype, row.id if row.id in with_structure else None, row.e_form_ml),
            *(row.e_hull_ml, _decision(row), row.e_form_dft, row.e_hull_dft, row.stable, row.cpu_s, row.id),
        ]
        for row in data.rows[:MOST_ROWS]
    ]
    return Table(id="candidates", columns=columns, rows=rows, n_rows=len(data.rows))


def _decision(row: Row) -> str:
    return f"{row.decision}{MARK}" if row.near_threshold else row.decision


def _decisions_table(data: ReportData) -> Table:
    """Return the table of decisions and their reasons."""
    columns = [
        Column(title="formula"),
        Column(title="prototype"),
        Column(title="decision"),
        Column(title="reason"),
        _energy("E_f(ML)"),
        _energy("E_hull(ML)"),
        Column(title="std. deviation", unit="eV/atom", kind="number", digits=3),
        Column(title="Screen"),
        Column(title="time", unit="UTC"),
    ]
    rows = [
        [
            *(row.formula, row.prototype, row.decision, row.reason, row.e_form_ml, row.e_hull_ml, row.uncertainty),
            *(row.step.rsplit("/", 1)[-1], row.time),
        ]
        for row in data.decisions[:MOST_ROWS]
    ]
    return Table(id="decisions", columns=columns, rows=rows, n_rows=len(data.decisions))


def failures_table(data: ReportData) -> Table:
    """Return the table of permanent failures."""
    columns = [Column(title=title) for title in ("what", "stage", "kind", "error")]
    rows = [[row.name, row.stage, row.kind, row.error] for row in data.failures[:MOST_ROWS]]
    return Table(id="failures", columns=columns, rows=rows, n_rows=len(data.failures))


def csv_texts(data: ReportData) -> dict[str, str]:
    """Return the content of each CSV file by name, all rows; energies in eV/atom, costs in CPU-s, times in UTC."""
    stages = [["stage", "attempts", "cpu_s", "gpu_s"]]
    stages += [[cost.stage, str(cost.attempts), f"{cost.cpu_s:.1f}", f"{cost.gpu_s:.1f}"] for cost in data.costs.stages]
    measured = [["what", "value", "meaning"], *(list(row) for row in metrics_rows(data.metrics))]
    steps = [["step", "candidates"], *([step, str(n)] for step, n in data.funnel.items())]
    return {
        "results.csv": rows_as_csv(data.rows),
        "decisions.csv": rows_as_csv(data.decisions, DecisionRow),
        "failures.csv": rows_as_csv(data.failures, FailureRow),
        "costs.csv": csv_text(stages),
        "metrics.csv": csv_text(measured),
        "funnel.csv": csv_text(steps),
    }

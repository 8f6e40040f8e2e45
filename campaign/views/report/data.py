"""Numbers of a report, the input of `render_html`, the print figures and the CSV files."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from campaign.spec.reference_checks import entries_notes
from campaign.store.campaigns import Campaign
from campaign.store.collections import now
from campaign.store.listings import failed_references
from campaign.store.reference_sets import find_reference_set
from campaign.views.figures.costs import CampaignCosts, campaign_costs
from campaign.views.figures.discoveries import Discoveries, discoveries
from campaign.views.figures.documents import CandidateColumns, read_candidates
from campaign.views.figures.dos_map import DosMap, dos_map
from campaign.views.figures.dos_pairs import DosPairs, dos_pairs
from campaign.views.figures.elements import ElementSuccess, element_success
from campaign.views.figures.hulls import CampaignHulls, campaign_hulls
from campaign.views.figures.parity import Calibration, Parity, calibration, parity
from campaign.views.figures.reproduction import Reproduction, reproduction
from campaign.views.figures.thresholds import ThresholdFigures, threshold_figures
from campaign.views.figures.timeline import Timeline, timeline
from campaign.views.metrics.campaign_metrics import CampaignMetrics, campaign_metrics
from campaign.views.report.structures import ShownStructure, read_structures
from campaign.views.results import Row, format_model, result_rows
from campaign.views.status.counts import Status
from campaign.views.status.funnel import passed_steps
from campaign.views.status.report import StatusReport, status_report


@dataclass(frozen=True, kw_only=True)
class DecisionRow:
    """Decision with its reason; energies in eV/atom, None if missing."""

    formula: str
    prototype: str
    decision: str
    reason: str
    e_form_ml: float | None
    e_hull_ml: float | None
    uncertainty: float | None
    step: str
    time: str
    id: str


@dataclass(frozen=True, kw_only=True)
class FailureRow:
    """A candidate or reference that failed permanently, or that the corrections cannot treat."""

    name: str
    stage: str
    kind: str
    error: str
    id: str


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """A campaign at one moment.

    Attributes
    ----------
    name, made
        The campaign, and when it was read (UTC).
    campaign, status_report, metrics
        As stored, as ``campaign status``, and as ``campaign metrics --sweep``.
    discoveries, timeline
        Discoveries over cost, and the attempts of the last hours; None if there are none.
    model_line
        Model of the predictions, in one line.
    reference_notes
        Settings in which references from a file and the campaign may differ.
    rows
        The rows of ``campaign results``, all of them, in their order.
    decisions
        One for each candidate decided on, in the order of `rows`.
    failures
        Permanent failures.
    structures
        Structures of the best candidates, in the order of `rows`.
    funnel, thresholds, parity, calibration, dos_map, dos_pairs, costs, hulls, elements
        Numbers of the figures; None (a sentence for the map) if there is nothing to show.
    """

    name: str
    made: datetime
    campaign: Campaign
    status_report: StatusReport
    discoveries: Discoveries | None
    timeline: Timeline | None
    metrics: CampaignMetrics
    model_line: str
    reference_notes: Sequence[str]
    rows: Sequence[Row]
    decisions: Sequence[DecisionRow]
    failures: Sequence[FailureRow]
    structures: Sequence[ShownStructure]
    funnel: dict[str, int]
    thresholds: ThresholdFigures | None
    parity: Parity | None
    calibration: Calibration | None
    dos_map: DosMap | str
    dos_pairs: DosPairs | None
    costs: CampaignCosts
    hulls: CampaignHulls | None
    elements: Sequence[ElementSuccess] | None
    reproduction: Reproduction

    @property
    def status(self) -> Status:
        """Counts of ``campaign status``."""
        return self.status_report.status


def build_report(campaign: Campaign, *, map_of_dos: bool = True) -> ReportData:
    """Read the data of a report; the campaign is not changed and may be running.

    Parameters
    ----------
    map_of_dos
        Whether to make the map of the DOS, which takes half a minute if it is not cached.
    """
    columns = read_candidates(campaign)
    metrics = campaign_metrics(campaign, sweep=True)
    rows = result_rows(campaign)
    swept = metrics.sweep
    made = now()
    return ReportData(
        name=campaign.name,
        made=made,
        campaign=campaign,
        status_report=status_report(campaign, at=made),
        discoveries=discoveries(campaign, at=made),
        timeline=timeline(campaign, at=made),
        metrics=metrics,
        model_line=format_model(campaign),
        reference_notes=_reference_notes(campaign),
        rows=rows,
        decisions=_decisions(rows, columns),
        failures=_failures(campaign, columns),
        structures=read_structures(campaign.store, rows),
        funnel=passed_steps(columns, campaign),
        thresholds=None if swept is None else threshold_figures(columns, campaign, swept, metrics.costs.costs),
        parity=parity(columns),
        calibration=calibration(columns),
        dos_map=dos_map(campaign, columns) if map_of_dos else "The map of the DOS was left out.",
        dos_pairs=dos_pairs(campaign, columns),
        costs=campaign_costs(campaign),
        hulls=campaign_hulls(campaign, rows, columns),
        elements=element_success(columns),
        reproduction=reproduction(campaign),
    )


def _reference_notes(campaign: Campaign) -> list[str]:
    checksum = campaign.document.get("imported_references")
    stored = None if checksum is None else find_reference_set(campaign.store, checksum, ["dft"])
    return [] if stored is None else list(entries_notes(stored.get("dft"), campaign.spec.dft))


def _decisions(rows: Sequence[Row], columns: CandidateColumns) -> list[DecisionRow]:
    by_id = dict(zip(columns.ids, columns.documents, strict=True))
    made = []
    for row in rows:
        # candidates added while the campaign was being read are left to the next report
        document = by_id.get(row.id) or {}
        if not (decision := document.get("decision")):
            continue
        uncertainty = (document.get("prediction") or {}).get("uncertainty")
        time = decision.get("time")
        made.append(
            DecisionRow(
                formula=row.formula,
                prototype=row.prototype,
                decision=row.decision,
                reason=str(decision.get("reason") or ""),
                e_form_ml=row.e_form_ml,
                e_hull_ml=row.e_hull_ml,
                uncertainty=None if uncertainty is None or math.isnan(uncertainty) else float(uncertainty),
                step=str(decision.get("step") or ""),
                time=f"{time:%Y-%m-%d %H:%M:%S}" if isinstance(time, datetime) else "",
                id=row.id,
            )
        )
    return made


def _failures(campaign: Campaign, columns: CandidateColumns) -> list[FailureRow]:
    found = [_failure(document, label) for document, label in zip(columns.documents, columns.labels, strict=True)]
    for document in failed_references(campaign):
        found.append(_failure(document, f"reference {document.get('label') or document['formula']}"))
    return [row for row in found if row is not None]


def _failure(document: dict[str, Any], name: str) -> FailureRow | None:
    failure, refused = document.get("final_failure"), document.get("correction_error")
    states = document.get("state"), (document.get("rs_dos") or {}).get("state")
    if isinstance(failure, dict) and any(str(state).endswith("failed") for state in states):
        stage, kind, error = (str(failure.get(key) or "") for key in ("stage", "kind", "error"))
    elif isinstance(refused, dict):
        stage, kind, error = "result", "uncorrectable", str(refused.get("reason") or "")
    else:
        return None
    return FailureRow(name=name, stage=stage, kind=kind, error=error, id=str(document["_id"]))

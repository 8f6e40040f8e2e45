"""Figures of the page, their order and headings."""

from dataclasses import dataclass

from campaign.views.report import activity_figures, cost_figures, hull_figures, model_figures, screening_figures
from campaign.views.report.data import ReportData
from campaign.views.report.plotly_figures import PageFigure


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading with its figures."""

    id: str
    title: str
    figures: list[PageFigure]


def sections(data: ReportData) -> list[Section]:
    """Return the figures of a campaign; a training campaign has none of decisions or of a model."""
    happened = [
        activity_figures.discoveries_figure(data.discoveries),
        activity_figures.timeline_figure(data.timeline),
        screening_figures.funnel_figure(data),
    ]
    found = [Section(id="funnel-section", title="What happened", figures=happened)]
    screening = data.campaign.spec.purpose == "screening"
    if screening:
        model = [model_figures.parity_figure(data), model_figures.calibration_figure(data)]
        found.append(Section(id="model", title="Accuracy of the model", figures=model))
        decisions = [screening_figures.three_metrics_figure(data), screening_figures.f1_figure(data)]
        decisions.append(screening_figures.precision_recall_figure(data))
        found.append(Section(id="decision-quality", title="Quality of the decisions", figures=decisions))
    costs = [cost_figures.cost_figure(data)]
    if screening:
        costs += [cost_figures.effective_cost_figure(data), cost_figures.saving_figure(data)]
    found.append(Section(id="cost", title="What it cost", figures=costs))
    found.append(Section(id="hull-section", title="Convex hulls and elements", figures=hull_figures.hull_figures(data)))
    dos = [_pair_figure(data), model_figures.similarity_figure(data)]
    if screening:
        dos.insert(0, model_figures.map_figure(data))
    found.append(Section(id="dos", title="The densities of states", figures=dos))
    return found


def _pair_figure(data: ReportData) -> PageFigure:
    """Return the figure of IS-DOS and RS-DOS; the browser draws the selected pair."""
    notes = []
    if data.dos_pairs is not None and len(data.dos_pairs.shown) < data.dos_pairs.n_pairs:
        notes.append(f"The {len(data.dos_pairs.shown)} most stable of {data.dos_pairs.n_pairs} candidates with both.")
    return PageFigure(
        id="pair",
        title="IS-DOS against RS-DOS",
        reading="Total DOS of the unrelaxed and of the relaxed crystal; dashed: the Fermi levels. The more similar "
        "they are, the more the model can predict before the relaxation.",
        missing=None
        if data.dos_pairs is not None
        else "No candidate has both an IS-DOS and an RS-DOS. Campaigns compute both for a training set, and with "
        "screening.retrain_every.",
        notes=notes,
        height=420,
        has_choice=True,
    )

"""The interactive funnel: how many candidates are left after each step of the screening."""

from campaign.views.report.data import ReportData
from campaign.views.report.plotly_figures import BLUE, PageFigure, figure_json, graph_objects


def funnel_figure(data: ReportData) -> PageFigure:
    """Figure 5a."""
    go = graph_objects()
    trace = go.Funnel(
        y=list(data.funnel),
        x=list(data.funnel.values()),
        marker={"color": BLUE},
        connector={"fillcolor": "rgba(138,138,138,0.25)"},
        # a bar of nothing has no inside for its number
        textposition="auto",
        texttemplate="%{value:,}",
        hovertemplate="%{y}: %{x:,} (%{percentInitial:.1%} of all)<extra></extra>",
    )
    return PageFigure(
        id="funnel",
        title="Funnel of the screening",
        reading="Each bar is what is left of the candidates after a step; the last one is what was found.",
        json=figure_json([trace], showlegend=False, yaxis={"title": None}),
        height=60 + 48 * len(data.funnel),
        is_wide=True,
    )

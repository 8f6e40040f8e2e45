"""The page: one self-contained HTML file that opens without a network."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from campaign.views.metrics.text import metrics_notes, metrics_rows
from campaign.views.report.browser_data import browser_json, script_json
from campaign.views.report.data import ReportData
from campaign.views.report.html import asset, environment, first_screen_html, state_word
from campaign.views.report.plotly_figures import PageFigure
from campaign.views.report.sections import Section, sections
from campaign.views.report.summary import summary
from campaign.views.report.tables import page_tables
from esnet.files.errors import require

_SCRIPTS = (
    *("theme.js", "page.js", "figures.js", "hulls.js", "elements.js", "tables.js", "crystal.js", "structures.js"),
    "live.js",
)


@dataclass(frozen=True, kw_only=True)
class LivePage:
    """Settings with which a page refreshes itself.

    Attributes
    ----------
    refresh_s
        Seconds between the browser's requests to its own address and ``/revision``.
    revision
        Revision of this page; if the server's differs, there is a new page.
    """

    refresh_s: float
    revision: str


def render_html(data: ReportData, *, live: LivePage | None = None) -> str:
    """Return the page of a campaign.

    Parameters
    ----------
    live
        For a page from a server; None for a file.

    Returns
    -------
    str
        HTML. All scripts are named by their SHA-256 in its Content-Security-Policy, and nothing is fetched: a name
        from a user's file that looked like a script would not run even if it got through the escaping.

    Raises
    ------
    MissingExtraError
        If jinja2, plotly or itables is not installed.
    """
    shown: list[Section] = sections(data)
    figures: list[PageFigure] = [figure for section in shown for figure in section.figures]
    tables = page_tables(data)
    libraries = [_plotly_script(), _own_script()]
    template = environment().get_template("page.html.j2")
    from markupsafe import Markup

    html: str = template.render(
        data=data,
        name=data.name,
        as_of=f"{data.made:%Y-%m-%d %H:%M:%S}",
        about=_about(data),
        first_screen=Markup(first_screen_html(data.status_report, is_live=live is not None)),
        state=state_word(data.status_report),
        summary=summary(data),
        summary_metrics=list(metrics_rows(data.metrics)),
        metrics_notes=metrics_notes(data.metrics),
        sections=shown,
        tables={table.id: table for table in tables},
        live=None if live is None else Markup(script_json(asdict(live))),
        policy=content_security_policy(libraries, connect="'none'" if live is None else "'self'"),
        styles=_styles(_datatables("css"), asset("page.css")),
        scripts=[Markup(text) for text in libraries],
        datatables=base64.b64encode(_datatables("js").encode()).decode("ascii"),
        browser_data=Markup(browser_json(data, figures, tables)),
    )
    return html


def render_waiting(name: str, now: Mapping[str, Any], *, refresh_s: float) -> str:
    """Return the page of a campaign whose report is being made: a first screen that refreshes until the report is
    ready.

    Parameters
    ----------
    now
        ``at``, ``state`` and ``html`` of the first screen.
    refresh_s
        Seconds between the browser's requests.
    """
    from markupsafe import Markup

    script = asset("waiting.js")
    html: str = (
        environment()
        .get_template("waiting.html.j2")
        .render(
            name=name,
            as_of=now["at"],
            about="",
            first_screen=Markup(now["html"]),
            state=now["state"],
            live=Markup(script_json({"refresh_s": refresh_s})),
            policy=content_security_policy([script], connect="'self'", blobs=False),
            styles=_styles(asset("page.css")),
            script=Markup(script),
        )
    )
    return html


def _about(data: ReportData) -> str:
    fast = ", quality fast: coarse k-points, for examples only" if data.status.quality == "fast" else ""
    return f"DFT by {data.status.engine}{fast}."


def _styles(*texts: str) -> list[Any]:
    from markupsafe import Markup

    return [Markup(text.replace("</style", "<\\/style")) for text in texts]


def content_security_policy(scripts: list[str], *, connect: str, blobs: bool = True) -> str:
    """Return the Content-Security-Policy under which a page runs these scripts and no others.

    Parameters
    ----------
    connect
        Sources from which the page may fetch.
    blobs
        Whether the page may import modules from blobs.
    """
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'" for text in scripts
    )
    blob = " blob:" if blobs else ""
    return (
        # DataTables is a module, which a single-file page can import only from a blob
        f"default-src 'none'; script-src {hashes}{blob}; style-src 'unsafe-inline'; img-src data:{blob}; "
        f"font-src data:; connect-src {connect}; base-uri 'none'; form-action 'none'"
    )


@cache
def _plotly_script() -> str:
    offline: Any = require("plotly.offline", extra="report")
    return script_text(offline.get_plotlyjs())


@cache
def _own_script() -> str:
    return script_text("\n".join(asset(name) for name in _SCRIPTS))


@cache
def _datatables(kind: str) -> str:
    """Return the bundle of DataTables and its extensions shipped with itables."""
    itables = require("itables", extra="report")
    return (files(itables.__name__) / "html" / f"dt_bundle.{kind}").read_text(encoding="utf-8")


def script_text(text: str) -> str:
    """Return a library made safe for a script element; in JavaScript strings, the escaped forms are equivalent."""
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")

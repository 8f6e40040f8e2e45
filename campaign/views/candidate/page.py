"""HTML page of a candidate; its figures are drawn by the page's own script, and nothing is fetched."""

import math
from functools import cache
from typing import Any
from urllib.parse import quote

from campaign.views.candidate.data import KINDS, CandidateData
from campaign.views.candidate.dos_figure import HEIGHT, LEFT, RIGHT, WIDTH, dos_figures
from campaign.views.report.browser_data import crystal_look, script_json
from campaign.views.report.html import asset, campaign_address, candidate_address, environment
from campaign.views.report.page import content_security_policy, script_text
from esnet.files.errors import require

_PACKAGE = "campaign.views.candidate"
_REPORT_SCRIPTS = ("theme.js", "crystal.js")


def render_candidate(data: CandidateData) -> str:
    """Return the page of a candidate.

    Returns
    -------
    str
        HTML; its script is named by its SHA-256 in the Content-Security-Policy, and texts are escaped.

    Raises
    ------
    MissingExtraError
        If jinja2 is not installed.
    """
    shown = {which: found.shown for which, found in data.crystals.items()}
    look = crystal_look(list(shown.values()))
    in_browser = {"crystals": {which: one.to_json() for which, one in shown.items()}, "look": look}
    figures = dict(zip(data.dos, dos_figures(list(data.dos.values())), strict=True))
    address = campaign_address(data.campaign)
    quoted = quote(data.id, safe="")
    html: str = _template().render(
        data=data,
        figures=figures,
        titles=KINDS,
        box={"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT},
        back=address,
        beside={word: candidate_address(data.campaign, one.id) for word, one in data.neighbours.items()},
        cif={which: f"{address}/cif/{which}/{quoted}" for which in data.crystals},
        rule=look["rule"],
        browser_data=_markup(script_json(in_browser)),
        policy=content_security_policy([_script()], connect="'none'", blobs=False),
        style=_markup(asset("page.css") + asset("candidate.css", package=_PACKAGE)),
        script=_markup(_script()),
    )
    return html


@cache
def _template() -> Any:
    templates = environment(_PACKAGE)
    templates.filters |= {"energy": _energy, "last_line": _last_line}
    return templates.get_template("candidate.html.j2")


def _energy(value: float | None) -> str:
    """Format an energy in eV/atom, with the exact value as machine-readable data."""
    if value is None or not math.isfinite(value):
        return ""
    # only a number, so nothing needs escaping
    text: str = _markup(f'<data value="{float(value)!r}">{float(value):+.3f}</data>')
    return text


def _last_line(text: str) -> str:
    lines = text.splitlines()
    return lines[-1] if lines else ""


def _markup(text: str) -> Any:
    return require("markupsafe", extra="report").Markup(text)


@cache
def _script() -> str:
    return script_text("\n".join([*map(asset, _REPORT_SCRIPTS), asset("candidate.js", package=_PACKAGE)]))

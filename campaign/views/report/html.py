"""Templates of the page and HTML of the first screen; text from users' files and errors is escaped."""

from collections.abc import Callable
from functools import cache, partial
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from campaign.views.report.first_screen import first_screen
from campaign.views.status.report import StatusReport
from esnet.files.errors import require

REPORT = "campaign.views.report"


def environment(package: str = REPORT) -> Any:
    """Return Jinja's environment for the templates of a package, with autoescaping.

    Raises
    ------
    MissingExtraError
        If jinja2 is not installed.
    """
    jinja2 = require("jinja2", extra="report")
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(partial(asset, package=package)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    made.filters["with_code"] = _with_code
    return made


def first_screen_html(report: StatusReport, *, is_live: bool) -> str:
    """Return the first screen as HTML; on a live page, candidates link to their own pages."""
    template = environment().get_template("first_screen.html.j2")
    html: str = template.render(
        screen=first_screen(report, is_live=is_live),
        is_finished=report.status.is_finished,
        name_of=_linked(report.status.name) if is_live else lambda words, candidate: words,
    )
    return html


def state_word(report: StatusReport) -> str:
    """Return the state of a campaign in one word, as in `campaign list`."""
    status = report.status
    if status.is_finished or status.is_stopped:
        return "finished" if status.is_finished else "stopped"
    return "paused" if status.is_paused else status.state


def campaign_address(campaign: str) -> str:
    """Return the address of a campaign's page on its server."""
    return f"/campaigns/{quote(campaign, safe='')}"


def candidate_address(campaign: str, candidate: str) -> str:
    """Return the address of a candidate's page on its server."""
    return f"{campaign_address(campaign)}/candidate/{quote(candidate, safe='')}"


def _linked(campaign: str) -> Callable[[str, str], Any]:
    """Return a function that turns a name and an id into a link to the candidate's page."""
    markup = require("markupsafe", extra="report").Markup

    def link(words: str, candidate: str) -> Any:
        return markup('<a href="{}">{}</a>').format(candidate_address(campaign, candidate), words)

    return link


def _with_code(words: str) -> Any:
    """Return the escaped text, with the parts in backticks formatted as code."""
    markup = require("markupsafe", extra="report").Markup
    parts = words.split("`")
    if len(parts) % 2 == 0:  # an unpaired backtick
        return markup("{}").format(words)
    written = (markup("<code>{}</code>" if place % 2 else "{}").format(part) for place, part in enumerate(parts))
    return markup("").join(written)


@cache
def asset(name: str, *, package: str = REPORT) -> str:
    """Return the text of a file in the folder ``assets`` of a package."""
    return (files(package) / "assets" / name).read_text(encoding="utf-8")

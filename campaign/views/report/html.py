"""Templates of the page, and the first screen in HTML: whatever a user's file or an error says stays text."""

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
    """Jinja's environment for the templates of a package: whatever is written into them is escaped.

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
    """Write the first screen of a page; on a live one candidates are linked to their pages."""
    template = environment().get_template("first_screen.html.j2")
    html: str = template.render(
        screen=first_screen(report, is_live=is_live),
        is_finished=report.status.is_finished,
        name_of=_linked(report.status.name) if is_live else lambda words, candidate: words,
    )
    return html


def state_word(report: StatusReport) -> str:
    """State of a campaign in a word, as `campaign list` has it."""
    status = report.status
    if status.is_finished or status.is_stopped:
        return "finished" if status.is_finished else "stopped"
    return "paused" if status.is_paused else status.state


def campaign_address(campaign: str) -> str:
    """Address of a campaign's page on its server."""
    return f"/campaigns/{quote(campaign, safe='')}"


def candidate_address(campaign: str, candidate: str) -> str:
    """Address of a candidate's page on its server."""
    return f"{campaign_address(campaign)}/candidate/{quote(candidate, safe='')}"


def _linked(campaign: str) -> Callable[[str, str], Any]:
    """Function of a name and an id that writes the name as a link to the candidate's page."""
    markup = require("markupsafe", extra="report").Markup

    def link(words: str, candidate: str) -> Any:
        return markup('<a href="{}">{}</a>').format(candidate_address(campaign, candidate), words)

    return link


def _with_code(words: str) -> Any:
    """Escape a text, formatting the parts in backticks as code."""
    markup = require("markupsafe", extra="report").Markup
    parts = words.split("`")
    if len(parts) % 2 == 0:  # one backtick is without its partner
        return markup("{}").format(words)
    written = (markup("<code>{}</code>" if place % 2 else "{}").format(part) for place, part in enumerate(parts))
    return markup("").join(written)


@cache
def asset(name: str, *, package: str = REPORT) -> str:
    """Text of a file in the folder ``assets`` of a package."""
    return (files(package) / "assets" / name).read_text(encoding="utf-8")

"""Web application: the list of campaigns and the page of each."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from pymongo.errors import PyMongoError

from campaign.store.campaigns import UnknownCampaignError
from campaign.store.candidates import UnknownCandidateError
from campaign.store.collections import CampaignStore, now
from campaign.store.states import CampaignState
from campaign.views.campaign_list import CampaignRow, campaign_rows
from campaign.views.candidate.crystal import NoCrystalError
from campaign.views.report.html import candidate_address, environment
from campaign.views.report.page import render_waiting
from campaign.views.server.access import ReadOnlyAccess, is_loopback
from campaign.views.server.candidates import CandidatePages
from campaign.views.server.now import FirstScreens
from campaign.views.server.pages import CampaignPages
from campaign.views.status.time_left import format_hours
from esnet.commands.console import printable
from esnet.files.errors import UserError, require

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

#: Names under which a browser of this machine reaches a server on loopback: any other name in the Host header means
#: that a foreign page has let its own name point here (DNS rebinding).
_LOOPBACK_NAMES = ["localhost", "127.0.0.1"]
#: The report's page carries its own, stricter policy; both hold.
_POLICY = {"content-security-policy": "frame-ancestors 'none'; object-src 'none'; base-uri 'none'; form-action 'none'"}
_CIF = "chemical/x-cif"
_INDEX_POLICY = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}


def application(store: CampaignStore, *, host: str, token: str | None, refresh_s: float) -> Starlette:
    """Return the application; the database is only read.

    Parameters
    ----------
    host
        Address that the server listens on.
    token
        Token that every request must present; None for loopback only.
    refresh_s
        Seconds between an open page's requests.

    Raises
    ------
    ValueError
        If the address is reachable from a network and there is no token.
    MissingExtraError
        If starlette is not installed.
    """
    if token is None and not is_loopback(host):
        raise ValueError(f"{host} can be reached from other machines: a token is needed")
    require("starlette", extra="report")
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
    from starlette.routing import Route

    pages, screens = CampaignPages(store, refresh_s=refresh_s), FirstScreens(store)
    candidates = CandidatePages(store)

    # plain functions: Starlette runs them in threads, so that generating a page does not block other requests
    def index(request: Request) -> Response:
        return HTMLResponse(_index_html(store, refresh_s), headers=_INDEX_POLICY)

    def page(request: Request) -> Response:
        name = request.path_params["name"]
        made = pages.page_soon(name)
        html = made.html if made else render_waiting(name, screens.content(name), refresh_s=refresh_s)
        return HTMLResponse(html, headers=_POLICY)

    def revision(request: Request) -> Response:
        made = pages.page_soon(request.path_params["name"])
        return JSONResponse({"revision": made and made.revision})

    def first_screen(request: Request) -> Response:
        return JSONResponse(screens.content(request.path_params["name"]))

    def candidate(request: Request) -> Response:
        wanted = request.path_params["candidate"]
        campaign, document = candidates.find(request.path_params["name"], wanted)
        if document["_id"] != wanted:
            return RedirectResponse(candidate_address(campaign.name, document["_id"]))
        return HTMLResponse(candidates.page(campaign, document), headers=_POLICY)

    def cif(request: Request) -> Response:
        file, text = candidates.cif(*(request.path_params[key] for key in ("name", "which", "candidate")))
        headers = {"content-disposition": f'attachment; filename="{file}"', **_POLICY}
        return Response(text, media_type=_CIF, headers=headers)

    def unknown(request: Request, error: Exception) -> Response:
        # the address is in the message, and a terminal may show it
        return PlainTextResponse(printable(str(error)), status_code=404)

    def refused(request: Request, error: Exception) -> Response:
        # the campaign exists but cannot be shown: another schema, just imported, or damaged
        return PlainTextResponse(printable(str(error)), status_code=409)

    def no_database(request: Request, error: Exception) -> Response:
        text = "the database does not answer; this page will work again when it does (`campaign db status`)"
        return PlainTextResponse(text, status_code=503, headers={"refresh": f"{refresh_s:g}"})

    middleware = [Middleware(ReadOnlyAccess, token=token)]
    if token is None:
        names = [*_LOOPBACK_NAMES, host, f"[{host}]"]
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=names, www_redirect=False))
    return Starlette(
        routes=[
            Route("/", index, methods=["GET"]),
            Route("/campaigns/{name}", page, methods=["GET"]),
            Route("/campaigns/{name}/now", first_screen, methods=["GET"]),
            Route("/campaigns/{name}/revision", revision, methods=["GET"]),
            Route("/campaigns/{name}/candidate/{candidate:path}", candidate, methods=["GET"]),
            Route("/campaigns/{name}/cif/{which}/{candidate:path}", cif, methods=["GET"]),
        ],
        middleware=middleware,
        exception_handlers={
            **dict.fromkeys((UnknownCampaignError, UnknownCandidateError, NoCrystalError), unknown),
            UserError: refused,
            PyMongoError: no_database,
        },
    )


def _index_html(store: CampaignStore, refresh_s: float) -> str:
    templates = environment("campaign.views.server")
    templates.filters["hours"] = format_hours
    campaigns = [row for row in campaign_rows(store) if row.state != CampaignState.DELETING]
    text: str = templates.get_template("index.html.j2").render(
        campaigns=[(row, f"campaigns/{quote(row.name, safe='')}", _stages(row), _work(row)) for row in campaigns],
        made=now(),
        refresh_s=f"{refresh_s:g}",
    )
    return text


def _work(row: CampaignRow) -> str:
    """Describe running and waiting work."""
    waiting = {"queued", "ready"}
    parts = [f"{number:,} {what}" + ("" if what in waiting else " running") for what, number in row.runs.items()]
    return ", ".join(sorted(parts, key=lambda part: not part.endswith("running"))) or "nothing runs"


def _stages(row: CampaignRow) -> list[tuple[str, int, int]]:
    """Return title, number done and total of the stages that have begun."""
    stages = [("IS-DOS", row.after_dos, row.to_screen), ("relaxations", row.after_relaxation, row.to_relax)]
    return [stage for stage in stages if stage[2]]

"""The live page: who is answered, that it is only read, and that it follows the campaign."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pymongo
import pytest
from prepared import relax_references

from campaign.running_campaign import start_campaign
from campaign.store.campaigns import SchemaVersionError
from campaign.store.collections import CampaignStore
from campaign.views.server.access import TOKEN_COOKIE
from campaign.views.server.application import application
from campaign.views.server.serving import ServeError, listen

pytestmark = pytest.mark.mongo
TOKEN = "t0ken-of-this-test"


@contextmanager
def served(
    store: CampaignStore, *, token: str | None = None, refresh_s: float = 1.0, host: str = "127.0.0.1"
) -> Iterator[int]:
    """Serve on a free loopback port; give the port."""
    import uvicorn

    app = application(store, host=host, token=token, refresh_s=refresh_s)
    with listen(host, 0) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(20)


def ask(port: int, path: str, *, method: str = "GET", headers: dict[str, str] | None = None, host: str = "127.0.0.1"):
    """One request, no redirect followed; return status, headers, text."""
    connection = http.client.HTTPConnection(host, port, timeout=60)
    try:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()
    finally:
        connection.close()


@pytest.fixture
def begun(store, launchpad, small_spec) -> CampaignStore:
    """Campaign collections with the campaign `small` in them, which has begun."""
    start_campaign(store, launchpad, small_spec())
    return store


def test_nothing_but_get_is_answered_and_nothing_is_written(begun):
    before = begun.database.command("dbStats")["objects"]
    with served(begun) as port:
        for method in ("POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"):
            status, headers, _ = ask(port, "/", method=method)
            assert (method, status, headers.get("allow")) == (method, 405, "GET")
        assert ask(port, "/")[0] == 200
        assert ask(port, "/campaigns/small")[0] == 200
    assert begun.database.command("dbStats")["objects"] == before


def test_nothing_is_answered_without_the_token(begun):
    with served(begun, token=TOKEN) as port:
        for path in (
            "/",
            "/campaigns/small",
            "/campaigns/small/revision",
            "/campaigns/small/now",
            "/none",
            "/?token=wrong",
            f"/?tok={TOKEN}",
        ):
            status, _, text = ask(port, path)
            assert (path, status) == (path, 401)
            assert "small" not in text
            assert TOKEN not in text
        assert ask(port, "/", headers={"Authorization": "Bearer wrong"})[0] == 401
        assert ask(port, "/", headers={"Authorization": f"Bearer {TOKEN}"})[0] == 200
        status, headers, _ = ask(port, f"/campaigns/small/revision?a=1&token={TOKEN}")
        assert (status, headers["location"]) == (303, "/campaigns/small/revision?a=1")
        assert "HttpOnly" in headers["set-cookie"]
        cookie = headers["set-cookie"].split(";")[0]
        assert cookie == f"{TOKEN_COOKIE}_{port}={TOKEN}"
        assert ask(port, "/campaigns/small/revision", headers={"Cookie": cookie})[0] == 200
        # not an address on another server
        assert ask(port, f"//elsewhere.example/?token={TOKEN}")[1]["location"] == "/elsewhere.example/"


def test_another_page_cannot_point_its_own_name_at_the_server(begun):
    with served(begun) as port:
        assert ask(port, "/", headers={"Host": f"elsewhere.example:{port}"})[0] == 400
        assert ask(port, "/", headers={"Host": f"localhost:{port}"})[0] == 200


def test_the_network_is_not_served_without_a_token(begun):
    for host in ("0.0.0.0", "::", "192.0.2.1", "login-node"):
        with pytest.raises(ValueError, match="a token is needed"):
            application(begun, host=host, token=None, refresh_s=1.0)
    for host in ("127.0.0.1", "::1", "localhost"):
        application(begun, host=host, token=None, refresh_s=1.0)


def test_a_port_that_is_taken_is_named(begun):
    with listen("127.0.0.1", 0) as taken, pytest.raises(ServeError, match="choose another with --port"):
        listen("127.0.0.1", taken.getsockname()[1])


def revision(port):
    """Of the page, when it is there."""
    deadline = time.monotonic() + 300
    while (found := json.loads(ask(port, "/campaigns/small/revision")[2])["revision"]) is None:
        assert time.monotonic() < deadline, "the page never came"
        time.sleep(0.2)
    return found


def test_the_page_follows_the_campaign(begun):
    with served(begun) as port:
        first, again = (revision(port) for _ in range(2))
        assert first == again
        assert "live-data" in ask(port, "/campaigns/small")[2]
        relax_references(begun)
        begun.candidates.update_one({"campaign": "small"}, {"$set": {"state": "rejected"}})
        # a page is kept for ten times as long as it took to make
        deadline = time.monotonic() + 300
        while (changed := revision(port)) == first:
            assert time.monotonic() < deadline, "the page never changed"
            time.sleep(0.2)
        assert changed in ask(port, "/campaigns/small")[2]


def test_a_campaign_that_is_not_there_is_said_in_plain_text(begun):
    with served(begun) as port:
        status, headers, text = ask(port, "/campaigns/%3Cscript%3E")
        assert status == 404
        assert headers["content-type"].startswith("text/plain")
        assert "small" in text


def test_a_campaign_that_cannot_be_shown_is_said_in_plain_text(begun):
    known = begun.campaigns.find_one()
    spec = {**known["spec"], "retries": {"machine": "many"}}
    damages = {
        "was written with schema version 99": {"$set": {"schema_version": 99}},
        "was written by an earlier version": {"$set": {"schema_version": 1}},
        "belongs to another program": {"$unset": {"schema_version": "", "n_screened": ""}},
        "retries": {"$set": {"spec": spec}},
    }
    with served(begun) as port:
        for said, damage in damages.items():
            begun.campaigns.update_one({"_id": "small"}, damage)
            for path in ("", "/now", "/revision", "/candidate/none", "/cif/relaxed/none"):
                status, headers, text = ask(port, f"/campaigns/small{path}")
                if said == "retries" and "/none" in path:
                    continue  # the settings are not asked for there
                assert (path, status, said in " ".join(text.split())) == (path, 409, True), text
                assert headers["content-type"].startswith("text/plain")
            begun.campaigns.replace_one({"_id": "small"}, known)


def test_a_page_that_cannot_be_made_is_tried_now_and_then_and_says_why(begun, monkeypatch):
    tries = []

    def fails(*_arguments, **_keywords):
        tries.append(None)
        time.sleep(1.5)
        raise SchemaVersionError("its documents are damaged")

    monkeypatch.setattr("campaign.views.server.pages.build_report", fails)
    with served(begun) as port:
        assert 'id="waiting"' in ask(port, "/campaigns/small")[2]
        deadline = time.monotonic() + 60
        while (answer := ask(port, "/campaigns/small/revision"))[0] == 200:
            assert time.monotonic() < deadline, "the failure is never said"
        assert (answer[0], answer[2]) == (409, "its documents are damaged")
        assert ask(port, "/campaigns/small")[0] == 409
    assert len(tries) == 1


def test_a_name_with_markup_is_shown_as_text_in_the_list(begun):
    name = "<script>window.injected=1</script>"
    begun.campaigns.insert_one({**begun.campaigns.find_one(), "_id": name})
    with served(begun) as port:
        _, headers, text = ask(port, "/")
    assert "<script" not in text
    assert "&lt;script&gt;window.injected=1" in text
    assert "campaigns/%3Cscript%3E" in text
    assert "default-src 'none'" in headers["content-security-policy"]


def test_a_database_that_is_away_is_said_and_the_page_looks_again(free_port):
    client = pymongo.MongoClient("127.0.0.1", free_port(), serverSelectionTimeoutMS=200)
    with client, served(CampaignStore(client["none"])) as port:
        status, headers, text = ask(port, "/")
        assert (status, headers["refresh"]) == (503, "1")
        assert "does not answer" in text


@pytest.mark.parametrize("host", ["127.0.0.2", "::1"])
def test_an_address_that_is_served_is_answered_at(begun, host):
    with served(begun, host=host) as port:
        assert ask(port, "/", host=host)[0] == 200
        assert ask(port, "/", host=host, headers={"Host": f"elsewhere.example:{port}"})[0] == 400


def test_two_servers_of_a_machine_keep_their_tokens_apart(begun):
    """Through ssh the port of the browser is another one than the server's."""
    with served(begun, token=TOKEN) as port:
        _, headers, _ = ask(port, f"/?token={TOKEN}", headers={"Host": "localhost:9000"})
        cookie = headers["set-cookie"].split(";")[0]
        assert cookie == f"{TOKEN_COOKIE}_9000={TOKEN}"
        both = {"Host": "localhost:9000", "Cookie": f"{TOKEN_COOKIE}_9001=another; {cookie}"}
        assert ask(port, "/", headers=both)[0] == 200
        assert ask(port, "/", headers=both | {"Host": "localhost:9001"})[0] == 401

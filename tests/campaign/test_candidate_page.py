"""The page of a candidate: its numbers, its CIFs, what is missing or damaged, hostile names, and a real browser."""

import hashlib
import json
import math
import zlib
from datetime import timedelta
from html.parser import HTMLParser
from urllib.parse import quote

import pytest
from browser import Page, chromium
from pymatgen.core import Structure
from report_campaign import HOSTILE
from test_server import ask, served

from campaign.store.collections import now
from campaign.views.candidate.data import MOST_ATTEMPTS, read_candidate
from campaign.views.candidate.neighbours import neighbours
from campaign.views.explanation import explanation, format_explanation
from campaign.views.export.formats import json_texts
from campaign.views.export.full_rows import full_rows
from campaign.views.report.structures import BOND_FACTOR
from workflows.dos import DosFeatures

pytestmark = pytest.mark.mongo
#: How many colours a canvas shows.
COLOURS = """(name) => {
  const canvas = document.querySelector(name);
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return new Set(new Uint32Array(data.buffer)).size;
}"""


class _Elements(HTMLParser):
    """What a browser would find: elements, the values of ``data`` elements by the ids before them, the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.ids, self.values, self.text, self._is_code = [], [], {}, "", False
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append((tag, given))
        self._is_code = tag in ("script", "style")
        self.ids += [given["id"]] if "id" in given else []
        if tag == "data":
            self.values.setdefault(self.ids[-1], []).append(float(given["value"]))

    def handle_data(self, data):
        self.text += "" if self._is_code else data

    def handle_endtag(self, tag):
        self._is_code = False


def address(candidate, campaign="finished"):
    return f"/campaigns/{campaign}/candidate/{quote(candidate, safe='')}"


def page_of(port, candidate):
    """The page of a candidate, which is there."""
    status, headers, html = ask(port, address(candidate))
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    return _Elements(html)


def cif(port, which, candidate):
    return ask(port, f"/campaigns/finished/cif/{which}/{quote(candidate, safe='')}")


def test_its_numbers_are_those_of_the_results(ended):
    campaign = ended.read()
    rows = json.loads("".join(json_texts(full_rows(campaign), structures=True)))
    assert {row["decision"] for row in rows} >= {"promoted", "held", "audit", "training"}
    with served(ended.store) as port:
        for row in rows:
            found = page_of(port, row["id"])
            card = {name: found.values.get(f"card-{name}", []) for name in ("ml", "dft", "cost")}
            predicted = [row["e_hull_ml"], row["e_form_ml"], *([row["uncertainty"]] if row["uncertainty"] else [])]
            assert card["ml"] == ([] if row["e_form_ml"] is None else predicted)
            assert card["dft"] == ([] if row["e_form_dft"] is None else [row["e_hull_dft"], row["e_form_dft"]])
            assert card["cost"] == [row["cpu_s"]]
            assert sum(found.values.get("attempts", [])) == pytest.approx(row["cpu_s"], abs=0.1)
            assert (row["decomposition"] or "Unknown: the reference") in found.text
            for symbol in ("space_group", "relaxed_space_group"):
                assert row[symbol] is None or f"{row[symbol]} ({row[f'{symbol}_number']})" in found.text
            document = ended.store.candidates.find_one({"_id": row["id"]})
            for line in list(format_explanation(explanation(campaign, document)))[1:-1]:
                assert line in found.text
            for folder in {part["directory"] for part in ended.store.attempts.find({"document": row["id"]})}:
                assert folder in found.text
            for kind in ("dos", "rs_dos"):
                stored = ended.store.features.find_one({"_id": f"{row['id']}:{kind}"}) is not None
                assert [given.get("aria-label") for tag, given in found.tags].count(
                    {"dos": "IS-DOS", "rs_dos": "RS-DOS"}[kind]
                ) == stored
            assert "problems" not in found.ids
            hrefs = {given.get("id"): given.get("href") for tag, given in found.tags if tag == "a"}
            assert hrefs["back"] == "/campaigns/finished"
            # within those with a result, and those with a prediction alone
            for word, step in (("previous", -1), ("next", 1)):
                beside = rows[row["rank"] - 1 + step] if 0 < row["rank"] + step <= len(rows) else None
                is_near = beside and kind_of(row) == kind_of(beside) < 2
                assert hrefs.get(word) == (address(beside["id"]) if is_near else None)


def kind_of(row):
    return 0 if row["e_hull_dft"] is not None else 1 if row["e_hull_ml"] is not None else 2


def test_the_crystals_are_cifs_that_pymatgen_reads(ended):
    rows = json.loads("".join(json_texts(full_rows(ended.read()), structures=True)))
    with served(ended.store) as port:
        for row in rows:
            for which, key in (("unrelaxed", "structure"), ("relaxed", "relaxed_structure")):
                status, headers, text = cif(port, which, row["id"])
                assert status == (200 if row[key] else 404)
                if row[key]:
                    assert headers["content-type"].startswith("chemical/x-cif")
                    assert "frame-ancestors 'none'" in headers["content-security-policy"]
                    assert_same(Structure.from_str(text, fmt="cif"), Structure.from_dict(row[key]))
        ended.store.candidates.update_one({"_id": rows[0]["id"]}, {"$set": {"formula": HOSTILE, "prototype": "../x"}})
        disposition = cif(port, "unrelaxed", rows[0]["id"])[1]["content-disposition"]
        name = disposition.removeprefix('attachment; filename="').removesuffix('_unrelaxed.cif"')
        assert name
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-_")
        assert not name.startswith((".", "-"))


def assert_same(read, stored):
    """The same atoms at the same places of the same cell, in any order."""
    assert read.lattice.parameters == pytest.approx(stored.lattice.parameters)
    assert len(read) == len(stored)
    for site in stored:
        assert any(other.specie == site.specie and site.distance(other) < 1e-6 for other in read)


def test_a_candidate_is_found_as_campaign_explain_finds_it(ended):
    one = ended.store.candidates.find_one({"state": "relaxed"})
    ended.store.candidates.update_one({"_id": one["_id"]}, {"$set": {"parent.name": "run 1/gen_0001"}})
    with served(ended.store) as port:
        for wanted in ("run 1/gen_0001", "gen_0001", f"{one['formula']}:{one['prototype']}", one["_id"][:-3]):
            status, headers, _ = ask(port, address(wanted))
            assert (status, headers["location"]) == (307, address(one["_id"]))
            assert cif(port, "relaxed", wanted)[0] == 200
        # an address whose slashes were taken apart on the way
        assert ask(port, "/campaigns/finished/candidate/run%201/gen_0001")[1]["location"] == address(one["_id"])
        for wanted in ("gen_0002", "../x", "<script>", "a" * 5000, "%00", "Al\x1b[31m", "(" * 900, "Al9e999", " "):
            status, headers, text = ask(port, address(wanted))
            assert (status, headers["content-type"]) == (404, "text/plain; charset=utf-8")
            assert "has no candidate" in text
            assert "\x1b" not in text
            assert cif(port, "relaxed", wanted)[0] == 404
        assert "there is no campaign" in ask(port, address(one["_id"], campaign="none"))[2]
        status, _, text = ask(port, f"/campaigns/finished/cif/molten/{one['_id']}")
        assert (status, "molten" in text) == (404, True)
        assert ask(port, address(one["_id"]), method="POST")[0] == 405
    with served(ended.store, token="t0ken") as port:
        assert ask(port, address(one["_id"]))[0] == 401
        assert cif(port, "relaxed", one["_id"])[0] == 401


#: Of fields of a candidate's document, and of an entry of the ledger.
JUNK = ("x", [7, None], {"a": float("nan")})
FIELDS = (
    *("formula", "prototype", "state", "role", "parent", "composition", "structure", "structure.lattice"),
    *("structure.sites", "structure.sites.0.abc", "structure.sites.0.species", "relaxation", "relaxation.structure"),
    *("relaxation.directory", "relaxation.energy", "is_dos", "rs_dos", "prediction", "prediction.e_form_per_atom"),
    *("prediction.uncertainty", "prediction.scorer", "decision", "decision.policy", "decision.reason", "result"),
    *("result.e_above_hull", "history", "history.0", "final_failure", "previous_predictions", "overrides", "batch"),
)
ENTRY_FIELDS = ("stage", "outcome", "started", "ended", "cpu_s", "error", "directory", "host", "reused_from", "job_id")


def test_what_is_damaged_or_missing_is_named_and_the_rest_is_shown(ended):
    store = ended.store
    one = store.candidates.find_one({"state": "relaxed", "role": "screened"})
    entry = store.attempts.find_one({"document": one["_id"], "stage": "relax"})
    with served(store) as port:
        for collection, document, fields in ((store.candidates, one, FIELDS), (store.attempts, entry, ENTRY_FIELDS)):
            for field in fields:
                for junk in JUNK:
                    collection.update_one({"_id": document["_id"]}, {"$set": {field: junk}})
                    page_of(port, one["_id"])
                    if "structure" in field:
                        assert cif(port, "relaxed", one["_id"])[0] in (200, 404)
                    collection.replace_one({"_id": document["_id"]}, document)
                # `_id` and `campaign` are how it is found
                collection.update_one({"_id": document["_id"]}, {"$unset": {field: ""}})
                page_of(port, one["_id"])
                collection.replace_one({"_id": document["_id"]}, document)
        store.candidates.update_one({"_id": one["_id"]}, {"$set": {"structure.sites": "x"}, "$unset": {"history": ""}})
        found = page_of(port, one["_id"])
        assert "its unrelaxed crystal cannot be read" in found.text
        assert "the field 'history' is missing" in found.text
        assert {"crystal-relaxed", "no-unrelaxed", "card-dft"} <= set(found.ids)
        status, _, text = cif(port, "unrelaxed", one["_id"])
        assert (status, "cannot be read" in text, "campaign verify finished" in text) == (404, True, True)
        stored = store.features.find_one({"_id": f"{one['_id']}:dos"})
        for number in (math.inf, math.nan):
            values = DosFeatures.from_document(stored).decode().copy()
            values[0] = number
            data = zlib.compress(values.astype("<f4").tobytes())
            changed = {"data": data, "sha256": hashlib.sha256(data).hexdigest()}
            store.features.update_one({"_id": stored["_id"]}, {"$set": changed})
            text = page_of(port, one["_id"]).text
            assert "its IS-DOS cannot be read" in text
            assert "13500 values are not finite" in text
        store.features.update_one({"_id": f"{one['_id']}:dos"}, {"$set": {"data": b"x"}})
        assert "its IS-DOS cannot be read" in page_of(port, one["_id"]).text
        store.features.delete_one({"_id": f"{one['_id']}:dos"})
        assert f"{one['_id']}:dos are not in the database" in page_of(port, one["_id"]).text


def test_the_latest_attempts_have_the_numbers_that_they_had(ended):
    store = ended.store
    one = store.candidates.find_one({"state": "relaxed", "role": "screened"})
    entry = store.attempts.find_one({"document": one["_id"], "stage": "relax"})
    query = {"document": one["_id"], "stage": "relax"}
    before = store.attempts.count_documents(query)
    more = [
        {**entry, "_id": f"{-number}.1", "fw_id": -number, "started": now() + timedelta(seconds=number)}
        for number in range(1, MOST_ATTEMPTS + 6)
    ]
    store.attempts.insert_many(more)
    data = read_candidate(ended.read(), one, hull_of=lambda _: None)
    assert data.more_attempts
    first = before + len(more) - MOST_ATTEMPTS + 1
    assert [row.number for row in data.attempts] == list(range(first, first + MOST_ATTEMPTS))


def test_neighbours_by_prediction_are_found_past_many_that_are_relaxed(ended):
    store = ended.store
    one = store.candidates.find_one({"prediction.e_above_hull": {"$ne": None}, "state": "relaxed"})
    e_hull = one["prediction"]["e_above_hull"]
    alone = {key: value for key, value in one.items() if key not in ("result", "relaxation")} | {"state": "held"}
    for name, shift in (("low", -0.5), ("high", 0.5)):
        store.candidates.insert_one(
            {**alone, "_id": name, "prediction": {**one["prediction"], "e_above_hull": e_hull + shift}}
        )
    for number in range(30):
        shift = -0.4 + 0.8 * number / 29
        store.candidates.insert_one(
            {**one, "_id": f"relaxed-{number}", "prediction": {**one["prediction"], "e_above_hull": e_hull + shift}}
        )
    store.candidates.delete_many({"_id": {"$nin": ["low", "high"]}, "result.e_above_hull": None})
    found = neighbours(ended.read(), store.candidates.find_one({"_id": "low"}))
    assert {word: one.id for word, one in found.items()} == {"next": "high"}


def test_it_works_in_a_browser_whatever_is_in_its_texts(ended, tmp_path):
    store = ended.store
    one = store.candidates.find_one({"state": "relaxed", "role": "screened"})
    texts = ("prototype", "decision.reason", "parent.name", "relaxation.directory", "prediction.model")
    store.candidates.update_one({"_id": one["_id"]}, {"$set": dict.fromkeys(texts, HOSTILE)})
    words = dict.fromkeys(("error", "host", "cause", "directory", "job_id"), f"{HOSTILE}\n{HOSTILE}\x1b[31m")
    store.attempts.update_many({"document": one["_id"]}, {"$set": words | {"outcome": "science"}})
    with served(store) as port, chromium() as browser:
        first = Page(browser, f"http://127.0.0.1:{port}/campaigns/finished")
        first.page.click(f"#table-candidates a >> text={one['formula']} >> nth=0")
        first.wait_for("document.getElementById('candidate-data')")
        first.page.click("#back")
        first.wait_for("document.getElementById('live-data')")
        assert first.errors == []
        for width, dark in ((1400, False), (400, True)):
            page = Page(browser, f"http://127.0.0.1:{port}{address(one['_id'])}", width=width, dark=dark)
            _crystals(page, one)
            with page.page.expect_download() as download:
                page.page.click("#cif-relaxed")
            assert_same(
                Structure.from_file(_kept(download.value, tmp_path)),
                Structure.from_dict(one["relaxation"]["structure"]),
            )
            assert page.evaluate("document.querySelectorAll('svg.dos path.up, svg.dos path.down').length") >= 2
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(int(part) for part in background.strip("rgb()").split(",")) < 200) == dark
            assert HOSTILE in page.evaluate("document.body.textContent")
            assert page.evaluate("window.injected") is None
            assert page.errors == []
            assert {url.split("?")[0] for url in page.requests} <= {
                f"http://127.0.0.1:{port}{path}"
                for path in (address(one["_id"]), f"/campaigns/finished/cif/relaxed/{quote(one['_id'])}")
            }


def _crystals(page, document):
    """Both are drawn, with the bonds that the rule gives, and are turned together."""
    for which, content in (("unrelaxed", document["structure"]), ("relaxed", document["relaxation"]["structure"])):
        page.wait_for(f"document.querySelector('#crystal-{which}').dataset.drawn")
        shown = json.loads(page.evaluate("document.getElementById('candidate-data').textContent"))
        radii = {symbol: look["radius"] for symbol, look in shown["look"]["elements"].items()}
        assert set(radii) == set(document["elements"])
        counted = bonds_and_atoms(Structure.from_dict(content), radii)
        drawn = page.evaluate(
            f"(({{ bonds, atoms }}) => [bonds, atoms])(document.querySelector('#crystal-{which}').dataset)"
        )
        assert [int(number) for number in drawn] == counted
        assert page.page.evaluate(COLOURS, f"#crystal-{which} canvas") > 100
    before = [_picture(page, which) for which in ("unrelaxed", "relaxed")]
    canvas = page.page.query_selector("#crystal-relaxed canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + 160, box["y"] + 120)
    page.page.mouse.up()
    turned = [_picture(page, which) for which in ("unrelaxed", "relaxed")]
    page.page.keyboard.press("ArrowLeft")
    again = [_picture(page, which) for which in ("unrelaxed", "relaxed")]
    for which in (0, 1):
        assert len({before[which], turned[which], again[which]}) == 3


def _picture(page, which):
    return page.evaluate(f"document.querySelector('#crystal-{which} canvas').toDataURL()")


def bonds_and_atoms(structure, radii):
    """Bonds and atoms in the closed cell: atoms on its faces are shown on all of them."""
    atoms = []
    for site in structure:
        places = [
            [f % 1.0, *([f % 1.0 + 1] if f % 1.0 < 0.01 else [f % 1.0 - 1] if f % 1.0 > 0.99 else [])]
            for f in site.frac_coords
        ]
        atoms += [
            (site.specie.symbol, structure.lattice.get_cartesian_coords([a, b, c]))
            for a in places[0]
            for b in places[1]
            for c in places[2]
        ]
    longest = lambda one, other: BOND_FACTOR * (radii[one] + radii[other])  # noqa: E731
    bonds = sum(
        0.01 < float(sum((p - q) ** 2) ** 0.5) <= longest(one, other)
        for place, (one, p) in enumerate(atoms)
        for other, q in atoms[:place]
    )
    return [bonds, len(atoms)]


def _kept(download, folder):
    download.save_as(folder / download.suggested_filename)
    return folder / download.suggested_filename

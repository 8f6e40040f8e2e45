"""The page of a candidate: its numbers, its CIFs, what is missing or damaged, hostile names, and a real browser."""

import json
from html.parser import HTMLParser
from urllib.parse import quote

import pytest
from pymatgen.core import Structure
from report_campaign import SECTIONS, finished
from test_server import ask, served

from campaign.store.campaigns import Campaign
from campaign.views.explanation import explanation, format_explanation
from campaign.views.export.formats import json_texts
from campaign.views.export.full_rows import full_rows

pytestmark = pytest.mark.mongo


class _Elements(HTMLParser):
    """What a browser would find: elements, the values of ``data`` elements by the ids around them, the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.values, self.text, self._ids, self._script = [], {}, "", [], False
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append((tag, given))
        self._script = tag in ("script", "style")
        self._ids += [given["id"]] if "id" in given else []
        if tag == "data":
            self.values.setdefault(self._ids[-1], []).append(float(given["value"]))

    def handle_data(self, data):
        self.text += "" if self._script else data

    def handle_endtag(self, tag):
        self._script = False


@pytest.fixture
def campaign(store, launchpad, small_spec):
    """A finished campaign, read."""
    return Campaign.read(store, finished(store, launchpad, small_spec(**SECTIONS)))


def address(candidate, *, campaign="small"):
    return f"/campaigns/{campaign}/candidate/{quote(candidate, safe='')}"


def page_of(port, candidate):
    """The page of a candidate, which is there."""
    status, headers, html = ask(port, address(candidate))
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    return _Elements(html)


def test_its_numbers_are_those_of_the_results(campaign):
    rows = json.loads("".join(json_texts(full_rows(campaign), structures=True)))
    by_kind = {(row["decision"], row["stable"]): row for row in rows}
    assert len(by_kind) >= 5
    with served(campaign.store) as port:
        for row in by_kind.values():
            found = page_of(port, row["id"])
            card = {name: found.values.get(f"card-{name}", []) for name in ("ml", "dft", "cost")}
            predicted = [row["e_hull_ml"], row["e_form_ml"], row["uncertainty"]]
            assert card["ml"] == ([] if row["e_form_ml"] is None else predicted)
            assert card["dft"] == ([] if row["e_form_dft"] is None else [row["e_hull_dft"], row["e_form_dft"]])
            assert card["cost"] == [row["cpu_s"]]
            assert (row["decomposition"] or "Not known") in found.text
            for symbol in ("space_group", "relaxed_space_group"):
                assert row[symbol] is None or f"{row[symbol]} ({row[f'{symbol}_number']})" in found.text
            document = campaign.store.candidates.find_one({"_id": row["id"]})
            for line in list(format_explanation(explanation(campaign, document)))[1:-1]:
                assert line in found.text
            for which, key in (("unrelaxed", "structure"), ("relaxed", "relaxed_structure")):
                status, headers, text = ask(port, f"/campaigns/small/cif/{which}/{quote(row['id'])}")
                assert status == (404 if row[key] is None else 200)
                if row[key] is not None:
                    assert headers["content-type"].startswith("chemical/x-cif")
                    read = Structure.from_str(text, fmt="cif")
                    assert read.matches(Structure.from_dict(row[key]), anonymous=False)

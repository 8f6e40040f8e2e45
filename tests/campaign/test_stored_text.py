"""Text out of the database is shown as text: no markup of ours, no escape sequence of a terminal."""

import pytest
from prepared import BATCHES, finish_dos, with_model
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.store.collections import now
from esnet.commands.console import printable

pytestmark = pytest.mark.mongo
TEXT = "[/scratch/x] :smile: [bold]failed\x1b]0;title\x07 \x9b2J\u202eend"
SHOWN = "[/scratch/x] :smile: [bold]failed"


@pytest.fixture
def campaign_of_texts(store, launchpad, small_spec, launchpad_file, monkeypatch):
    """A campaign with such text wherever a person or a program may have put it."""
    with_model(store, launchpad, small_spec(**BATCHES))
    failing = finish_dos(store, batch=0, number=1)[0]
    prediction = {"e_form_per_atom": -0.3, "e_above_hull": 0.0, "uncertainty": None}
    decision = {"promoted": False, "audit": False, "outcome": "rejected", "rank": 1, "reason": TEXT}
    store.candidates.update_many(
        {"batch": 1}, {"$set": {"prototype": TEXT, "prediction": prediction, "decision": decision}}
    )
    result = {"e_form_per_atom": -0.3, "e_above_hull": 0.0, "stable": True}
    store.candidates.update_one({"batch": 1}, {"$set": {"state": "relaxed", "result": result}})
    failure = {"kind": "machine", "stage": "dos", "error": TEXT, "cause": TEXT, "directory": TEXT, "time": now()}
    store.candidates.update_one(
        {"_id": failing}, {"$set": {"state": "dos_failed", "final_failure": failure, "prototype": TEXT}}
    )
    store.attempts.insert_one(
        {
            **{
                "_id": "a.1",
                "campaign": "small",
                "document": failing,
                "stage": "dos",
                "fw_id": -1,
                "outcome": "machine",
            },
            **{"ended": now(), "cpu_s": 1.0, "gpu_s": 0.0, "error": TEXT, "cause": TEXT, "directory": TEXT},
        }
    )
    store.campaigns.update_one({"_id": "small"}, {"$set": {"problem": TEXT}})
    monkeypatch.chdir(launchpad_file.parent)
    return failing


@pytest.mark.parametrize(
    "words",
    [
        ["status", "small"],
        ["results", "small"],
        ["results", "small", "--format", "csv"],
        ["failures", "small"],
        ["explain", "small", "ID"],
        ["decide", "small", "--dry-run", "--policy", "best_first:cpu_hours=1"],
    ],
    ids=" ".join,
)
def test_brackets_are_text_and_control_characters_do_not_reach_the_terminal(campaign_of_texts, words):
    done = CliRunner().invoke(app, [campaign_of_texts if word == "ID" else word for word in words])
    assert done.exception is None, done.output
    assert "[/scratch/x]" in done.output
    assert done.output == printable(done.output)
    assert "[green]" not in done.output


def test_printable_text_stays_as_it_is():
    assert printable("Al\u2082Pd \u2264 0.1 eV\n\tx") == "Al\u2082Pd \u2264 0.1 eV\n\tx"
    assert printable(TEXT).startswith(SHOWN)
    assert not set(printable(TEXT)) & set("\x1b\x07\x9b\u202e")

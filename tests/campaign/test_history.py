"""The history of a campaign: its start, what people did to it, and its end."""

import json

import pytest
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.store.campaigns import Campaign
from campaign.store.changes.events import record_event

pytestmark = pytest.mark.mongo


def test_history_has_start_changes_and_end_in_order(finished):
    campaign = Campaign.read(finished.store, "quickstart")
    record_event(campaign, "note", {"text": "the boss said so [bold]", "candidates": ["a", "b"]})
    shown = CliRunner().invoke(app, ["history", "quickstart"])
    assert shown.exit_code == 0
    lines = shown.output.splitlines()
    assert [line.split("UTC  ")[1].split(" ")[0].rstrip(":") for line in lines] == ["started", "finished", "note"]
    assert lines[-1].endswith(": the boss said so [bold]")
    found = json.loads(CliRunner().invoke(app, ["history", "quickstart", "--json"]).output)
    assert found[-1]["details"]["candidates"] == ["a", "b"]
    assert found[-1].keys() >= {"user", "host"}
    assert found[-1]["time"].endswith("+00:00")
    finished.store.events.delete_many({})

"""A real campaign out of `tests/old_formats`, which commands change; `campaign verify` looks at it after each."""

import json
import socket

from old_formats.restore import OLD_FORMATS, restore
from typer.testing import CliRunner

from campaign.cli.app import app
from campaign.recovery.reconcile import reconcile
from campaign.store.campaigns import Campaign, OpenCampaign
from campaign.store.collections import CampaignStore
from campaign.store.migration import migrate
from campaign.verification.verify import verify
from launchers.database.settings import DatabaseSettings


class StoredCampaign:
    """The campaign ``finished`` (its budget holds candidates, one is audited, one rejected) or ``half_way``."""

    def __init__(self, file, what, name=None):
        self.file, self.name = file, name or what
        self.launchpad = DatabaseSettings.from_file(file).launchpad(strm_lvl="ERROR")
        self.store = CampaignStore(self.launchpad.db)
        restore(self.launchpad.db, OLD_FORMATS / f"{what}.jsonl.gz", host=socket.gethostname(), folder=file.parent)
        migrate(self.store, self.name)
        self.store.ensure_indexes()

    def run(self, command, *words, code=0):
        """Run a command on it; return what it prints. `campaign verify` finds nothing wrong afterwards."""
        result = CliRunner().invoke(app, [command, self.name, *words, "--launchpad", str(self.file)])
        assert result.exit_code == code, (result.output, result.exception)
        assert self.findings() == []
        return result.output

    def refused(self, command, *words):
        """Run a command that a user's error stops; return the error's text. Nothing is written."""
        before = self.everything()
        result = CliRunner().invoke(app, [command, self.name, *words, "--launchpad", str(self.file)])
        assert result.exit_code != 0, result.output
        assert self.everything() == before
        return str(result.exception)

    def json(self, command, *words, code=0):
        return json.loads(self.run(command, *words, "--json", code=code))

    def findings(self):
        campaign = OpenCampaign.open(self.store, self.launchpad, self.name, dry_run=True)
        return verify(campaign, lambda: reconcile(campaign, dry_run=True), pause_s=0.0).findings

    def open(self):
        return OpenCampaign.open(self.store, self.launchpad, self.name)

    def read(self):
        return Campaign.read(self.store, self.name)

    def candidate(self, **query):
        """The one candidate that is meant."""
        (found,) = self.store.candidates.find({"campaign": self.name, **query})
        return found

    def get(self, document):
        return self.store.candidates.find_one({"_id": document["_id"]})

    def everything(self):
        names = ("campaigns", "candidates", "steps", "events", "fireworks", "workflows", "attempts")
        return {name: sorted(self.store.database[name].find(), key=lambda each: str(each["_id"])) for name in names}

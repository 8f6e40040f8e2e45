"""The command `campaign` and its subcommands, each of which has its own file."""

import os
from collections.abc import Callable

from campaign.cli.budget import budget
from campaign.cli.changes.add import add
from campaign.cli.changes.history import history
from campaign.cli.changes.persons import promote, reject
from campaign.cli.changes.settings import set_settings
from campaign.cli.dataset import dataset
from campaign.cli.decisions import decide, explain, release
from campaign.cli.example import example
from campaign.cli.failures import failures, reconcile, retry
from campaign.cli.lifecycle.export import export
from campaign.cli.lifecycle.notify import notify
from campaign.cli.lifecycle.overview import list_campaigns
from campaign.cli.lifecycle.pausing import pause, resume, stop
from campaign.cli.lifecycle.removal import archive, delete
from campaign.cli.lifecycle.transfer import import_
from campaign.cli.machines.cluster import app as cluster_app
from campaign.cli.machines.dashboard import dashboard
from campaign.cli.machines.database import app as database_app
from campaign.cli.metrics import metrics
from campaign.cli.references import app as references_app
from campaign.cli.replay import replay
from campaign.cli.report import report
from campaign.cli.results import results
from campaign.cli.run import check, run, submit
from campaign.cli.serve import serve
from campaign.cli.status import status
from campaign.cli.verify import verify
from esnet.cli.lazy import implemented_in
from esnet.cli.program import Program
from esnet.commands.console import global_options, run_app

app = Program(
    name="campaign",
    help="Find the few stable crystals among tens of thousands, with DOS, ESNet, and relaxations of promising "
    "candidates."
    "\n\nExample: campaign example quickstart",
)
app.callback()(global_options)
# in the order in which a user needs them
_PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "Run a campaign": (example, check, run, submit),
    "Inspect a campaign": (status, results, report, serve, history, notify, dashboard),
    "Decisions and budget": (explain, metrics, budget, decide, release),
    "Change a running campaign": (add, promote, reject, set_settings),
    "Handle failures": (failures, retry, reconcile, verify),
    "Manage campaigns": (list_campaigns, pause, resume, stop, archive, delete, export, import_),
    "Other data": (dataset, replay),
}
for _panel, _commands in _PANELS.items():
    for _command in _commands:
        # `set`, `import` and `list` are names in Python
        name = _command.__name__.removesuffix("_settings").removesuffix("_campaigns").rstrip("_")
        app.command(name, rich_help_panel=_panel)(_command)
app.add_typer(references_app, name="references", rich_help_panel="Other data")
app.add_typer(database_app, name="db", rich_help_panel="Machines")
app.add_typer(cluster_app, name="cluster", rich_help_panel="Machines")


@implemented_in("campaign.commands.errors")
def message_for_user(error: BaseException) -> str | None:
    """Return the message shown instead of a traceback; None for an error that a user cannot fix."""


def run_program() -> None:
    """Run the command; errors that a user can fix are shown as one message, without a traceback."""
    # silences TensorFlow's log lines, here and in started workers and Ray; its errors reach us as exceptions
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    run_app(app, message_for_user)

"""The command `esnet` and its subcommands, each of which has its own file."""

import os

from esnet.cli.benchmark import benchmark
from esnet.cli.dataset import app as dataset_app
from esnet.cli.describe import describe
from esnet.cli.evaluate import evaluate
from esnet.cli.fetch_mp import fetch_mp
from esnet.cli.predict import predict
from esnet.cli.program import Program
from esnet.cli.similarity import similarity
from esnet.cli.train import train
from esnet.cli.tune import tune
from esnet.commands.console import global_options, run_app
from esnet.files.errors import UserError

app = Program(
    name="esnet",
    help="Formation energies from densities of states: data sets, training, tuning, evaluation."
    "\n\nExample: esnet train oxides models/oxides --members 5",
)
app.callback()(global_options)
app.add_typer(dataset_app, name="dataset")
for _command in (train, describe, predict, tune, evaluate, benchmark, similarity, fetch_mp):
    app.command()(_command)


def run_program() -> None:
    """Run the command; errors that a user can fix are shown as one message, without a traceback."""
    # suppresses TensorFlow's log lines at every start; its errors are raised as exceptions
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    run_app(app, lambda error: str(error) if isinstance(error, UserError) else None)

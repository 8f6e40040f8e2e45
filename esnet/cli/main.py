"""The command `esnet`. Thin: every command is a module of `esnet.commands`."""

from __future__ import annotations

import os
import sys

import typer

from esnet.commands import benchmark, dataset, describe, evaluate, fetch_mp, similarity, train, tune
from esnet.commands.console import global_options, print_error

app = typer.Typer(
    name="esnet",
    help="Formation energies from densities of states: data sets, training, tuning, evaluation."
    "\n\nExample: esnet train oxides models/oxides --members 5",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.callback()(global_options)
app.add_typer(dataset.app, name="dataset")
app.command("train")(train.command)
app.command("describe")(describe.command)
app.command("tune")(tune.command)
app.command("evaluate")(evaluate.command)
app.command("benchmark")(benchmark.command)
app.command("similarity")(similarity.command)
app.command("fetch-mp")(fetch_mp.command)


def main() -> None:
    """Entry point: errors that a user can mend are one message, not a traceback."""
    from esnet.files.errors import UserError

    # TensorFlow's own log lines, at every start; its errors reach us as exceptions
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        app()
    except UserError as error:
        print_error(str(error))
        sys.exit(2)

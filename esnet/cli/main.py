"""The entry point of the command `esnet`; what the command is made of stands in `esnet.cli.app`."""

import importlib

from esnet.cli.start import start

TYPE_CHECKING = False  # without typing, and all that takes time: until `main` is called, Ctrl-C is a traceback
_APP = "esnet.cli.app"

if TYPE_CHECKING:
    import typer

    app: typer.Typer
else:

    def __getattr__(name: str) -> object:
        """Look up ``app`` when it is asked for."""
        if name != "app":
            raise AttributeError(f"the module has no attribute {name!r}")
        return importlib.import_module(_APP).app


def main() -> None:
    """Run the command: errors that a user can mend are one message, not a traceback."""
    start(_APP)

"""The entry point of the command `esnet`; its subcommands are defined in `esnet.cli.app`."""

# only fast imports here, since Ctrl-C causes a traceback until `main` is called
from esnet.cli.start import start


def main() -> None:
    """Run the command; errors that a user can fix are shown as one message, without a traceback."""
    start("esnet.cli.app")

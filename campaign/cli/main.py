"""The entry point of the command `campaign`; what the command is made of stands in `campaign.cli.app`."""

# nothing else, and nothing slow: until `main` is called, Ctrl-C is a traceback
from esnet.cli.start import start


def main() -> None:
    """Run the command: errors that a user can mend are one message, not a traceback."""
    start("campaign.cli.app")

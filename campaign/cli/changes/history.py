"""The command `campaign history`: the changes that people made to a campaign."""

from campaign.cli.options import LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in
from esnet.cli.options import JsonOption


@implemented_in("campaign.commands.changes.history")
def history(name: NameArgument, launchpad: LaunchpadOption = None, as_json: JsonOption = False) -> None:
    """Show the changes made to a campaign since it started: when, by whom, and the previous values.

    Example: campaign history my-alloys
    """

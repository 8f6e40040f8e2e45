"""The command `campaign history`: what people changed of a campaign."""

from campaign.cli.options import LaunchpadOption, NameArgument
from esnet.cli.lazy import implemented_in
from esnet.cli.options import JsonOption


@implemented_in("campaign.commands.changes.history")
def history(name: NameArgument, launchpad: LaunchpadOption = None, as_json: JsonOption = False) -> None:
    """Show what was changed of a campaign since it was started: when, by whom, and what it was before.

    Example: campaign history my-alloys
    """

"""The command `campaign notify`: tells the user what is new of the campaigns."""

from typing import Annotated

import typer

from campaign.cli.options import LaunchpadOption
from esnet.cli.lazy import implemented_in


@implemented_in("campaign.commands.lifecycle.notify")
def notify(
    test: Annotated[bool, typer.Option("--test", help="Send a message that only tries the settings")] = False,
    launchpad: LaunchpadOption = None,
) -> None:
    """Send what is new of all campaigns: finished, stuck, or a stable material found; each once.

    `campaign run` and `campaign cluster run` do so while they run; this is for cron, where campaigns are run in another
    way. Where to is in ~/.config/esnet-campaign/notify.yaml, or the file that ESNET_CAMPAIGN_NOTIFY names: a command or
    a webhook (docs/notify.md). With --test, exit code 1 says that the message did not arrive.

    Example: campaign notify --test
    """

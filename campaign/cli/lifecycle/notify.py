"""The command `campaign notify`: sends news of the campaigns."""

from typing import Annotated

import typer

from campaign.cli.options import LaunchpadOption
from esnet.cli.lazy import implemented_in


@implemented_in("campaign.commands.lifecycle.notify")
def notify(
    test: Annotated[bool, typer.Option("--test", help="Send a test message only")] = False,
    launchpad: LaunchpadOption = None,
) -> None:
    """Send news of all campaigns, each item once: finished, stuck, or a stable material found.

    `campaign run` and `campaign cluster run` do this while they run; use this command in cron if campaigns are run in
    another way. The recipient, a command or a webhook, is configured in ~/.config/esnet-campaign/notify.yaml or in the
    file given by ESNET_CAMPAIGN_NOTIFY (docs/how-to/notify.md). With --test, exit code 1 means that the message did not
    arrive.

    Example: campaign notify --test
    """

"""The command `campaign notify`, and notifications by `campaign run` and `campaign cluster run`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from pymongo.errors import PyMongoError
from rich.console import Console

from campaign.commands.connection import open_for_writing
from campaign.notify.message import Message
from campaign.notify.notifier import Notifier
from campaign.notify.sending import NotSentError, Sender, send
from campaign.notify.settings import FILE_VARIABLE, NotifyFileError, NotifySettings, read_settings, settings_file
from campaign.store.campaigns import Campaign
from campaign.store.changes.events import who
from campaign.store.collections import CampaignStore
from campaign.store.notices.notices import campaigns_to_tell_of
from campaign.views.status.counts import campaign_status
from esnet.commands.console import console, print_labelled, print_plain
from esnet.files.errors import UserError


class NoNotifyFileError(UserError, LookupError):
    """There is no file with a recipient."""


def notify(*, test: bool, launchpad: Path | None) -> None:
    """Send news of all campaigns, or a test message."""
    out, settings = console(), read_settings()
    if settings is None:
        file = settings_file() or "home folder with a .config/esnet-campaign/notify.yaml"
        raise NoNotifyFileError(
            f"{file} does not exist; right: that file, or another one given by {FILE_VARIABLE}, with the section "
            "notify (docs/how-to/notify.md)"
        )
    if test:
        _send_test(settings, out)
        return
    store, _ = open_for_writing(launchpad)
    with notifications(out, is_only=True) as notifier:
        if notifier is not None:
            look_at_all(store, notifier, out, collect=False)


def _send_test(settings: NotifySettings, out: Console) -> None:
    ways = [*([settings.command[0]] if settings.command else []), *([settings.host] if settings.host else [])]
    said = f"Test message of esnet-campaign, sent by {who()['user']}: notifications arrive here."
    try:
        send(settings, Message(event="test", campaign="test", text=said))
    except NotSentError as error:
        print_labelled(out, "not sent:", str(error), style="red")
        raise typer.Exit(1) from None
    print_plain(out, f"sent to {' and '.join(ways)}; events: {', '.join(settings.events) or 'none'}")


@contextmanager
def notifications(out: Console, *, is_only: bool = False) -> Iterator[Notifier | None]:
    """Send messages during a ``with`` block, as set in the user's file; None if there is none or it cannot be used.

    Parameters
    ----------
    is_only
        Whether this process checks once, and therefore waits at its end until everything is sent.
    """
    try:
        settings = read_settings()
    except NotifyFileError as error:
        # nothing in the campaign depends on it
        print_labelled(out, "no notifications:", str(error))
        settings = None
    if settings is None:
        yield None
        return

    def on_problem(said: str) -> None:
        print_labelled(out, "notify:", said)

    sender = Sender(settings, on_problem)
    try:
        yield Notifier(settings, sender, on_problem)
    except (KeyboardInterrupt, typer.Exit):  # Ctrl-C must end the process soon
        sender.close(wait_s=1.0)
        raise
    finally:
        sender.close(all_of_them=is_only)


def look_at_all(store: CampaignStore, notifier: Notifier, out: Console, *, collect: bool) -> None:
    """Send news of every campaign that is running or has finished since the last check."""
    for name in campaigns_to_tell_of(store, who()["user"]):
        try:
            campaign = Campaign.read(store, name)
            notifier.look(campaign, campaign_status(campaign), collect=collect)
        except UserError as error:
            print_plain(out, f"{name}: no notifications: {error}")
        except PyMongoError:
            raise  # the database is unavailable for the others too
        except Exception as error:  # noqa: BLE001 one damaged campaign must not prevent news of the others
            notifier.say_damaged(name, error)

"""The messages about a campaign: text and fields."""

import html
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from campaign.attempts.blocked import BLOCKED
from campaign.notify.settings import Event
from campaign.store.collections import now
from campaign.views.status.counts import Status
from campaign.views.status.recent_events import Discovery
from esnet.commands.console import printable

_NAMED, _LISTED = 5, 50
_LONGEST = 2000  # characters


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message.

    Attributes
    ----------
    event
        ``finished``, ``stuck``, ``found``, or ``test``.
    campaign
        Name of the campaign.
    text
        A sentence or two, without control characters.
    stable, candidates
        Number of stable candidates, and of all.
    found
        For ``found``, up to 50 discoveries: id, formula, prototype, e_form and e_hull (eV/atom), found_by, time.
    time
        Time, UTC, ISO 8601.
    """

    event: Event | str
    campaign: str
    text: str
    stable: int = 0
    candidates: int = 0
    found: list[dict[str, Any]] = field(default_factory=list)
    time: str = field(default_factory=lambda: now().isoformat())

    def to_dict(self) -> dict[str, Any]:
        """Return the message in JSON types."""
        return asdict(self)

    def for_webhook(self) -> dict[str, Any]:
        """Return the message in JSON types, with text escaped for Slack and Mattermost, which interpret
        ``<!channel>``.
        """
        return self.to_dict() | {"text": html.escape(self.text, quote=False)}


def _message(event: Event, status: Status, text: str, found: Sequence[Discovery] = ()) -> Message:
    return Message(
        event=event,
        campaign=status.name,
        text=" ".join(printable(text).split())[:_LONGEST],
        stable=status.stable,
        candidates=sum(status.candidates.values()),
        found=[asdict(each) for each in found[:_LISTED]],
    )


def finished_message(status: Status) -> Message:
    """Return the message that a campaign is finished."""
    hours = status.cpu_s / 3600.0
    failed = sum(status.failures.values())
    text = f"{status.name} is finished: {status.stable} stable of {sum(status.candidates.values())} candidates"
    return _message("finished", status, f"{text}, {failed} failed, {hours:.2f} CPU-hours")


def stuck_message(status: Status) -> Message:
    """Return the message that a campaign waits for a person."""
    label, why = status.labelled_problem
    why = why or "nothing is left to run, but it is not complete: see `campaign status`"
    return _message("stuck", status, f"{status.name} is {BLOCKED if label == BLOCKED else 'stuck'}: {why}")


def found_message(status: Status, found: Sequence[Discovery]) -> Message:
    """Return the message about new stable materials."""
    named = [
        f"{each.formula} {each.prototype} (E_f {each.e_form:+.3f}, E_hull {each.e_hull:+.3f} eV/atom)"
        for each in found[:_NAMED]
    ]
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    what = "a stable material" if len(found) == 1 else f"{len(found)} stable materials"
    text = f"{status.name} has found {what}: {', '.join(named)}{more}; {status.stable} in all"
    return _message("found", status, text, found)

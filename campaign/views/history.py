"""History of a campaign: its start, changes by users, and its end."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from campaign.store.campaigns import Campaign
from campaign.store.changes.events import read_events
from campaign.store.collections import in_utc
from campaign.store.states import CampaignState

#: Entries in one line of text.
_NAMED = 5


def campaign_history(campaign: Campaign, *, newest: int | None = None) -> list[dict[str, Any]]:
    """Return the dated changes of a campaign as JSON types, the oldest first.

    Parameters
    ----------
    newest
        Return only the last changes by users, without start and end.

    Returns
    -------
    list of dict
        ``time`` (UTC, ISO 8601), ``kind``, ``user`` and ``host`` (None where not written down), ``details`` and
        the same in one sentence, ``text``.
    """
    changes = [_entry(event) for event in read_events(campaign, newest=newest)]
    if newest is not None:
        return changes
    document = campaign.document
    found = [*_dated(document, "created", "started"), *_earlier_budgets(document), *changes]
    stop = document.get("stopped")
    if stop and not any(change["kind"] in ("stopped", "paused") for change in changes):  # before there was a history
        found.append(_plain(stop["time"], "stopped", f"stopped after {stop['number']} failures ({stop['cause']})"))
    if document["state"] == CampaignState.FINISHED:
        found += _dated(document, "ended", "finished")
    return sorted(found, key=lambda entry: str(entry["time"]))


def _dated(document: Mapping[str, Any], field: str, kind: str) -> list[dict[str, Any]]:
    return [_plain(document[field], kind, kind)] if document.get(field) else []


def _earlier_budgets(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the budgets of versions that kept no history."""
    for change in document.get("budget_history") or []:
        if "event" not in change:
            limits = {key: value for key, value in change["budget"].items() if value is not None}
            text = ", ".join(f"{key} {value}" for key, value in limits.items() if not key.endswith("_cpu_s"))
            yield _plain(change["time"], "budget", f"limits: {text or 'none'}")


def _plain(time: datetime, kind: str, text: str) -> dict[str, Any]:
    return {"time": in_utc(time).isoformat(), "kind": kind, "user": None, "host": None, "details": {}, "text": text}


def _entry(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "time": in_utc(event["time"]).isoformat(),
        **{key: event.get(key) for key in ("kind", "user", "host")},
        "details": _as_json(event["details"]),
        "text": _text(event["details"]),
    }


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_json(found) for key, found in value.items()}
    if isinstance(value, list):
        return [_as_json(found) for found in value]
    return in_utc(value).isoformat() if isinstance(value, datetime) else value


def _text(details: Mapping[str, Any]) -> str:
    if text := details.get("text"):
        return str(text)
    return "; ".join(f"{key}: {_short(value)}" for key, value in details.items())


def _short(value: Any) -> str:
    if not isinstance(value, list):
        return str(value)
    more = f" and {len(value) - _NAMED} more" if len(value) > _NAMED else ""
    return ", ".join(map(str, value[:_NAMED])) + more


def format_history(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the history as lines of text, one per change."""
    for entry in entries:
        by = f" by {entry['user']} on {entry['host']}" if entry["user"] else ""
        said = "" if entry["text"] == entry["kind"] else f": {entry['text']}"
        yield f"{entry['time'][:19].replace('T', ' ')} UTC  {entry['kind']}{by}{said}"

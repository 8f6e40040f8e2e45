"""Check the file of an existing campaign: its settings must be the original or the current ones."""

from collections.abc import Iterator, Mapping
from typing import Any

from campaign.scorers.relaxation import FORMER_GUARDS, Guards
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.changes import SETTABLE
from campaign.spec.stored_spec import read_stored_spec
from esnet.files.errors import UserError

#: `reuse` affects no result: a campaign started with --no-reuse continues without the option.
_NOT_COMPARED = {"reuse"}
#: Defaults of earlier versions. A campaign started with one keeps it, although its unchanged file, which does not name
#: the field, now gets the new default.
_FORMER_DEFAULTS = {
    "screening.min_completed_fraction": (0.95, None),
    **{f"scorer.guards.{name}": (former, getattr(Guards(), name)) for name, former in FORMER_GUARDS.items()},
}


class CampaignExistsError(UserError, ValueError):
    """A campaign of that name exists with other settings."""


def refuse_other_settings(known: Mapping[str, Any], spec: CampaignSpec) -> None:
    """Refuse a file that contains neither the original settings of a campaign nor those now in force.

    Parameters
    ----------
    known
        ``spec``, ``settings`` and ``budget`` of the campaign's document.
    spec
        Settings of the file.

    Raises
    ------
    CampaignExistsError
        Lists each setting that differs, and how to change it if it can be changed.
    """
    # a campaign started by an earlier version lacks newer fields: they get their defaults
    started = read_stored_spec(spec.name, known["spec"]).model_dump(mode="json", exclude=_NOT_COMPARED)
    now = _in_force(known, spec.name)
    found = spec.model_dump(mode="json", exclude=_NOT_COMPARED)
    other = {path for path, *_ in _differences(started, found)} & {path for path, *_ in _differences(now, found)}
    if not other:
        return
    told: list[str] = []
    settable: list[tuple[str, Any]] = []
    fixed: list[tuple[str, Any]] = []
    for path, stored, given in _differences(now, found):
        if path in other:
            was = _value_at(started, path)
            since = f", changed from {was!r} by `campaign set`" if was != stored else ""
            told.append(f"{path} (stored {stored!r}{since}, in the file {given!r})")
            (settable if path.partition(".")[0] in SETTABLE else fixed).append((path, given))
    message = f"campaign {spec.name!r} was started with other settings; they differ in {'; '.join(sorted(told))}. "
    if fixed:
        message += "A running campaign keeps its settings; give the new campaign another name"
    else:
        words = " ".join(f"{path}={_word(given)}" for path, given in sorted(settable))
        message += f"These can be changed while it runs: campaign set {spec.name} {words}"
    raise CampaignExistsError(message)


def settings_note(known: Mapping[str, Any], spec: CampaignSpec) -> str | None:
    """Return a note of the settings in which a file differs from those in force, or None; call `refuse_other_settings`
    first.
    """
    now = _in_force(known, spec.name)
    told = [
        f"{path} is {stored!r} (in the file {given!r})"
        for path, stored, given in _differences(now, spec.model_dump(mode="json", exclude=_NOT_COMPARED))
    ]
    if not told:
        return None
    return f"settings that were changed since then are kept (campaign history {spec.name}): {'; '.join(sorted(told))}"


def _in_force(known: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the settings a campaign was started with, updated with later changes."""
    changed = {**(known.get("settings") or {}), **({"budget": known["budget"]} if known.get("budget") else {})}
    return read_stored_spec(name, known["spec"], changed).model_dump(mode="json", exclude=_NOT_COMPARED)


def _word(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _differences(stored: Any, found: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield path, stored and found value of each difference."""
    if isinstance(stored, dict) and isinstance(found, dict):
        for key in stored.keys() | found.keys():
            yield from _differences(stored.get(key), found.get(key), f"{path}.{key}" if path else key)
    elif stored != found and _FORMER_DEFAULTS.get(path) != (stored, found):
        yield path, stored, found


def _value_at(content: Any, path: str) -> Any:
    for part in path.split("."):
        content = content.get(part) if isinstance(content, dict) else None
    return content

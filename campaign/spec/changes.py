"""Settings of a running campaign that may be changed because no calculated number depends on them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml.error import YAMLError

from campaign.config.yaml_file import did_you_mean, load_yaml
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.reader import current_section, read_policy
from campaign.spec.translation import wrong_settings
from esnet.files.errors import UserError

#: Sections that may be changed, in the order of a campaign file; the budget is stored separately.
SETTABLE = ("screening", "policy", "budget", "stable", "retries")
_ANEW = "start a campaign with another name"
#: Why the others may not be changed, and the alternative.
_FIXED = {
    "name": f"it is part of all ids; {_ANEW}",
    "purpose": f"it decides the purpose of all candidates; {_ANEW}",
    "candidates": f"the candidates are generated from it when the campaign starts; {_ANEW}",
    "references": f"all formation energies are relative to them; {_ANEW}",
    "dft": f"all calculated numbers depend on it; {_ANEW}, or use `campaign retry --set` for a failed calculation",
    "model": f"earlier and later predictions would not be comparable; {_ANEW}",
    "scorer": f"earlier and later predictions would not be comparable; {_ANEW}",
    "prefilter": f"it has rejected candidates before their IS-DOS; {_ANEW}",
    "seed": f"the drawn samples depend on it; {_ANEW}",
}
#: Settings common to all policies, kept when the kind of policy changes.
_OF_EVERY_POLICY = ("audit", "novel")


class SettingsError(UserError, ValueError):
    """The settings cannot be changed as requested; `problems` lists every reason."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True)
class Change:
    """A setting (``policy.max_hull_energy``) and its old and new value, as JSON types; None if absent."""

    field: str
    old: Any
    new: Any

    def __str__(self) -> str:
        """Return e.g. ``policy.max_hull_energy 0.13 -> 0.2``."""
        return f"{self.field} {_shown(self.old)} -> {_shown(self.new)}"


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def read_assignments(assignments: Sequence[str]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Parse ``section.key=value`` arguments; values as in a campaign file, ``none`` for null.

    Returns
    -------
    dict, list of str
        Values by section and key; and all problems.
    """
    given: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    for text in assignments:
        name, equals, value = (part.strip() for part in text.partition("="))
        section, _, key = name.partition(".")
        if not (equals and name):
            problems.append(f"found {text!r}; right: SECTION.KEY=VALUE, e.g. policy.max_hull_energy=0.2")
        elif section in _FIXED:
            problems.append(
                f"{name}: cannot be changed: {_FIXED[section]}. Settings that can be changed: {', '.join(SETTABLE)}"
            )
        elif section not in SETTABLE:
            problems.append(f"{name}: unknown section; {did_you_mean(section, SETTABLE)}")
        elif not key or "." in key:
            problems.append(f"{name}: found {text!r}; right: {section}.KEY=VALUE, one per key")
        else:
            renamed = current_section(section, {key: _value(value)})
            if key := next(iter(renamed.keys() & given.get(section, {}).keys()), ""):
                problems.append(f"{section}.{key}: is given twice; give it once")
            given.setdefault(section, {}).update(renamed)
    return given, problems


def _value(text: str) -> Any:
    if text.lower() == "none":
        return None
    try:
        return load_yaml(text)
    except (YAMLError, ValueError):
        return text  # the setting's own check reports what would be right


def changed_spec(
    spec: CampaignSpec, given: Mapping[str, Mapping[str, Any]], problems: Sequence[str] = ()
) -> tuple[CampaignSpec, list[Change]]:
    """Return the settings in force with some replaced, and the differences.

    Parameters
    ----------
    spec
        Settings in force, including the budget.
    given
        New values by section and key. A policy of another ``kind`` starts from its own defaults, but keeps ``audit``
        and ``novel``.
    problems
        Problems found so far.

    Raises
    ------
    SettingsError
        Lists all problems.
    """
    wrong, sections = list(problems), {}
    for section, values in given.items():
        try:
            found, told = _changed_section(getattr(spec, section), section, values)
        except ValidationError as error:
            wrong += wrong_settings(error, section=section, model=type(getattr(spec, section)))
        else:
            sections[section] = found
            wrong += told
    if not wrong:
        try:
            new = CampaignSpec.model_validate({**dict(spec), **sections})
        except ValidationError as error:
            wrong += wrong_settings(error)
        else:
            wrong += _fixed_inside(spec, new)
    if wrong:
        raise SettingsError(wrong)
    return new, [change for section in SETTABLE for change in _differences(spec, new, section)]


def _changed_section(current: BaseModel, section: str, values: Mapping[str, Any]) -> tuple[BaseModel, list[str]]:
    before = current.model_dump()
    if section != "policy":
        return type(current).model_validate({**before, **values}), []
    if values.get("kind", before["kind"]) != before["kind"]:
        before = {key: before[key] for key in _OF_EVERY_POLICY}
    policy, wrong = read_policy({**before, **values})
    return policy, [f"policy.{problem}" for problem in wrong]


def _fixed_inside(old: CampaignSpec, new: CampaignSpec) -> Iterator[str]:
    before, after = old.screening.retrain_every, new.screening.retrain_every
    if (before is None) != (after is None):
        yield (
            f"screening.retrain_every: found {_shown(after)}, but it is {_shown(before)}; right: another number, "
            f"since retraining decides which RS-DOS are calculated; {_ANEW}"
        )


def _differences(old: CampaignSpec, new: CampaignSpec, section: str) -> Iterator[Change]:
    before, after = (getattr(spec, section).model_dump(mode="json") for spec in (old, new))
    for key in {**before, **after}:
        if before.get(key) != after.get(key):
            yield Change(f"{section}.{key}", before.get(key), after.get(key))

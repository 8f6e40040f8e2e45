"""Turn the content of a campaign file into a checked `CampaignSpec`, or into the list of all its problems."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from campaign.config.plugins import Kinds
from campaign.config.yaml_file import CampaignFileError, FieldPath, Problem, describe, did_you_mean, dotted, read_yaml
from campaign.policies.base import Policy
from campaign.spec.campaign_spec import FIREWORK_HEADER, CampaignSpec, chosen_kinds, with_chosen_inside
from campaign.spec.checks import section_problems
from campaign.spec.translation import PREFIX, Place, models_of, own_errors, translated

if TYPE_CHECKING:
    pass

logger = logging.getLogger(__name__)

_FIREWORK_KEYS = ("_priority", "_queueadapter", "_fworker", "_launch_dir", "_trackers", "_dupefinder")
"""FireWorks' own keys that a user may add to ``spec``."""

ENGINE_ELSEWHERE = "_engine_elsewhere"
"""Key of ``spec`` that tells StartCampaign not to check POTCARs on the machine where it runs."""

RENAMED_FIELDS: dict[tuple[str, str], str] = {("screening", "close_at"): "min_completed_fraction"}
"""Fields of earlier versions, by section, with their present names."""


def read_campaign_file(path: str | Path) -> CampaignSpec:
    """Read and check a campaign file; relative paths in it are relative to its folder.

    Raises
    ------
    CampaignFileError
        Lists all problems, each with file, line, field, what was found and what would be right.
    """
    path = Path(path)
    content, text = read_yaml(path)
    place = Place(path, text)
    problems = _header_problems(content, place)
    firework_spec = content.get("spec")
    campaign = firework_spec.get("campaign") if isinstance(firework_spec, dict) else None
    return _checked(campaign, content.get("name"), problems, place, base_dir=path.resolve().parent)


def read_firework_spec(spec: Mapping[str, Any], *, name: str, base_dir: Path | None = None) -> CampaignSpec:
    """Read and check a campaign submitted with ``lpad add``.

    Parameters
    ----------
    spec
        The firework's spec; the campaign is its value ``campaign``; FireWorks' own keys are ignored.
    name
        The firework's name, which is the campaign's.
    base_dir
        Folder that relative paths refer to. If None, relative paths are refused.

    Raises
    ------
    CampaignFileError
        Lists all problems.
    """
    return _checked(spec.get("campaign"), name, [], Place(), base_dir=base_dir)


def _checked(campaign: Any, name: Any, problems: list[Problem], place: Place, *, base_dir: Path | None) -> CampaignSpec:
    if not isinstance(campaign, dict):
        found = "is missing" if campaign is None else f"found {describe(campaign)}"
        message = f"{found}; right: the campaign's sections (candidates, dft, ...), `campaign example` writes one"
        raise CampaignFileError([*problems, place.problem(PREFIX, message)])
    context = {"base_dir": base_dir}
    content = {key: value for key, value in campaign.items() if key != "name"}
    problems += _read_old_names(content, place)
    if "name" in campaign:
        problems.append(place.problem((*PREFIX, "name"), "the name belongs at the top of the file, not here"))
    chosen, wrong = _chosen_sections(content, place, context)
    inside, wrong_inside = _chosen_inside(content, place, context)
    problems += wrong + wrong_inside
    content |= chosen | inside
    spec: CampaignSpec | None = None
    try:
        spec = CampaignSpec.model_validate({"name": name, **content}, context=context)
    except ValidationError as error:
        problems += [translated(details, place) for details in own_errors(error)]
    sections = _usable_sections(content, context) if spec is None else dict(spec)
    problems += [
        place.problem((*PREFIX, *path), message) if file is None else Problem(dotted((*PREFIX, *path)), message, file)
        for path, message, file in (
            (_in_file(path, content), message, file) for path, message, file in section_problems(sections)
        )
    ]
    if spec is None or problems:
        raise CampaignFileError(problems)
    return spec


def current_section(section: str, content: Any) -> Any:
    """Return a stored section of a campaign with the present names of its fields."""
    if not isinstance(content, dict):
        return content
    new: dict[Any, Any] = {RENAMED_FIELDS.get((section, key), key): value for key, value in content.items()}
    return next((kinds.current(new) for key, kinds in chosen_kinds() if key == section), new)


def _read_old_names(content: dict[str, Any], place: Place) -> Iterator[Problem]:
    """Rename the fields of earlier versions, yielding a message for each."""
    for (section, old), new in RENAMED_FIELDS.items():
        given = content.get(section)
        if not isinstance(given, dict) or old not in given:
            continue
        told = place.problem((*PREFIX, section, old), f"has been called {new} since version 0.2; it is read as {new}")
        if new in given:
            yield place.problem(
                (*PREFIX, section, old), f"has been called {new} since version 0.2, which is also given"
            )
        else:
            logger.warning("%s", told)
        content[section] = {new: given[old], **{key: value for key, value in given.items() if key != old}}
    for key, kinds in chosen_kinds():
        given = content.get(key)
        if isinstance(given, dict) and "kind" in given and kinds.current(given) != given:
            new = kinds.renamed[given["kind"]]
            message = f"{given['kind']!r} has been called {new!r} since version 0.2; it is read as {new!r}"
            logger.warning("%s", place.problem((*PREFIX, key, "kind"), message))


def _chosen_sections(
    content: Mapping[str, Any], place: Place, context: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Problem]]:
    """Build the sections whose class is chosen by ``kind``; return them and their problems.

    An invalid section is replaced by its default, so that the others can be checked.
    """
    sections: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, kinds in chosen_kinds():
        given = content.get(key)
        if not isinstance(given, dict):
            continue  # absent: the default; anything else: reported by the validation of the whole spec
        default = CampaignSpec.model_fields[key].default
        made, wrong = _chosen(given, kinds, place, context, path=(key,), default=default.kind)
        sections[key] = default if made is None else made
        problems += wrong
    return sections, problems


def _chosen_inside(
    content: Mapping[str, Any], place: Place, context: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Problem]]:
    """Build the fields whose class is chosen by ``kind`` inside other sections; return the sections and their problems.

    A section with such an invalid field is left out once its other fields are checked.
    """
    sections: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, field, kinds in with_chosen_inside():
        section = content.get(key)
        if not (isinstance(section, dict) and isinstance(given := section.get(field), dict)):
            continue
        made, wrong = _chosen(given, kinds, place, context, path=(key, field), default=None)
        sections[key] = {**section, field: made}
        if made is None:
            sections[key] = None
            model = next(model for model in models_of(CampaignSpec.model_fields[key].annotation))
            try:
                model.model_validate({name: value for name, value in section.items() if name != field})
            except ValidationError as error:
                others = [each for each in own_errors(error) if each["loc"] != (field,)]
                problems += [translated(each, place, inside=(key,), model=model) for each in others]
        problems += wrong
    return sections, problems


def _chosen(
    given: Mapping[str, Any],
    kinds: Kinds[Any],
    place: Place,
    context: Mapping[str, Any],
    *,
    path: FieldPath,
    default: str | None,
) -> tuple[Any, list[Problem]]:
    """Build the object chosen by ``kind``; None, with the problems, if that is impossible."""
    settings = kinds.current(given)
    kind = settings.get("kind", default)
    if kind is None:
        return None, [place.problem((*PREFIX, *path, "kind"), f"is missing; right: one of {', '.join(kinds.names())}")]
    settings, problems = _with_members(settings, str(kind), kinds, place, context, path)
    try:
        model = kinds.class_of(str(kind))
        made = model.model_validate(settings, context=context)
    except kinds.unknown as error:
        return None, [place.problem((*PREFIX, *path, "kind"), f"found {describe(kind)}: {error}")]
    except ValidationError as error:
        # the problems of a list's invalid items are already reported
        own = [each for each in own_errors(error) if not problems or each["loc"][:1] != (kinds.lists[str(kind)][0],)]
        return None, problems + [translated(details, place, inside=path, model=model) for details in own]
    return (None, problems) if problems else (made, [])


def _with_members(
    settings: dict[str, Any], kind: str, kinds: Kinds[Any], place: Place, context: Mapping[str, Any], path: FieldPath
) -> tuple[dict[str, Any], list[Problem]]:
    """Build each item of a list of objects of other classes, so that problems are reported for the item's own field."""
    field, others = kinds.lists.get(kind, ("", kinds))
    given = settings.get(field)
    if not isinstance(given, list):
        return settings, []
    made, problems = [], []
    for number, each in enumerate(given):
        if isinstance(each, dict):
            each, wrong = _chosen(each, others, place, context, path=(*path, field, number), default=None)
            problems += wrong
        made.append(each)
    return {**settings, field: made}, problems


def read_policy(settings: Mapping[str, Any]) -> tuple[Policy, list[str]]:
    """Read a policy given outside a file; return it with the problems of its settings, each starting with the setting's
    name.

    If there are problems, the policy is the default one.
    """
    sections, problems = _chosen_sections({"policy": dict(settings)}, Place(), {})
    prefix = f"{dotted((*PREFIX, 'policy'))}."
    return sections["policy"], [f"{problem.field.removeprefix(prefix)}: {problem.message}" for problem in problems]


def _usable_sections(content: Mapping[str, Any], context: dict[str, Any]) -> dict[str, Any]:
    """Return the sections without their wrong values, so that the rest of them can still be checked."""
    sections: dict[str, Any] = {}
    for key, field in CampaignSpec.model_fields.items():
        model = next(models_of(field.annotation), None)
        given = content.get(key, {} if field.default is not None else None)
        if model is None or given is None:
            continue
        if isinstance(given, BaseModel):
            sections[key] = given
            continue
        try:
            sections[key] = model.model_validate(given, context=context)
        except ValidationError as error:
            wrong = [details["loc"] for details in error.errors(include_url=False, include_context=False)]
            with suppress(ValidationError):  # unusable: its problem has already been reported
                sections[key] = model.model_validate(_without(given, wrong), context=context)
    return sections


def _without(given: Any, wrong: Iterable[FieldPath]) -> Any:
    """Return a copy of a section without the values at the paths `wrong`."""
    left = deepcopy(given)
    # from the end of a list, so that positions stay valid
    for path in sorted(wrong, key=lambda path: [(isinstance(part, int), part) for part in path], reverse=True):
        parent = left
        for part in path[:-1]:
            parent = parent[part]
        if path and (path[-1] in parent if isinstance(parent, dict) else isinstance(parent, list)):
            del parent[path[-1]]
    return left


def _in_file(path: FieldPath, content: Mapping[str, Any]) -> FieldPath:
    """Return the path of a value in the file: an element is located by its symbol, since invalid ones may
    precede it.
    """
    if path[:2] == ("candidates", "elements") and len(path) == 3:
        return (*path[:2], content["candidates"]["elements"].index(path[2]))
    return path


def _header_problems(content: Mapping[str, Any], place: Place) -> list[Problem]:
    """Return the problems of the lines that make the file a firework."""
    problems = [
        place.problem((key,), f"unknown key; {did_you_mean(key, ('name', 'spec'))}")
        for key in content
        if key not in ("name", "spec")
    ]
    spec = content.get("spec")
    if not isinstance(spec, dict):
        found = "is missing" if "spec" not in content else f"found {describe(spec)}"
        right = (
            f"{found}; right: a mapping with {', '.join(FIREWORK_HEADER)} and campaign, `campaign example` writes one"
        )
        return [*problems, place.problem(("spec",), right)]
    for key, right in FIREWORK_HEADER.items():
        if key not in spec:
            problems.append(place.problem(("spec", key), f"is missing; right: {key}: {_as_yaml(right)}"))
        elif spec[key] != right or isinstance(spec[key], bool) != isinstance(right, bool):
            message = f"found {describe(spec[key])}; right: {key}: {_as_yaml(right)}"
            problems.append(place.problem(("spec", key), message))
    known = (*FIREWORK_HEADER, "campaign", ENGINE_ELSEWHERE, *_FIREWORK_KEYS)
    if not isinstance(elsewhere := spec.get(ENGINE_ELSEWHERE, False), bool):
        message = f"found {describe(elsewhere)}; right: true or false"
        problems.append(place.problem(("spec", ENGINE_ELSEWHERE), message))
    sections = CampaignSpec.model_fields.keys()
    for key in spec:
        if key in sections:
            problems.append(place.problem(("spec", key), "is indented too little; right: inside spec.campaign"))
        elif key not in known:
            problems.append(place.problem(("spec", key), f"unknown key; {did_you_mean(key, known)}"))
    return problems


def _as_yaml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return '[{_fw_name: "{{campaign.firetasks.StartCampaign}}"}]' if isinstance(value, list) else str(value)

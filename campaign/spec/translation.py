"""Translate pydantic's errors about a campaign file into sentences: what was found, and what would be right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from campaign.config.yaml_file import FieldPath, Problem, describe, did_you_mean, dotted, line_of, nearest
from campaign.spec.campaign_spec import CampaignSpec

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

PREFIX: FieldPath = ("spec", "campaign")
"""Path of a campaign's settings in its file."""

_RIGHT_TYPES = {
    "float_type": "a number",
    "finite_number": "a finite number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "string_type": "text (put it in quotes)",
    "tuple_type": "a list, e.g. [a, b]",
    "path_type": "a path (text)",
    "is_instance_of": "a path (text)",
    "model_type": "a section with keys of its own",
    "bool_type": "true or false",
}


_SECTIONS = {"scorer": "{kind: force_field, calculator: CHGNet}", "policy": "{kind: thresholds, max_hull_energy: 0.1}"}
"""Examples of sections that are often given as a text."""


@dataclass(frozen=True)
class Place:
    """Origin of a campaign's settings, for messages."""

    file: Path | None = None
    text: str | None = None

    def problem(self, path: FieldPath, message: str) -> Problem:
        """Return the problem of the value at a path, with its line if there is a file."""
        line = None if self.text is None else line_of(self.text, path)
        return Problem(dotted(path), message, self.file, line)


def wrong_settings(
    error: ValidationError, *, section: str | None = None, model: type[BaseModel] = CampaignSpec
) -> list[str]:
    """Return the problems of settings given outside a file, each starting with the setting, e.g. ``budget.until: ``.

    The error is that of a section if its model is given, otherwise of a whole spec.
    """
    inside = () if section is None else (section,)
    problems = [translated(details, Place(), inside=inside, model=model) for details in own_errors(error)]
    prefix = f"{dotted(PREFIX)}."
    return [f"{problem.field.removeprefix(prefix)}: {problem.message}" for problem in problems]


def own_errors(error: ValidationError) -> list[ErrorDetails]:
    """Return the errors without those that follow from others: an invalid item does not make its list too short."""
    found = error.errors(include_url=False)
    above = {details["loc"][:-1] for details in found if details["loc"]}
    return [details for details in found if not (details["type"] == "too_short" and details["loc"] in above)]


def translated(
    details: ErrorDetails, place: Place, *, inside: FieldPath = (), model: type[BaseModel] = CampaignSpec
) -> Problem:
    """Translate one of pydantic's errors into a sentence: what was found, and what would be right.

    Its location starts in the spec as a whole, or inside a section if its model is given.
    """
    location: FieldPath = tuple(details["loc"])
    path = location if location == ("name",) else (*PREFIX, *inside, *location)
    kind, found = details["type"], describe(details["input"])
    model, description = _field(location, model)
    context = details.get("ctx", {})
    if kind == "extra_forbidden":
        known = tuple(key for key in model.model_fields if (model, key) != (CampaignSpec, "name"))
        return place.problem(path, f"unknown key; {did_you_mean(location[-1], known)}")
    if kind == "missing":
        return place.problem(path, f"is missing and has no default; right: {description}")
    if kind == "value_error":
        error = str(context["error"])
        # a section's own message states what was found in it
        shown = "" if isinstance(details["input"], dict | BaseModel) else f"found {found}: "
        return place.problem(path, f"{shown}{error}")
    if kind == "literal_error":
        literals = context["expected"].replace(" or ", ",").split(",")
        guess = nearest(details["input"], [part.strip(" '") for part in literals if part.strip()])
        remedy = f"did you mean {guess!r}? right: " if guess else "right: "
        return place.problem(path, f"found {found}; {remedy}{context['expected']} ({description})")
    if kind == "string_pattern_mismatch":
        return place.problem(path, f"found {found}; right: {description}")
    if kind in ("too_short", "too_long"):
        limit = f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
        return place.problem(path, f"found {found}; right: {limit} of them ({description})")
    message = details["msg"].removeprefix("Input should be ")
    right = _RIGHT_TYPES.get(kind) or message[:1].lower() + message[1:]
    if kind == "model_type" and location and location[-1] in _SECTIONS:
        right += f", e.g. {location[-1]}: {_SECTIONS[str(location[-1])]}"
    return place.problem(path, f"found {found}; right: {right} ({description})")


def _field(location: FieldPath, model: type[BaseModel]) -> tuple[type[BaseModel], str]:
    """Return the section that holds the field at `location` inside a model, and the field's description."""
    description = ""
    for part in location:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        if field is None:
            break
        description = field.description or ""
        if part != location[-1]:
            model = next(models_of(field.annotation), model)
    return model, description


def models_of(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the section models of a field, including those of a field that may be null."""
    for found in (annotation, *get_args(annotation)):
        if isinstance(found, type) and issubclass(found, BaseModel):
            yield found

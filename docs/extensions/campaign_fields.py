"""The fields of a campaign file as Markdown, from the pydantic models that read it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel

_UNITS = (
    (r"states/eV per atom", "states/eV per atom"),
    (r"eV/atom", "eV/atom"),
    (r"eV/A", "eV/A"),
    (r"in eV\b", "eV"),
    (r"in A\b", "A"),
    (r"for each CPU-hour\b", "1/CPU-h"),
    (r"CPU-hours", "CPU-h"),
    (r"CPU-s\b", "CPU-s"),
    (r"in (s|seconds|min|minutes|h|hours|MB|GB|MiB|GiB)\b", None),
)
_TYPES = {"integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}
_TEXTS = {"path": "path", "date-time": "time with its zone", None: "text"}
_HEAD = "| field | type | unit | default | meaning |\n| --- | --- | --- | --- | --- |"


def campaign_fields() -> str:
    """Markdown of all sections: a table each, in the order of the file."""
    from campaign.policies.registry import POLICIES
    from campaign.scorers.registry import SCORERS
    from campaign.spec.campaign_spec import CampaignSpec

    kinds = {"policy": POLICIES.shipped, "scorer": SCORERS.shipped}
    fields = CampaignSpec.model_fields.items()
    # a section that may be null is a field that says so, too
    single = [name for name, found in fields if name not in kinds and (_may_be_null(found) or not _section(found))]
    parts = [f"## {', '.join(single)}\n\n{_HEAD}\n" + "\n".join(_rows(CampaignSpec, only=single))]
    for name, field in fields:
        if name in kinds:
            parts += _kinds(name, field.description or "", kinds[name])
        elif section := _section(field):
            parts += _sections(name, section)
    return "\n\n".join(parts) + "\n"


def _section(field: Any) -> type[BaseModel] | None:
    """The model of a field that is a section of its own, also of one that may be null."""
    kinds = [kind for kind in get_args(field.annotation) if kind is not NoneType] or [field.annotation]
    found = kinds[0]
    return found if len(kinds) == 1 and isinstance(found, type) and issubclass(found, BaseModel) else None


def _may_be_null(field: Any) -> bool:
    return NoneType in get_args(field.annotation)


def _sections(path: str, section: type[BaseModel]) -> Iterator[str]:
    given = {name: field for name, field in section.model_fields.items() if not _may_be_null(field)}
    inner = {name: found for name, field in given.items() if (found := _section(field))}
    rows = list(_rows(section, only=[name for name in section.model_fields if name not in inner]))
    yield f"{'#' * (2 + path.count('.'))} {path}\n\n{_first_paragraph(section)}\n\n{_HEAD}\n" + "\n".join(rows)
    for name, found in inner.items():
        yield from _sections(f"{path}.{name}", found)


def _kinds(path: str, meaning: str, kinds: Any) -> Iterator[str]:
    yield f"## {path}\n\n{meaning[:1].upper()}{meaning[1:]}. `kind` chooses; each kind has its own settings."
    for kind, section in kinds.items():
        yield f"### {path}, kind: {kind}\n\n{_first_paragraph(section)}\n\n{_HEAD}\n" + "\n".join(_rows(section))


def _first_paragraph(section: type[BaseModel]) -> str:
    return " ".join((section.__doc__ or "").strip().split("\n\n")[0].split())


def _rows(section: type[BaseModel], *, only: list[str] | None = None) -> Iterator[str]:
    schema = section.model_json_schema()
    for name, field in schema["properties"].items():
        if only is not None and name not in only:
            continue
        required = name in schema.get("required", ())
        meaning = field.get("description", "")
        cells = [f"`{name}`", _type(field), _unit(meaning), "required" if required else _value(field.get("default"))]
        yield f"| {' | '.join(cells)} | {meaning.replace('|', chr(92) + '|')} |"


def _type(field: dict[str, Any]) -> str:
    """What may stand there, in words, with its limits."""
    if choice := field.get("anyOf"):
        return " or ".join(_type(one) for one in choice)
    if "const" in field:
        return f"`{field['const']}`"
    if choices := field.get("enum"):
        return ", ".join(f"`{choice}`" for choice in choices)
    if (kind := field.get("type")) == "array":
        return (
            f"list of {_type(field['items'])}" if "items" in field else f"list of {len(field['prefixItems'])} numbers"
        )
    if kind == "string":
        return _TEXTS.get(field.get("format"), "text")
    return f"{_TYPES.get(kind or '', kind or 'mapping')}{_limits(field)}"


def _limits(field: dict[str, Any]) -> str:
    parts = []
    for key, word in (("minimum", "at least"), ("exclusiveMinimum", "above"), ("maximum", "at most"),
                      ("exclusiveMaximum", "below")):  # fmt: skip
        if key in field:
            parts.append(f"{word} {field[key]:.10g}")
    return f" {' and '.join(parts)}" if parts else ""


def _unit(meaning: str) -> str:
    for pattern, unit in _UNITS:
        if found := re.search(pattern, meaning):
            return unit or found[1]
    return ""


def _value(default: Any) -> str:
    if default is None:
        return "`null`"
    if isinstance(default, list | tuple):
        return f"`[{', '.join(str(item) for item in default)}]`"
    return f"`{default:.10g}`" if isinstance(default, float) else f"`{default}`"

"""The names that Python gets of `campaign` and `esnet`, as Markdown, from their docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from numpy.typing import ArrayLike

_HEADING = re.compile(r"^(.+)\n-{3,}$", flags=re.MULTILINE)
_LONGEST_LINE = 70
_SHORTER = {
    r"(: |-> )(['\"])(.*?)\2": r"\1\3",  # an annotation that is not looked at before it is asked for
    r"\b(?:[a-z_]\w*\.)+(?=[A-Z])": "",
    r"numpy\.ndarray\[tuple\[Any, \.\.\.\], numpy\.dtype\[(?:numpy\.)?(\w+)\]\]": r"NDArray[\1]",
}
"""What annotations are too long for, and how they are shown."""
_NAME_OF_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def python_names() -> str:
    """Markdown of both packages: a heading for each public name, and one for each method of a class of ours."""
    import campaign
    import esnet

    parts: list[str] = []
    for package in (campaign, esnet):
        parts.append(f"## {package.__name__}")
        for name in package.__all__:
            parts += _name(f"{package.__name__}.{name}", getattr(package, name), level=3)
    return "\n\n".join(parts) + "\n"


def public_members(found: type) -> dict[str, Any]:
    """Methods and properties of a class that a user may call, those that it documents itself."""
    return {
        name: member
        for name, member in vars(found).items()
        if not name.startswith("_")
        and (callable(member) or isinstance(member, property | cached_property | classmethod))
    }


def _name(words: str, found: Any, *, level: int) -> Iterator[str]:
    yield f"{'#' * level} {words}"
    yield from _described(words, found)
    if isinstance(found, type):
        for name, member in public_members(found).items():
            target = getattr(found, name) if isinstance(member, classmethod) else member
            if inspect.getdoc(target):
                yield f"{'#' * (level + 1)} {words.split('.')[-1]}.{name}"
                yield from _described(name, target)


def _described(words: str, found: Any) -> Iterator[str]:
    if callable(found) and (signature := _signature(found)):
        yield f"```python\n{words}{signature}\n```"
    yield from docstring(inspect.getdoc(found) or "")


def _signature(found: Any) -> str:
    """How it is called, a parameter a line where that is long; empty for a class that another function makes."""
    signature = inspect.signature(found)
    parameters = [one for name, one in signature.parameters.items() if name not in ("self", "cls")]
    if any(one.name.startswith("_") for one in parameters):
        return ""
    given = inspect.Signature.empty if isinstance(found, type) else signature.return_annotation
    text = str(signature.replace(parameters=parameters, return_annotation=given))
    text = text.replace(inspect.formatannotation(ArrayLike), "ArrayLike")
    for pattern, shown in _SHORTER.items():
        text = re.sub(pattern, shown, text)
    if len(text) > _LONGEST_LINE:
        end = text.index(") ->") if ") ->" in text else len(text) - 1
        inner = re.sub(r", (?=\*|\w+: )", ",\n    ", text[1:end])
        text = f"(\n    {inner},\n{text[end:]}"
    return text


def docstring(text: str) -> Iterator[str]:
    """Paragraphs, and the sections of a NumPy docstring: names with what they mean as a list, examples as code."""
    before, *sections = _HEADING.split(text)
    yield from _paragraphs(before)
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        yield f"**{title}**"
        if title == "Examples":
            yield f"```pycon\n{body.strip()}\n```"
        elif title == "Notes":
            yield from _paragraphs(body)
        else:
            yield "\n".join(_items(body))


def _items(body: str) -> Iterator[str]:
    """Lines that start at the margin are names, those below, further in, what they mean."""
    for block in re.split(r"\n(?=\S)", body.strip("\n")):
        name, _, meaning = block.partition("\n")
        yield f"* `{name.strip()}`: {' '.join(_plain(meaning).split())}"


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.strip().split("\n\n"):
        yield " ".join(_plain(paragraph).split())


def _plain(text: str) -> str:
    return _NAME_OF_CODE.sub(r"`\1`", text.replace("``", "`")).replace("<", "&lt;")

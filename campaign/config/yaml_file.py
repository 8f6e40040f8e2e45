"""Read a campaign file, and report all its problems together, each with its place in the file."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, NodeEvent
from ruamel.yaml.nodes import MappingNode, SequenceNode

from campaign.config.wording import format_count
from campaign.config.yaml_hints import yaml_problem

FieldPath = tuple[str | int, ...]
LARGEST_FILE = 128 << 10
"""Bytes. A commented file with every field has 5 KiB; parsing one of this size takes 4 s and 0.1 GiB."""

_LONGEST = 60  # characters of a quoted value
_DEEPEST = 50  # levels of lists and mappings
_MOST_REPEATED = 10_000  # values that aliases expand to, including nested ones


@dataclass(frozen=True)
class Problem:
    """A problem of a campaign file, or of a file that it refers to.

    Parameters
    ----------
    field
        Dotted name of the field inside the file, e.g. ``spec.campaign.dft.encut``; empty for the file as a whole.
    message
        What was found and what would be right.
    file
        The file with the problem; None for a campaign submitted with ``lpad add``.
    line
        Line number in the file, counted from 1, if known.
    """

    field: str
    message: str
    file: Path | None = None
    line: int | None = None

    def __str__(self) -> str:
        """Return e.g. ``file, line 7: spec.campaign.dft.encut: message``."""
        place = str(self.file) if self.file else "campaign given to lpad add"
        if self.line is not None:
            place += f", line {self.line}"
        return ": ".join(part for part in (place, self.field, self.message) if part)


class CampaignFileError(ValueError):
    """A campaign file cannot be used; `problems` lists all reasons found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        heading = f"{format_count(count, 'problem')} in the campaign file; nothing was submitted."
        super().__init__("\n".join([heading, *(f"  {problem}" for problem in self.problems)]))


def dotted(path: FieldPath) -> str:
    """Return a dotted path, ``("dft", "encut")`` -> ``dft.encut``; list positions in brackets, counted from 0."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def nearest(word: object, right_words: Iterable[str]) -> str | None:
    """Return the valid word most similar to `word`, ignoring case, or None if none is similar."""
    by_lower = {right.lower(): right for right in right_words}
    lowered = str(word).strip().lower()

    def likeness(right: str) -> tuple[float, int]:
        # of two equally similar words, prefer the one with the same beginning: Alu is Al rather than Lu
        beginning = takewhile(lambda pair: pair[0] == pair[1], zip(right, lowered, strict=False))
        return difflib.SequenceMatcher(a=right, b=lowered).ratio(), len(list(beginning))

    found = difflib.get_close_matches(lowered, by_lower, n=5, cutoff=0.5)
    return by_lower[max(found, key=likeness)] if found else None


def did_you_mean(word: object, right_words: Sequence[str]) -> str:
    """Return ``did you mean 'encut'?`` if a word resembles `word`, followed by all valid words."""
    guess = nearest(word, right_words)
    listed = f"known here: {', '.join(right_words)}"
    return f"did you mean {guess!r}? ({listed})" if guess else listed


def read_yaml(path: Path) -> tuple[dict[str, Any], str]:
    """Return the content of a YAML file, and its text.

    The loader is that of FireWorks (YAML 1.2, safe), so ``campaign`` and ``lpad add`` read the same values: ``1e-5`` is
    a number and ``No`` is the symbol of nobelium. Duplicate keys are refused.

    Raises
    ------
    CampaignFileError
        If the file is absent, too large, not text, not valid YAML (with the line), or not a mapping.
    """
    try:
        with path.open("rb") as file:
            start = file.read(LARGEST_FILE + 1)
        if len(start) > LARGEST_FILE:
            message = (
                f"is larger than {LARGEST_FILE >> 10} KiB; right: a campaign file of a few KiB, which names the "
                "folders and files of its structures and entries"
            )
            raise CampaignFileError([Problem("", message, path)])
        text = start.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        message = f"cannot be read ({reason}); give the path of a campaign file (`campaign example` writes one)"
        raise CampaignFileError([Problem("", message, path)]) from error
    try:
        content = load_yaml(text)
    except MarkedYAMLError as error:
        message, line = yaml_problem(text, error)
        raise CampaignFileError([Problem("", message, path, line)]) from error
    except (YAMLError, ValueError) as error:
        # ValueError: an invalid date such as 2027-02-30; the parser gives no location
        raise CampaignFileError([Problem("", f"not valid YAML: {_first_line(error)}", path)]) from error
    if not isinstance(content, dict):
        message = (
            f"holds {describe(content)}; a campaign file is a mapping with the keys name and spec, "
            "`campaign example` writes one"
        )
        raise CampaignFileError([Problem("", message, path)])
    return content, text


def load_yaml(text: str) -> Any:
    """Load YAML 1.2 safely, limiting nested aliases, which could fill the memory, and the depth of nesting.

    Raises
    ------
    YAMLError
        If it is not valid YAML or exceeds these limits; a `MarkedYAMLError` if the place is known.
    ValueError
        If a value looks like a date or a number but is not valid.
    """
    sizes: dict[str, int] = {}  # of the value behind each anchor
    open_nodes: list[tuple[str | None, int]] = []
    count = repeated = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        if isinstance(event, CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor is not None:
                sizes[anchor] = count - before
            continue
        if not isinstance(event, NodeEvent):
            continue
        size = sizes.get(event.anchor, 1) if isinstance(event, AliasEvent) else 1
        count += size
        repeated += size if isinstance(event, AliasEvent) else 0
        if isinstance(event, CollectionStartEvent):
            open_nodes.append((event.anchor, count - 1))
        if len(open_nodes) > _DEEPEST:
            raise MarkedYAMLError(problem=f"nested more than {_DEEPEST} levels deep", problem_mark=event.start_mark)
        if repeated > _MOST_REPEATED:
            message = f"its aliases (*{event.anchor}) expand to more than {_MOST_REPEATED} values; write them out"
            raise MarkedYAMLError(problem=message, problem_mark=event.start_mark)
    return YAML(typ="safe", pure=True).load(text)


def _first_line(message: object) -> str:
    return str(message).strip().splitlines()[0]


def describe(value: object) -> str:
    """Return a value found in the file as quoted in a message, shortened; only the beginning of a large one is read."""
    if value is None:
        return "nothing (null)"
    text = ""
    for piece in _pieces(value):
        text += piece
        if len(text) > _LONGEST:
            return text[: _LONGEST - 3] + "..."
    return text


def _pieces(value: object) -> Iterator[str]:
    """Yield the parts of the value's `repr` one by one."""
    if isinstance(value, dict):
        yield "{"
        for place, (key, item) in enumerate(value.items()):
            yield ", " if place else ""
            yield from _pieces(key)
            yield ": "
            yield from _pieces(item)
        yield "}"
    elif isinstance(value, list):
        yield "["
        for place, item in enumerate(value):
            yield ", " if place else ""
            yield from _pieces(item)
        yield "]"
    elif isinstance(value, str | bytes):
        yield repr(value[: _LONGEST + 1])
    elif isinstance(value, int) and abs(value) >= 10**_LONGEST:
        yield hex(value)  # Python refuses to print very long numbers in decimal
    else:
        # YAML converts date-like text to dates
        yield value.isoformat() if isinstance(value, date) else repr(value)


@lru_cache(maxsize=1)
def _composed(text: str) -> Any:
    """Return the nodes of a file, once for all its problems: this takes as long as loading it."""
    return YAML(typ="safe", pure=True).compose(text)


def line_of(text: str, path: FieldPath) -> int | None:
    """Return the line, counted from 1, of the field at `path` in YAML `text`; that of its nearest parent if absent."""
    node = _composed(text)
    line: int | None = None
    for part in path:
        if isinstance(node, MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == str(part)]
            if not pairs:
                break
            key, node = pairs[0]
            line = key.start_mark.line + 1
        elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line

"""What is likely meant by text that is not valid YAML, in words of a file's author."""

import re

from ruamel.yaml.error import MarkedYAMLError

_LONGEST = 60  # characters of a quoted line


def yaml_problem(text: str, error: MarkedYAMLError) -> tuple[str, int | None]:
    """Return the problem with the text of its line and what would be right, and the line, counted from 1, if known."""
    words = str(error.problem or error.context).strip().splitlines()[0]
    mark = error.problem_mark or error.context_mark
    lines = text.splitlines()
    if mark is None or mark.line >= len(lines):
        return f"not valid YAML: {words}", None if mark is None else mark.line + 1
    place = mark.line
    if "'\\t'" in words:
        return f"not valid YAML: found a tab in {_quoted(lines[place])}; right: spaces instead of the tab", place + 1
    if (opened := re.match(r"([\w.-]+)\s+([\[{].*)", lines[place].strip())) is not None:
        return _missing_colon(lines, place, f"{opened[1]}: {opened[2]}")
    if words.startswith("mapping values are not allowed"):
        # the line before continues until here, if it has no key
        before = next((n for n in range(place - 1, -1, -1) if lines[n].split("#")[0].strip()), None)
        if before is not None and not re.search(r":(\s|$)", lines[before].split(" #")[0]):
            key, sign, value = lines[before].strip().partition(":")
            meant = f"{key}: {value.strip()}" if sign else f"{key.split(' ')[0]}: {key.partition(' ')[2]}"
            return _missing_colon(lines, before, meant)
        words = "a colon where none can be (quote a value that contains one, or is the line indented too far?)"
    elif words.startswith("expected <block end>"):
        words = "the indentation does not fit; right: the same number of spaces for all keys of a section"
    return f"not valid YAML: {words}, in {_quoted(lines[place])}", place + 1


def _missing_colon(lines: list[str], place: int, meant: str) -> tuple[str, int]:
    found = _quoted(lines[place])
    return f"not valid YAML: found {found}; right: a colon with a space after the key, {_quoted(meant)}", place + 1


def _quoted(line: str) -> str:
    stripped = line.strip()
    return repr(stripped if len(stripped) <= _LONGEST else f"{stripped[: _LONGEST - 3]}...")

"""Values as cells of a CSV file: digits that mean something, and no text that a spreadsheet would compute."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from esnet.commands.console import printable

_DIGITS = {"cpu_s": 1}
_ENERGY_DIGITS = 4
"""Of an energy in eV/atom; DFT settings and models are not as exact as the last of them."""
_FORMULA_SIGNS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""With these, behind white space too, a spreadsheet begins a formula (OWASP, CSV injection); also in full width."""


def csv_cell(value: Any, name: str = "") -> Any:
    """Return a value as the CSV writer takes it.

    Parameters
    ----------
    value
        Numbers get as many digits as the column calls for; dictionaries and lists become JSON. A text that a
        spreadsheet would take for a formula gets an apostrophe before it; control characters are left out.
    name
        Of the column.
    """
    if isinstance(value, float):
        digits = _DIGITS.get(name, _ENERGY_DIGITS)
        return f"{round(value, digits) + 0.0:.{digits}f}"  # no -0.0000
    if isinstance(value, dict | list):
        value = json.dumps(value)
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA_SIGNS) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def csv_line(values: Iterable[Any], names: Sequence[str] = ()) -> str:
    """One line of a CSV file, with its line end."""
    text = io.StringIO()
    cells = [csv_cell(value, names[place] if names else "") for place, value in enumerate(values)]
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()

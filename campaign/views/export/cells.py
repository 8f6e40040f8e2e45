"""CSV cells: significant digits only, and no text that a spreadsheet would evaluate."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from esnet.commands.console import printable

_DIGITS = {"cpu_s": 1}
_ENERGY_DIGITS = 4
"""Decimals of an energy in eV/atom; DFT settings and models are less accurate than the last one."""
_FORMULA_SIGNS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Characters with which a spreadsheet formula begins, also after white space (OWASP, CSV injection) and in
full width.
"""


def csv_cell(value: Any, name: str = "") -> Any:
    """Return a value for the CSV writer.

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
    """Return one line of a CSV file with its line end."""
    text = io.StringIO()
    cells = [csv_cell(value, names[place] if names else "") for place, value in enumerate(values)]
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()

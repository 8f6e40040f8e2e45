"""Data for the page's script: tables, crystals, hulls and DOS as compact JSON that cannot end a script element."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from ase.data.colors import jmol_colors

from campaign.views.report.data import ReportData
from campaign.views.report.hull_figures import elements_json, hulls_json
from campaign.views.report.plotly_figures import PageFigure
from campaign.views.report.structures import BOND_FACTOR, BOND_RULE, ShownStructure
from campaign.views.report.tables import Table
from esnet.representation.dos import ENERGY_MAX, ENERGY_MIN, N_GRID

_GREY = "#909090"
_RADIUS = 1.3


def script_json(content: Any) -> str:
    """Return JSON for a script element, with ``<``, ``>``, ``&`` and JavaScript's line separators escaped.

    Raises
    ------
    ValueError
        If a number is not finite, which JSON cannot express.
    """
    return _escape_json(json.dumps(content, allow_nan=False, separators=(",", ":")))


def _escape_json(text: str) -> str:
    """Return JSON text that is safe inside a script element, whatever its strings contain."""
    replaced = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
    for character, code in replaced.items():
        text = text.replace(character, code)
    return text


def browser_json(data: ReportData, figures: Sequence[PageFigure], tables: Sequence[Table]) -> str:
    """Return all data of the page's script as JSON for a script element."""
    rest = {
        "name": data.name,
        "tables": {table.id: table.to_json() for table in tables},
        "structures": {found.id: found.to_json() for found in data.structures},
        "look": crystal_look(data.structures),
        "hulls": hulls_json(data),
        "table": elements_json(data),
        "pairs": _pairs(data),
    }
    # the figures are JSON already and are inserted unchanged
    drawn = ",".join(f"{json.dumps(figure.id)}:{figure.json}" for figure in figures if figure.json is not None)
    whole = json.dumps(rest, allow_nan=False, separators=(",", ":"))
    return _escape_json(f'{whole[:-1]},"figures":{{{drawn}}}}}')


def crystal_look(structures: Sequence[ShownStructure]) -> dict[str, Any]:
    """Return the rules for drawing crystals: Jmol colour and covalent radius (A, ase.data) per element, and bonds."""
    found = {}
    for symbol in sorted({symbol for structure in structures for symbol in structure.species}):
        number = atomic_numbers.get(symbol)
        colour, radius = _GREY, _RADIUS
        if number is not None and number < len(jmol_colors):
            colour = "#" + "".join(f"{round(255 * part):02x}" for part in jmol_colors[number])
            radius = float(covalent_radii[number])
        found[symbol] = {"colour": colour, "radius": round(radius, 2)}
    return {"elements": found, "bonds": BOND_FACTOR, "rule": BOND_RULE}


def _pairs(data: ReportData) -> dict[str, Any]:
    found = data.dos_pairs
    if found is None:
        return {"shown": []}
    return {
        "unit": found.unit,
        "fermi": found.fermi_is_zero,
        "grid": [ENERGY_MIN, ENERGY_MAX, N_GRID],
        "shown": [
            {
                "label": pair.label,
                "is": _binary(pair.initial),
                "rs": _binary(pair.relaxed),
                "ef": [pair.efermi_initial, pair.efermi_relaxed],
            }
            for pair in found.shown
        ],
    }


def _binary(values: Any) -> dict[str, str]:
    """Return an array in Plotly's binary format, little-endian single precision in base64."""
    return {"dtype": "f4", "bdata": base64.b64encode(np.asarray(values, dtype="<f4").tobytes()).decode("ascii")}

"""Columns of a table of known data: allowed ones, those of scorers, and their problems."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from campaign.policies.cost_model import PUBLISHED_DOS_CPU_S, PUBLISHED_RELAX_CPU_S
from campaign.replay.data import ReplayDataError

COLUMNS = {
    "id": "name of the candidate, all different",
    "formula": "of the cell, e.g. Al2Pd2",
    "composition": 'instead of formula; in JSONL also an object, e.g. {"Al": 2, "Pd": 2}',
    "e_form": "true formation energy of the relaxed crystal, eV/atom",
    "e_hull": "true energy above the hull of known phases, eV/atom",
    "e_form_ml": "predicted formation energy of the relaxed crystal, eV/atom; empty: no prediction",
    "e_hull_ml": "predicted energy above the hull, eV/atom",
    "uncertainty": "standard deviation of the prediction, eV/atom; empty: not known",
    "dos_cpu_s": f"cost of the IS-DOS, CPU-s; without it {PUBLISHED_DOS_CPU_S:g}",
    "relax_cpu_s": f"cost of the relaxation, CPU-s; without it {PUBLISHED_RELAX_CPU_S:g}",
    "n_sites": "atoms of the cell; without it those of the structure or of the formula",
    "relaxation_failed": "true or false: its relaxation costs and gives nothing; e_form and e_hull may be empty",
}
PRICE = "scorer_cpu_s"
#: Followed by a colon and the scorer's name, as in ``e_form_ml:CHGNet``.
SCORERS_COLUMNS = {
    **{name: COLUMNS[name] for name in ("e_form_ml", "e_hull_ml", "uncertainty")},
    PRICE: "total cost of this scorer's prediction, CPU-s, including its IS-DOS; without the column: dos_cpu_s",
}
_REQUIRED = ("id", "e_form", "e_form_ml")
_TYPO = 0.8


def column_of(name: str, scorer: str) -> str:
    """Return the name of a scorer's column; that of a table's only scorer, ``""``, has no suffix."""
    return f"{name}:{scorer}" if scorer else name


def scorers_of(columns: Sequence[str]) -> list[str]:
    """Return the names of a table's scorers in the order of their columns; ``[""]`` if it names none."""
    parts = [name.split(":", 1) for name in columns if ":" in name]
    named = dict.fromkeys(parts[1].strip() for parts in parts if parts[0].strip() == "e_form_ml" and parts[1].strip())
    return list(named) or [""]


def check_columns(path: Path, columns: Sequence[str], *, has_structures: bool, has_references: bool) -> list[str]:
    """Refuse a missing or misspelt column; return notes on columns that are not read.

    Raises
    ------
    ReplayDataError
        Lists all problems.
    """
    scorers = scorers_of(columns)
    named = scorers != [""]
    known = {name: text for name, text in COLUMNS.items() if not (named and name in SCORERS_COLUMNS)}
    if named:
        known |= {column_of(name, scorer): text for scorer in scorers for name, text in SCORERS_COLUMNS.items()}
    absent = [name for name in known if name not in columns]
    surplus = [name for name in columns if name not in known]
    problems = []
    for name in surplus:
        if named and (wrong := _of_no_scorer(name, scorers)):
            problems.append(wrong)
        elif meant := difflib.get_close_matches(name.lower(), [each.lower() for each in absent], n=1, cutoff=_TYPO):
            right = next(each for each in absent if each.lower() == meant[0])
            problems.append(f"column {name!r} is not known; did you mean {right!r} ({known[right]})?")
    found = ", ".join(columns) or "none"
    problems += [
        f"column {name} is missing ({known[name]}); found columns: {found}" for name in _REQUIRED if name in absent
    ]
    if {"formula", "composition"} <= set(absent) and not has_structures:
        problems.append(f"no column formula or composition, and no --structures DIR; found columns: {found}")
    if has_references and "e_hull" not in absent:
        problems.append("column e_hull contains what --references would compute; leave one of them out")
    if problems:
        raise ReplayDataError(path, problems)
    return _notes(scorers if named else [], surplus, absent)


def _of_no_scorer(name: str, scorers: Sequence[str]) -> str | None:
    """Return the problem of a scorer's column in a table that names its scorers; None if it is no such column."""
    kind, _, scorer = (part.strip() for part in name.partition(":"))
    if kind not in SCORERS_COLUMNS:
        return None
    right = " or ".join(column_of(kind, each) for each in scorers)
    if not scorer:
        return f"column {name!r} names no scorer, and others do; right: {right}, or one more {kind}:NAME"
    return f"column {name!r}, and no column e_form_ml:{scorer}; right: {right}"


def _notes(scorers: Sequence[str], surplus: Sequence[str], absent: Sequence[str]) -> list[str]:
    notes = [f"columns not read: {', '.join(surplus)}"] if surplus else []
    without = [scorer for scorer in scorers if column_of(PRICE, scorer) in absent]
    for name, cost in (("dos_cpu_s", PUBLISHED_DOS_CPU_S), ("relax_cpu_s", PUBLISHED_RELAX_CPU_S)):
        if name in absent and (name != "dos_cpu_s" or without or not scorers):
            notes.append(f"no column {name}: {cost:g} CPU-s each, the paper's mean")
    if without:
        names = ", ".join(column_of(PRICE, scorer) for scorer in without)
        notes.append(f"no column {names}: each prediction is assumed to cost one IS-DOS")
    return notes

"""Compares the requested inputs of a calculation with those that the engine read, and finds unexplained differences."""

import gzip
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pymatgen.core import Structure
from pymatgen.io.vasp import Incar, Kpoints

from workflows.gpaw_vasp.potcars import title as gpaw_title
from workflows.inputs.incar_tags import FILES, PARALLEL
from workflows.potcars.titles import is_known_title, other_sets
from workflows.settings import DftSettings

ASKED = "asked_inputs"
"""Field of an output (emmet's TaskDoc) with the result of `asked_inputs`."""

#: Tags that may differ: distribution of work, or files kept; VASP 5 writes KPOINT_BSE on its own.
_FREE = PARALLEL | FILES | {"SYSTEM", "KPOINT_BSE"}
#: Tags that vasprun.xml lists among its parameters even if absent from INCAR, with their names there.
_PARAMETERS = {"ENCUT": "ENMAX", **{tag: tag for tag in ("EDIFF", "ISMEAR", "ISPIN", "NEDOS", "LORBIT", "NSW")}}


class InputChangedError(ValueError):
    """The engine read other inputs than the campaign requests; the message names them."""


def asked_inputs(
    input_set: Any, structure: Structure, settings: DftSettings, *, outside: Mapping[str, Any], notes: Sequence[str]
) -> dict[str, Any]:
    """Return the inputs that will be written for a structure, as a document.

    Parameters
    ----------
    input_set
        Input set generator of atomate2.
    outside
        Settings taken from the machine (`workflows.inputs.outside_settings`).
    notes
        Notes on these inputs for readers of the result.
    """
    written = input_set.get_input_set(structure, potcar_spec=True)
    mesh = written.kpoints
    return {
        "incar": {tag: value for tag, value in written.incar.items() if not tag.startswith("@")},
        "kpoints": {"style": mesh.style.name, "divisions": list(mesh.kpts[0])},
        "potcars": [input_set.config_dict["POTCAR"].get(symbol, symbol) for symbol in written.poscar.site_symbols],
        "potcar_functional": settings.potcar_functional,
        "engine": settings.engine,
        "outside": dict(outside),
        "notes": list(notes),
    }


def read_inputs(directory: Path) -> dict[str, Any]:
    """Read INCAR, KPOINTS and POTCAR of a launch folder, as left by custodian; unreadable ones are left out."""
    found: dict[str, Any] = {}
    # a folder may be missing, and a file truncated: the outcome of the attempt is reported elsewhere
    with suppress(OSError, ValueError, EOFError):
        found["incar"] = dict(Incar.from_str(_text(directory / "INCAR")))
    with suppress(OSError, ValueError, EOFError):
        found["kpoints"] = _text(directory / "KPOINTS")[:2000]
    with suppress(OSError, ValueError, EOFError):
        parts = filter(None, (part.strip() for part in _text(directory / "POTCAR").split("End of Dataset")))
        found["potcars"] = [
            {"titel": match[1].strip() if (match := re.search(r"TITEL\s*=(.*)", part)) else None, "hash": _md5(part)}
            for part in parts
        ]
    return found


def used_potcars(task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return TITEL and hash of each POTCAR of a TaskDoc."""
    for inputs in (task.get("orig_inputs") or {}, _input_of(task)):
        if specs := inputs.get("potcar_spec"):
            return [{"titel": _get(spec, "titel"), "hash": _get(spec, "hash")} for spec in specs]
    return []


def used_hubbards(task: Mapping[str, Any]) -> dict[str, float]:
    """Return the non-zero Hubbard U in eV by element, from a TaskDoc."""
    stored = _input_of(task).get("hubbards") or {}
    pairs = stored.items() if isinstance(stored, Mapping) else stored
    return {str(symbol): float(value) for symbol, value in pairs if value}


def check_inputs(task: Mapping[str, Any], corrections: Sequence[Mapping[str, Any]]) -> None:
    """Refuse an output whose inputs were changed by anything but custodian's recorded corrections.

    Parameters
    ----------
    task
        TaskDoc with the result of `asked_inputs`; one of an earlier version, without it, is accepted.
    corrections
        Result of `workflows.results.corrections_of`.

    Raises
    ------
    InputChangedError
        If the inputs differ; names each difference.
    """
    asked = task.get(ASKED)
    if not asked:
        return
    differences = list(_differences(asked, task, _corrected(corrections)))
    if differences:
        raise InputChangedError(
            f"the engine read inputs other than requested by the campaign: {'; '.join(differences)}. Neither the "
            "campaign file, nor an override, nor a correction of custodian explains this; check the command that "
            "starts the engine (dft.vasp_command), and PMG_VASP_PSP_DIR"
        )


def _differences(asked: Mapping[str, Any], task: Mapping[str, Any], corrected: set[str]) -> Iterator[str]:
    before, read = task.get("orig_inputs") or {}, _input_of(task)
    named = set()
    for inputs, explained, parameters in ((before, set(), {}), (read, corrected, read.get("parameters") or {})):
        for tag, difference in _tags(asked["incar"], inputs.get("incar"), parameters):
            if tag not in explained and tag not in named:
                named.add(tag)
                yield difference
    for inputs, explained in ((before, set()), (read, corrected)):
        mesh = _mesh(inputs.get("kpoints"))
        wanted = asked["kpoints"]
        if "KPOINTS" not in explained and mesh is not None and mesh != _mesh_key(wanted):
            yield f"KPOINTS {mesh[0]} {mesh[1]} in place of {wanted['style']} {wanted['divisions']}"
            break
    # VASP's output has the first line of each POTCAR, which is nearly always its TITEL
    titles = [[str(_get(spec, "titel") or "") for spec in inputs.get("potcar_spec") or []] for inputs in (read, before)]
    yield from _potcars(asked, *titles)


def _tags(
    asked: Mapping[str, Any], used: Mapping[str, Any] | None, parameters: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    if not used:
        return
    used = {str(tag).strip().upper(): value for tag, value in used.items() if not str(tag).startswith("@")}
    for tag, value in asked.items():
        found = used.get(tag, parameters.get(_PARAMETERS.get(tag, "")))
        if tag not in _FREE and found is not None and not _same(value, found):
            yield tag, f"{tag} = {_short(found)} in place of {_short(value)}"
    for tag, value in used.items():
        if tag not in asked and tag not in _FREE:
            yield tag, f"{tag} = {_short(value)}, which was not requested"


def _same(asked: Any, found: Any) -> bool:
    """Whether two values of a tag are equivalent; VASP writes numbers with eight decimals."""
    if isinstance(asked, str) or isinstance(found, str):
        one, other = (str(value).strip().strip(".").lower() for value in (asked, found))
        # ALGO = Fast may be written as F, PREC = Accurate as accura, .TRUE. as T
        return bool(one) and bool(other) and (one.startswith(other) or other.startswith(one))
    if isinstance(asked, bool) or isinstance(found, bool):
        return bool(asked) == bool(found)
    if isinstance(asked, Sequence) or isinstance(found, Sequence):
        many = asked if isinstance(asked, Sequence) else [asked]
        others = found if isinstance(found, Sequence) else [found]
        return len(many) == len(others) and all(_same(one, other) for one, other in zip(many, others, strict=True))
    try:
        return abs(float(asked) - float(found)) <= 6e-9 + 1e-4 * abs(float(asked))
    except (TypeError, ValueError):
        return str(asked) == str(found)


def _potcars(asked: Mapping[str, Any], titles: Sequence[str], written: Sequence[str]) -> Iterator[str]:
    titles = titles or written
    if not titles:
        return
    if len(titles) != len(asked["potcars"]):
        yield f"{len(titles)} POTCARs ({', '.join(titles)}) in place of {len(asked['potcars'])}"
        return
    for position, (symbol, titel) in enumerate(zip(asked["potcars"], titles, strict=True)):
        words = titel.split()
        if asked["engine"] == "gpaw":
            if titel and titel != gpaw_title(symbol):
                yield f"POTCAR {titel!r} in place of {gpaw_title(symbol)!r}"
        elif not is_known_title(titel) and [title.split()[1:2] for title in written[position:][:1]] == [[symbol]]:
            continue
        elif len(words) > 1 and words[1] != symbol:
            yield f"POTCAR {titel!r} in place of {symbol}"
        elif others := other_sets(titel, asked["potcar_functional"]):
            yield f"POTCAR {titel!r}, which belongs to {' and '.join(others)}, in place of {asked['potcar_functional']}"


def _corrected(corrections: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the INCAR tags and whole files changed by custodian's corrections."""
    changed: set[str] = set()
    for correction in corrections:
        for action in correction["actions"]:
            if not isinstance(action, Mapping):
                continue
            if "dict" in action and action["dict"] != "INCAR":
                changed.add(str(action["dict"]))
                continue
            for change in (action.get("action") or {}).values():
                if isinstance(change, Mapping) and "dest" in change:
                    changed.add(str(change["dest"]))  # another file in its place, such as IBZKPT for KPOINTS
                elif isinstance(change, Mapping | Sequence) and not isinstance(change, str):
                    changed.update(str(tag).partition("->")[2] or str(tag) for tag in change)
    return changed


def _mesh(kpoints: Any) -> tuple[str, list[int]] | None:
    """Return style and divisions of KPOINTS; None if not an automatic mesh."""
    if kpoints is None:
        return None
    mesh = kpoints if isinstance(kpoints, Kpoints) else Kpoints.from_dict(dict(kpoints))
    name = mesh.style.name
    if name not in ("Gamma", "Monkhorst") or not mesh.kpts or len(mesh.kpts[0]) != 3:
        return None
    return name, [int(n) for n in mesh.kpts[0]]


def _mesh_key(wanted: Mapping[str, Any]) -> tuple[str, list[int]]:
    return str(wanted["style"]), [int(n) for n in wanted["divisions"]]


def _input_of(task: Mapping[str, Any]) -> Mapping[str, Any]:
    calculations = task.get("calcs_reversed") or [{}]
    found: Mapping[str, Any] = calculations[0].get("input") or {}
    return found


def _get(spec: Any, name: str) -> Any:
    return spec.get(name) if isinstance(spec, Mapping) else getattr(spec, name, None)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _text(path: Path) -> str:
    if path.exists():
        return path.read_text(encoding="utf-8", errors="replace")
    with gzip.open(path.with_name(f"{path.name}.gz"), "rt", encoding="utf-8", errors="replace") as file:
        return file.read()


def _md5(data: str) -> str:
    """Return the hash of a POTCAR's text without its last line, like emmet's PotcarSpec."""
    return hashlib.md5(f"{data}\nEnd of Dataset\n".encode(), usedforsecurity=False).hexdigest()

"""Read a file of pymatgen entries as references, with its engine, functional and corrections, or list all its
problems.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from campaign.candidates.elements import is_f_block, symbols
from campaign.hull.entries_format import EntriesFileError, open_entries
from campaign.hull.entry import EntryError, ReferenceEntry, entry_id, functional_of, read_entry
from esnet.dataset.corrections import SCHEMES
from esnet.dataset.mp2020 import mp2020_untreated
from esnet.files.garbage_collection import no_garbage_collection

ENGINES = ("vasp", "gpaw")
FUNCTIONAL = "PBE"
MAX_FORMATION_ENERGY = 6.0
"""eV/atom. The most stable compounds have -4.5; values far beyond result from subtracting energies of two
functionals.
"""
_MOST_PROBLEMS = 1000
SOURCES = ("file", "materials-project", "computed")


@dataclass(frozen=True, kw_only=True)
class EntriesFile:
    """A valid file of entries, completely read.

    Attributes
    ----------
    path, sha256
        The file and its checksum.
    entries
        Entries made of the requested elements only.
    left_out
        Number of entries with other elements.
    n_f_block
        Number of these with f-block elements, which no campaign can treat.
    engine, functional, corrections
        Common to all entries.
    functional_stated
        False if neither the file nor its entries name the functional, so that PBE was assumed.
    source
        ``file`` or ``materials-project``; ``computed`` if exported from a campaign's own set.
    database_version
        Version of the source, if stated in the file.
    max_elements
        Largest number of elements requested when the file was written; None if not stated.
    dft
        DFT settings of the entries, if stated in the file.
    """

    path: Path
    sha256: str
    entries: tuple[ReferenceEntry, ...]
    left_out: int
    n_f_block: int
    engine: str
    functional: str
    corrections: str
    functional_stated: bool
    source: str
    database_version: str | None
    max_elements: int | None
    dft: dict[str, Any] | None

    @property
    def reference_elements(self) -> set[str]:
        """Return the elements with an elemental phase."""
        return {next(iter(entry.composition)) for entry in self.entries if len(entry.composition) == 1}


def read_entries_file(
    path: Path,
    *,
    elements: Collection[str] | None = None,
    engine: str | None = None,
    corrections: str | None = None,
    max_formation_energy: float = MAX_FORMATION_ENERGY,
    hubbard_u: str = "none",
) -> EntriesFile:
    """Read a file of entries completely.

    Parameters
    ----------
    path
        JSON or JSON lines, optionally gzipped (`campaign.hull.entries_format`).
    elements
        Keep only entries made of these. If None, all without f-block elements.
    engine, corrections
        Engine and corrections stated by the user. If None, those stated in the file or its entries.
    max_formation_energy
        Largest plausible magnitude of a formation energy, eV/atom, see `MAX_FORMATION_ENERGY`.
    hubbard_u
        ``mp`` if the campaign computes oxides and fluorides like the Materials Project; GGA+U entries with mp2020
        corrections are then accepted.

    Returns
    -------
    EntriesFile
        The entries; their energies include their corrections.

    Raises
    ------
    EntriesFileError
        Lists all problems: unreadable entries, repeated ids, more than one engine, functional or correction scheme, or
        no stated engine.
    """
    with no_garbage_collection():
        raw = open_entries(path)
        entries, problems = _read_all(raw.entries)
    kept, left_out, n_f_block = _select(entries, elements)
    header = raw.header
    problems += _header_problems(header)
    found_engine, wrong = _engine(entries, header, engine)
    problems += wrong
    found_scheme, wrong = _scheme(entries, header, corrections)
    problems += wrong
    problems += _functional_problems(kept, header, with_u=hubbard_u == "mp" and found_scheme == "mp2020")
    problems += _formation_energy_problems(entries, kept, max_formation_energy)
    if not problems and not entries:
        problems.append("holds no entries")
    if problems or found_engine is None or found_scheme is None:
        raise EntriesFileError(path, problems)
    source, version = header.get("source"), header.get("database_version")
    return EntriesFile(
        path=path,
        sha256=raw.sha256,
        entries=tuple(kept),
        left_out=left_out,
        n_f_block=n_f_block,
        engine=found_engine,
        functional=FUNCTIONAL,
        corrections=found_scheme,
        functional_stated="functional" in header or all(entry.functional for entry in kept),
        source="file" if source is None else str(source),
        database_version=None if version is None else str(version),
        max_elements=header.get("max_elements"),
        dft=header.get("dft"),
    )


def _read_all(contents: Iterator[tuple[str, Any]]) -> tuple[list[ReferenceEntry], list[str]]:
    entries: list[ReferenceEntry] = []
    problems: list[str] = []
    indices: dict[str, str] = {}
    for place, content in contents:
        if len(problems) > _MOST_PROBLEMS:
            problems.append("more is wrong; the rest was not looked at")
            break
        name = entry_id(content, place)
        what = place if name == place else f"{name} ({place})"
        if name in indices:
            problems.append(f"{what} has the id of {indices[name]} too; right: one entry for each id")
            continue
        indices[name] = place
        try:
            entries.append(read_entry(content, place))
        except EntryError as error:
            problems.append(f"{what} {error}")
    return entries, problems


def _select(
    entries: Sequence[ReferenceEntry], elements: Collection[str] | None
) -> tuple[list[ReferenceEntry], int, int]:
    """Return the entries made of the elements, the number of others, and how many of these have f-block elements."""
    f_block = {symbol for symbol in symbols() if is_f_block(symbol)}
    wanted = (set(symbols()) if elements is None else set(elements)) - f_block
    kept = [entry for entry in entries if entry.composition.keys() <= wanted]
    n_f_block = sum(not f_block.isdisjoint(entry.composition) for entry in entries)
    return kept, len(entries) - len(kept), n_f_block


def _header_problems(header: Mapping[str, Any]) -> Iterator[str]:
    if header.get("source", SOURCES[0]) not in SOURCES:
        yield f"source: found {header['source']!r}; right: {', '.join(SOURCES)}"
    limit = header.get("max_elements")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        yield f"max_elements: found {limit!r}; right: a whole number from 1 upwards"
    if not isinstance(header.get("dft"), dict | None):
        yield f"dft: found {header['dft']!r}; right: the DFT settings as an object"


def _statements(
    by_entries: Iterable[tuple[str | None, str, ReferenceEntry]], key: str, header: Mapping[str, Any], given: str | None
) -> dict[str, str]:
    """Return each statement about the energies with its first source: an entry, the file's header, or the campaign
    file.
    """
    said: dict[str, str] = {}
    for value, where, entry in by_entries:
        if value is not None:
            said.setdefault(value, f"the {where} of {entry.id} ({entry.place})")
    if header.get(key) is not None:
        said.setdefault(str(header[key]), f"the file's {key}")
    if given is not None:
        said.setdefault(given, f"references.{key}")
    return said


def _contradiction(what: str, said: Mapping[str, str]) -> str:
    listed = "; ".join(f"{value} by {who}" for value, who in sorted(said.items()))
    return f"energies of different {what} must not be mixed in one hull; found: {listed}"


def _engine(
    entries: Sequence[ReferenceEntry], header: Mapping[str, Any], given: str | None
) -> tuple[str | None, list[str]]:
    said = _statements(((entry.engine, "parameters", entry) for entry in entries), "engine", header, given)
    if len(said) > 1:
        return None, [_contradiction("engines", said)]
    if not said:
        remedy = "set references.engine: vasp or gpaw, or write {'engine': 'vasp', 'entries': [...]}".replace("'", '"')
        return None, [f"it is unknown which engine computed these entries; {remedy}"]
    (engine,) = said
    if engine not in ENGINES:
        return None, [f"was computed with {engine} ({said[engine]}); right: entries of {' or '.join(ENGINES)}"]
    return engine, []


def _scheme(
    entries: Sequence[ReferenceEntry], header: Mapping[str, Any], given: str | None
) -> tuple[str | None, list[str]]:
    said = _statements(((entry.scheme, "energy adjustments", entry) for entry in entries), "corrections", header, given)
    if said and (bare := _uncorrected(entries)) is not None and said.keys() != {"none"}:
        said.setdefault("none", f"{bare.id} ({bare.place}), a compound of O or S without energy adjustments")
    if len(said) > 1:
        return None, [_contradiction("correction schemes", said)]
    if not said:
        return "none", []
    (scheme,) = said
    if scheme not in SCHEMES:
        return None, [f"carries {scheme} ({said[scheme]}); right: entries with the corrections {' or '.join(SCHEMES)}"]
    return scheme, []


def _uncorrected(entries: Sequence[ReferenceEntry]) -> ReferenceEntry | None:
    """Return an entry without adjustments that mp2020 would correct regardless of its structure, or None.

    In MaterialsProject2020Compatibility these are all compounds of oxygen (although the kind of correction depends on
    the
    structure), and compounds of sulphur without oxygen.
    """
    for entry in entries:
        if entry.scheme is None and len(entry.composition) > 1 and not entry.composition.keys().isdisjoint(("O", "S")):
            return entry
    return None


def _formation_energy_problems(
    entries: Sequence[ReferenceEntry], kept: Sequence[ReferenceEntry], limit: float
) -> Iterator[str]:
    """Yield compounds with an impossible formation energy relative to the file's own elements, with those energies."""
    elemental: dict[str, ReferenceEntry] = {}
    for entry in entries:
        if len(entry.composition) == 1:
            (symbol,) = entry.composition
            if symbol not in elemental or entry.energy_per_atom < elemental[symbol].energy_per_atom:
                elemental[symbol] = entry
    for entry in kept:
        if not entry.composition.keys() <= elemental.keys():
            continue
        n_atoms = sum(entry.composition.values())
        of_elements = sum(n * elemental[symbol].energy_per_atom for symbol, n in entry.composition.items())
        formation = (entry.energy - of_elements) / n_atoms
        if abs(formation) > limit:
            against = ", ".join(f"{symbol} {elemental[symbol].energy_per_atom:.4g}" for symbol in entry.composition)
            yield (
                f"{entry.id} ({entry.place}) has the formation energy {formation:.4g} eV/atom (its own energy "
                f"{entry.energy_per_atom:.4g} eV/atom, elements: {against}); right: at most {limit:g} either way, with "
                "all energies of one functional"
            )


def _functional_problems(
    entries: Sequence[ReferenceEntry], header: Mapping[str, Any], *, with_u: bool
) -> Iterator[str]:
    given = header.get("functional")
    if given is not None and functional_of(str(given)) != FUNCTIONAL:
        yield f"functional: found {given!r}; right: {FUNCTIONAL}, which the campaign computes"
    others: dict[str, list[ReferenceEntry]] = {}
    for entry in entries:
        if with_u and entry.functional == "GGA+U" and mp2020_untreated(entry.composition):
            continue
        if entry.functional not in (None, FUNCTIONAL):
            others.setdefault(str(entry.functional), []).append(entry)
    for functional, found in sorted(others.items()):
        more = f" and {len(found) - 1} more entries are" if len(found) > 1 else " is"
        yield (
            f"{found[0].id} ({found[0].place}){more} of the functional {functional}; right: {FUNCTIONAL} "
            "(run_type GGA), which the campaign computes (GGA+U in oxides and fluorides with dft.hubbard_u: mp and the "
            "corrections mp2020); leave the others out"
        )

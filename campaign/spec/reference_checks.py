"""Check a file of entries that a campaign uses as references, before anything is submitted."""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from campaign.config.yaml_file import CampaignFileError, FieldPath, Problem, dotted
from campaign.hull.entries_file import EntriesFile, read_entries_file
from campaign.hull.entries_format import EntriesFileError
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.sections.dft import DftSection
from campaign.spec.sections.references import ReferenceSection
from workflows.potcars.titles import potcar_symbol, potcar_titles
from workflows.settings import LATER_SETTINGS, DftSettings

Finding = tuple[FieldPath, str, Path | None]
"""Field inside ``spec.campaign`` (an element by its symbol), message, and the file unless it is the campaign's."""

_ENTRIES: FieldPath = ("references", "entries")
_MOST_SHOWN = 20


def read_entries(
    references: ReferenceSection, elements: Collection[str] | None, dft: DftSection | None
) -> tuple[EntriesFile | None, list[Finding]]:
    """Read ``references.entries``; None, with all problems, if it cannot be used."""
    try:
        return _read(references, elements, dft), []
    except EntriesFileError as error:
        found: list[Finding] = [(_ENTRIES, problem, references.entries) for problem in error.problems[:_MOST_SHOWN]]
        if (more := len(error.problems) - _MOST_SHOWN) > 0:
            found.append((_ENTRIES, f"and {more} more; `campaign references check` lists them", references.entries))
        return None, found


def entries_problems(
    file: EntriesFile, elements: Collection[str] | None, dft: DftSection | None, *, given: Collection[str] | None
) -> Iterator[Finding]:
    """Yield the problems of readable entries for this campaign.

    Parameters
    ----------
    file
        The entries.
    elements
        Elements of the candidates; None if invalid.
    dft
        The section; None if invalid.
    given
        Elements with a crystal from the user; None if unknown.
    """
    if dft is not None:
        yield from _other_settings(file, dft)
    if elements is not None and given is not None:
        yield from _missing(file, elements, given)


def campaign_entries(spec: CampaignSpec, elements: Collection[str]) -> EntriesFile | None:
    """Return the entries that a campaign uses as references, in full; None if it computes all references itself.

    Raises
    ------
    CampaignFileError
        If this campaign cannot use the file, which may have changed since the campaign was checked.
    """
    references = spec.references
    if references.entries is None:
        return None
    try:
        file = _read(references, elements, spec.dft)
    except EntriesFileError as error:
        raise CampaignFileError(
            [Problem(dotted(("spec", "campaign", *_ENTRIES)), text, references.entries) for text in error.problems]
        ) from error
    if wrong := list(_other_settings(file, spec.dft)):
        raise CampaignFileError(
            [Problem(dotted(("spec", "campaign", *path)), text, place) for path, text, place in wrong]
        )
    return file


def _read(references: ReferenceSection, elements: Collection[str] | None, dft: DftSection | None) -> EntriesFile:
    assert references.entries is not None, "the caller has looked"
    return read_entries_file(
        references.entries,
        elements=elements,
        engine=references.engine,
        corrections=references.corrections,
        max_formation_energy=references.max_formation_energy,
        hubbard_u="none" if dft is None else dft.hubbard_u,
    )


def _other_settings(file: EntriesFile, dft: DftSection) -> Iterator[Finding]:
    """Yield entries of another engine or, if the file states its DFT settings, of other settings."""
    if file.engine != dft.engine:
        message = (
            f"found entries computed with {file.engine}, but dft.engine is {dft.engine}: energies of different "
            f"engines must not be mixed in one hull; right: entries of {dft.engine}, or dft.engine: {file.engine}"
        )
        yield _ENTRIES, message, file.path
        return
    if dft.engine == "vasp":
        yield from _other_paw_sets(file, dft.potcar_functional)
    if file.dft is None:
        return
    wanted = DftSettings(**dft.model_dump()).physics()
    # fields added later are absent from files of earlier versions, and when unused
    later = {key: None for key in LATER_SETTINGS if key in file.dft}
    differing = [
        f"{key} (entries: {file.dft.get(key)!r}, campaign: {value!r})"
        for key, value in (later | wanted).items()
        if file.dft.get(key) != value
    ]
    if differing:
        message = f"found entries of other DFT settings: {', '.join(differing)}; right: entries of the same settings"
        yield _ENTRIES, message, file.path


def _other_paw_sets(file: EntriesFile, functional: str) -> Iterator[Finding]:
    """Yield PAW data sets named in the entries that differ from the campaign's."""
    first: dict[str, str] = {}
    for entry in file.entries:
        for title in entry.paw_titles:
            first.setdefault(title, f"{entry.id} ({entry.place})")
    for title, where in sorted(first.items()):
        words = title.split()
        element = re.match(r"[A-Z][a-z]?", words[1])[0] if len(words) > 1 else ""  # type: ignore[index]
        symbol, known = potcar_symbol(element, functional), potcar_titles(element, functional)
        other = words[1] != symbol if len(words) == 2 else known and "".join(words) not in known
        if element and other:
            here = ", ".join(sorted(known)) or symbol
            message = (
                f"found the PAW data set {title!r} of {where}; the campaign computes with {here} "
                f"(dft.potcar_functional: {functional}), and energies of different PAW data sets must not be mixed in "
                "one hull; right: entries of the same data sets, or the potcar_functional with which they were computed"
            )
            yield _ENTRIES, message, file.path


def entries_notes(said: Mapping[str, object] | None, dft: DftSection) -> Iterator[str]:
    """Yield notes for the user if the file does not state all settings needed to compare its entries with the
    campaign's.

    Parameters
    ----------
    said
        The DFT settings stated in the file of entries, or None.
    dft
        Those of the campaign.
    """
    if said is not None:
        return
    standard = DftSection()
    if dft.quality != standard.quality:
        yield (
            f"the entries do not state their k-points, and the campaign computes with quality: {dft.quality}; the "
            "resulting E_hull may be wrong by 10 meV/atom and more"
        )
    if dft.encut != standard.encut:
        yield (
            f"the entries do not state their cutoff, and the campaign computes with {dft.encut:g} eV (the Materials "
            f"Project's entries: {standard.encut:g} eV); the resulting E_hull may be wrong"
        )


def _missing(file: EntriesFile, elements: Collection[str], given: Collection[str]) -> Iterator[Finding]:
    have = file.reference_elements | set(given)
    for symbol in elements:
        if symbol not in have:
            message = (
                f"found {symbol!r}: {file.path.name} (references.entries) has no elemental reference for it; add an "
                f"entry of {symbol} to that file, or put a CIF or POSCAR file of it into a folder and name the folder "
                "in "
                "references.structures, or leave it out"
            )
            yield ("candidates", "elements", symbol), message, None

"""The candidates of a campaign: those made from prototypes, and crystals used as given."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pymatgen.core import Composition

from campaign.candidates.generate import Candidate, generate
from campaign.candidates.given.crystals import GivenCrystal, LeftOut, symmetry_of
from campaign.candidates.given.duplicates import KnownCrystal, find_duplicates
from campaign.candidates.given.reading import GivenSettings, OnProgress, Reading, SourceRecord, read_given
from campaign.candidates.packed import PackedCrystal
from campaign.candidates.structure_hash import ID_DIGITS, hash_in_id, id_of_hash
from campaign.candidates.structure_text import Reason, StructureFileError
from campaign.config.yaml_file import CampaignFileError, Problem
from campaign.scorers.base import ScoredCampaign
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.corrections_checks import corrections_problems
from campaign.spec.element_checks import missing_references, paw_problems, reference_folder
from campaign.spec.hubbard_checks import hubbard_problems
from campaign.spec.reference_checks import Finding, entries_problems, read_entries
from campaign.spec.sections.prefilter import prefilter_problem
from esnet.files.errors import UserError

AS_GIVEN = "as given"
"""``source`` of the parent of a candidate that is a crystal as given."""

_SHOWN = 20


class LeftOutError(UserError, ValueError):
    """Crystals cannot be candidates, and the campaign does not allow leaving them out."""


@dataclass(frozen=True, kw_only=True)
class MadeCandidates:
    """The candidates of a campaign, and the result of reading the given crystals.

    Attributes
    ----------
    candidates
        Those from prototypes first, then the given crystals in the order of their sources.
    left_out
        Crystals that are not candidates, including duplicates.
    sources
        A record for each path read.
    unused
        Files that were not read, by folder.
    notes
        Notes for the user on how crystals were read, with the crystals' names.
    """

    candidates: list[Candidate]
    left_out: tuple[LeftOut, ...] = ()
    sources: tuple[SourceRecord, ...] = ()
    unused: tuple[tuple[Path, tuple[str, ...]], ...] = ()
    notes: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def bad(self) -> list[LeftOut]:
        """Crystals left out because they cannot be candidates, not as duplicates or beyond the requested number."""
        return [each for each in self.left_out if each.reason not in (Reason.DUPLICATE, Reason.BEYOND)]

    def counts(self) -> str:
        """Numbers of crystals left out, by reason, as text; empty if there are none."""
        counts = Counter(each.reason for each in self.left_out)
        return ", ".join(f"{number} {reason}" for reason, number in sorted(counts.items(), key=lambda each: -each[1]))

    def refuse_bad(self) -> None:
        """Raise if any crystal cannot be a candidate; duplicates are accepted.

        Raises
        ------
        LeftOutError
            Names the crystals.
        """
        if not (bad := self.bad):
            return
        n_read = sum(source.n_read for source in self.sources)
        lines = [f"{each.file}: {each.name}: {each.reason}: {each.detail}" for each in bad[:_SHOWN]]
        if (more := len(bad) - _SHOWN) > 0:
            lines.append(f"and {more} more")
        listed = "\n  ".join(lines)
        raise LeftOutError(
            f"{len(bad)} of {n_read} crystals cannot be candidates; fix or remove them, or leave them out (without "
            f"--strict):\n  {listed}"
        )


def given_settings(spec: CampaignSpec) -> GivenSettings:
    """Return how a campaign reads crystals as given.

    Raises
    ------
    ValueError
        If the campaign names none.
    """
    section = spec.candidates
    if section.as_given is None:
        raise ValueError("the campaign names no crystals in candidates.as_given")
    return GivenSettings(
        paths=section.as_given,
        column=section.structure_column,
        rescale=section.rescale is not None,
        max_atoms=section.max_atoms,
    )


def candidate_elements(spec: CampaignSpec) -> list[str]:
    """Return the symbols of all elements that a campaign's candidates may contain; reads the given crystals."""
    elements = list(spec.candidates.elements or ()) if spec.candidates.has_prototypes else []
    if spec.candidates.as_given is not None:
        found = _read(spec, given_settings(spec), None)
        usable, _ = usable_crystals(spec, found)
        elements += sorted({symbol for each in usable for symbol in each.crystal.composition()} - set(elements))
    return elements


def make_candidates(spec: CampaignSpec, *, on_progress: OnProgress | None = None) -> MadeCandidates:
    """Make the candidates of a campaign, each crystal once, always in the same order.

    Raises
    ------
    CampaignFileError, StructureFileError
        If a folder or file as a whole cannot be used.
    """
    section = spec.candidates
    made = list(generate(spec)) if section.has_prototypes else []
    if section.as_given is None:
        return MadeCandidates(candidates=made)
    found = _read(spec, given_settings(spec), on_progress)
    usable, refused = usable_crystals(spec, found)
    refuse_mixtures(spec, sorted({symbol for each in usable for symbol in each.crystal.composition()}))
    new, duplicates = candidates_of(spec, usable, known=_known(made, usable), on_progress=on_progress)
    room = len(new) if section.max_candidates is None else max(section.max_candidates - len(made), 0)
    beyond = [_beyond(candidate, section.max_candidates) for candidate in new[room:]]
    return MadeCandidates(
        candidates=[*made, *new[:room]],
        left_out=(*found.left_out, *refused, *duplicates, *beyond),
        sources=found.sources,
        unused=tuple(found.unused.items()),
        notes=reading_notes(found),
    )


def _beyond(candidate: Candidate, limit: int | None) -> LeftOut:
    name, file = str(candidate.parent["name"]), str(candidate.parent["file"])
    return LeftOut(name=name, file=file, reason=Reason.BEYOND, detail=f"candidates.max_candidates is {limit}")


def _read(spec: CampaignSpec, settings: GivenSettings, on_progress: OnProgress | None) -> Reading:
    try:
        return read_given(settings, on_progress=on_progress)
    except StructureFileError as error:
        raise CampaignFileError([Problem("spec.campaign.candidates.as_given", str(error))]) from error


def usable_crystals(spec: CampaignSpec, found: Reading) -> tuple[list[GivenCrystal], list[LeftOut]]:
    """Separate the crystals whose elements a campaign can treat (reference, PAW data set and scorer exist) from the
    others.
    """
    refused = _refused_elements(spec, found.elements)
    if not refused:
        return list(found.crystals), []
    usable: list[GivenCrystal] = []
    left_out: list[LeftOut] = []
    for crystal in found.crystals:
        symbol = next((symbol for symbol in crystal.crystal.composition() if symbol in refused), None)
        if symbol is None:
            usable.append(crystal)
        else:
            reason = Reason.NOT_CALCULABLE
            left_out.append(LeftOut(name=crystal.name, file=crystal.file, reason=reason, detail=refused[symbol]))
    return usable, left_out


def _refused_elements(spec: CampaignSpec, elements: Sequence[str]) -> dict[str, str]:
    """Return the elements that the campaign cannot treat, each with the remedy."""
    refused: dict[str, str] = {}
    for path, message, _ in _element_findings(spec, elements):
        if path[:2] == ("candidates", "elements") and len(path) == 3:
            refused.setdefault(str(path[2]), message)
    return refused


def _element_findings(spec: CampaignSpec, elements: Sequence[str]) -> Iterator[Finding]:
    references, scorer = spec.references, spec.scorer
    if spec.dft.engine == "gpaw":
        yield from paw_problems(elements)
    yield from ((path, message, None) for path, message in scorer.problems(elements))
    _, given = reference_folder(references)
    if references.entries is not None:
        file, _ = read_entries(references, None, spec.dft)
        if file is not None:
            yield from entries_problems(file, elements, None, given=given)
    if references.entries is None or scorer.needs_element_crystals:
        yield from missing_references(elements, given)


def refuse_mixtures(spec: CampaignSpec, elements: Sequence[str], *, campaign: ScoredCampaign | None = None) -> None:
    """Refuse elements that have no common corrections, or together need a Hubbard U that the campaign does not set.

    The campaign is given if it has been started, since its models are then stored with it.
    """
    references: str = spec.references.corrections or "none"
    if spec.references.entries is not None:
        file, _ = read_entries(spec.references, None, spec.dft)
        references = references if file is None else file.corrections
    findings = [
        *hubbard_problems(elements, spec.dft, references=references),
        *corrections_problems(elements, spec.scorer, spec.model, references=references, campaign=campaign),
    ]
    if spec.prefilter is not None:
        scorer = spec.prefilter.scorer
        found = corrections_problems(elements, scorer, spec.model, references=references, campaign=campaign)
        findings += [(*prefilter_problem(path, message), file) for path, message, file in found]
    if findings:
        places = (("as_given",) if path[:2] == ("candidates", "elements") else path for path, _, _ in findings)
        raise CampaignFileError(
            [
                Problem(".".join(["spec", "campaign", *map(str, place)]), message)
                for place, (_, message, _) in zip(places, findings, strict=True)
            ]
        )


def candidates_of(
    spec: CampaignSpec,
    crystals: Sequence[GivenCrystal],
    *,
    known: Sequence[KnownCrystal],
    on_progress: OnProgress | None = None,
) -> tuple[list[Candidate], list[LeftOut]]:
    """Make candidates from crystals, each once, leaving out those that are candidates already.

    Parameters
    ----------
    known
        Existing candidates, see `known_crystal`.
    """
    report = None
    if on_progress is not None:
        report = lambda done, total: on_progress("comparing", done, total)  # noqa: E731
    same = find_duplicates(crystals, known, digits=ID_DIGITS, on_progress=report)
    settings_hash = spec.settings_hash
    new, duplicates = [], []
    for place, crystal in enumerate(crystals):
        if place in same:
            detail = f"the same crystal as {same[place]}"
            reason = Reason.DUPLICATE
            duplicates.append(LeftOut(name=crystal.name, file=crystal.file, reason=reason, detail=detail))
            continue
        composition = Composition(crystal.crystal.composition())
        parent = {"source": AS_GIVEN, "name": crystal.name, "file": crystal.file, "columns": dict(crystal.columns)}
        new.append(
            Candidate(
                id=id_of_hash(spec.name, crystal.structure_hash, settings_hash),
                formula=composition.reduced_formula,
                chemsys=composition.chemical_system,
                prototype=crystal.kind,
                parent=parent,
                crystal=crystal.crystal,
            )
        )
    return new, duplicates


def known_crystal(candidate_id: str, label: str, crystal: PackedCrystal) -> KnownCrystal:
    """Return the data of an existing candidate that crystals are compared with."""
    space_group, primitive, _ = symmetry_of(crystal.structure())
    return KnownCrystal(
        label=label, structure_hash=hash_in_id(candidate_id), space_group=space_group, primitive=primitive
    )


def _known(made: Sequence[Candidate], crystals: Sequence[GivenCrystal]) -> list[KnownCrystal]:
    """Return the candidates from prototypes that have the formula of one of the crystals."""
    formulas = {Composition(each.crystal.composition()).reduced_formula for each in crystals} if made else set()
    return [
        known_crystal(each.id, f"{each.formula}:{each.prototype}", each.crystal)
        for each in made
        if each.formula in formulas
    ]


def reading_notes(found: Reading) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the notes of the parsers, each with the names of the crystals concerned."""
    by_note: dict[str, list[str]] = {}
    for crystal in found.crystals:
        for note in crystal.notes:
            by_note.setdefault(note, []).append(crystal.name)
    return tuple((note, tuple(names)) for note, names in by_note.items())

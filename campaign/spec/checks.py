"""Looking at what a campaign file names, before anything runs: folders, structures, PAW data sets, programs."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from campaign.candidates.elements import elements_without_reference
from campaign.candidates.prototypes import shipped_prototypes
from campaign.candidates.structure_files import Crystal, list_structure_folder, read_structure_file
from campaign.candidates.structure_text import StructureFileError
from campaign.config.yaml_file import CampaignFileError, FieldPath, Problem, dotted
from campaign.policies.base import without_uncertainty
from campaign.scorers.base import Scorer
from campaign.scorers.esnet import Esnet
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.corrections_checks import corrections_problems
from campaign.spec.engine_checks import command_problems, program_problems
from campaign.spec.hubbard_checks import hubbard_problems
from campaign.spec.potcar_checks import potcar_problems
from campaign.spec.reference_checks import Finding, entries_problems, read_entries
from campaign.spec.sections.candidates import CandidateSection
from campaign.spec.sections.dft import DftSection
from campaign.spec.sections.references import ReferenceSection
from esnet.bundle.info import BundleInfo
from esnet.bundle.shipped import bundle_folder, shipped_bundles
from workflows.gpaw_vasp.potcars import available_elements

UNCERTAINTY_REMEDY = "set policy.uncertainty, scorer.uncertainty or a model.bundle that was calibrated"


def section_problems(sections: Mapping[str, Any]) -> Iterator[Finding]:
    """Everything that is wrong with what the sections name.

    Parameters
    ----------
    sections
        Sections of a `CampaignSpec` by their names; those that are wrong in themselves are absent.
    """
    candidates: CandidateSection | None = sections.get("candidates")
    references: ReferenceSection | None = sections.get("references")
    dft: DftSection | None = sections.get("dft")
    scorer: Scorer | None = sections.get("scorer")
    if dft is not None:
        yield from command_problems(dft)
    if candidates is not None:
        yield from _prototype_problems(candidates)
        if dft is not None:
            yield from _moment_problems(candidates, dft)
            if dft.engine == "gpaw":
                yield from _paw_problems(candidates)
        if scorer is not None:
            yield from ((path, message, None) for path, message in scorer.problems(candidates.elements))
    corrections: str | None = None if references is None else references.corrections or "none"
    if references is not None:
        findings, given = _reference_folder(references)
        yield from findings
        if references.entries is not None:
            elements = None if candidates is None else candidates.elements
            file, problems = read_entries(references, elements, dft)
            yield from problems
            corrections = None if file is None else file.corrections
            if file is not None:
                yield from entries_problems(file, elements, dft, given=None if findings else given)
        needed = references.entries is None or (scorer is not None and scorer.needs_element_crystals)
        if candidates is not None and not findings and needed:
            yield from _missing_references(candidates, given)
    model = sections.get("model")
    if model is not None and model.bundle is not None:
        yield from _bundle_problems(model.bundle)
    if candidates and dft and corrections:
        yield from hubbard_problems(candidates.elements, dft, references=corrections)
    if candidates and scorer and model and corrections:
        yield from corrections_problems(candidates, scorer, model, references=corrections)


def _moment_problems(candidates: CandidateSection, dft: DftSection) -> Iterator[Finding]:
    for symbol in dft.magmom:
        if symbol not in candidates.elements:
            message = f"found {symbol!r}, which is not among candidates.elements; right: leave it out"
            yield ("dft", "magmom", symbol), message, None


def _bundle_problems(bundle: Path) -> Iterator[Finding]:
    if str(bundle) in shipped_bundles() or bundle.is_dir():
        return
    found = "is a file" if bundle.exists() else "does not exist"
    message = (
        f"{bundle} {found}; right: the folder of a trained ESNet, the name of one that ships with the project "
        f"({', '.join(shipped_bundles()) or 'none'}), or null"
    )
    yield ("model", "bundle"), message, None


def _prototype_problems(candidates: CandidateSection) -> Iterator[Finding]:
    """What is wrong with the user's prototypes, and whether there are enough elements for every prototype."""
    needed = {name: len(shipped_prototypes()[name].elements) for name in candidates.prototypes or ()}
    if candidates.structures is not None:
        path = ("candidates", "structures")
        findings, crystals = _folder_problems(path, candidates.structures)
        yield from findings
        for file, crystal in crystals:
            if crystal.name in needed:
                yield path, f"{crystal.name} is the name of a shipped prototype that is asked for too; rename it", file
            if len(crystal.structure.elements) < 2:
                message = (
                    "has one element only and so makes no compound; right: two elements or more here; crystals of "
                    "one element go into references.structures"
                )
                yield path, message, file
            needed[crystal.name] = len(crystal.structure.elements)
    given = len(candidates.elements)
    if lacking := [name for name, count in needed.items() if count > given]:
        message = (
            f"found {given}: {', '.join(lacking)} needs {max(needed.values())} distinct elements; right: give more "
            "elements or leave these prototypes out"
        )
        yield ("candidates", "elements"), message, None


def _folder_problems(path: FieldPath, folder: Path) -> tuple[list[Finding], list[tuple[Path, Crystal]]]:
    """What is wrong with a folder of structures, and the crystals of the files that are right."""
    try:
        files = list_structure_folder(folder).files
    except StructureFileError as error:
        return [(path, str(error), None)], []
    findings: list[Finding] = []
    crystals = []
    for file in files:
        try:
            crystals += [(file, crystal) for crystal in read_structure_file(file)]
        except StructureFileError as error:
            findings.append((path, str(error), file))
    return findings, crystals


def _reference_folder(references: ReferenceSection) -> tuple[list[Finding], set[str]]:
    """What is wrong with the folder of references, and the elements that it has a crystal of."""
    if references.structures is None:
        return [], set()
    findings, crystals = _folder_problems(("references", "structures"), references.structures)
    elements = [crystal.structure.elements for _, crystal in crystals]
    given = {found[0].symbol for found in elements if len(found) == 1}
    return findings, given


def _paw_problems(candidates: CandidateSection) -> Iterator[Finding]:
    available = available_elements()
    if not available:
        return  # GPAW is not installed on this machine: `check_engine` says so where it matters
    for symbol in candidates.elements:
        if symbol not in available:
            message = (
                f"found {symbol!r}: GPAW has no PBE PAW data set of it; leave it out, add the data set's folder to "
                "GPAW_SETUP_PATH, or use engine: vasp"
            )
            yield ("candidates", "elements", symbol), message, None


def _missing_references(candidates: CandidateSection, given: set[str]) -> Iterator[Finding]:
    for symbol in elements_without_reference(candidates.elements):
        if symbol not in given:
            message = (
                f"found {symbol!r}: there is no built-in crystal to serve as its elemental reference; put a CIF or "
                f"POSCAR of {symbol} into a folder and name the folder in references.structures, or leave it out"
            )
            yield ("candidates", "elements", symbol), message, None


def gives_uncertainty(spec: CampaignSpec) -> bool | None:
    """Whether predictions will have a standard deviation; None: only scoring tells."""
    if not isinstance(spec.scorer, Esnet):
        return spec.scorer.gives_uncertainty()
    # what is trained on a bootstrap sample is one network without a calibration
    bundle = spec.model.bundle
    return bundle is not None and BundleInfo.read(bundle_folder(bundle)).assessment is not None


def check_new(spec: CampaignSpec, *, file: Path | None = None) -> None:
    """Refuse to start a campaign that could never promote anything; one that has started continues.

    Parameters
    ----------
    spec
        A checked campaign that is not in the database.
    file
        The file it came from, for the message.

    Raises
    ------
    CampaignFileError
        Naming the field and what would be right.
    """
    problems = []
    until = spec.budget.until
    if until is not None and until <= datetime.now(UTC):
        message = f"found {until.isoformat()}, which has passed: nothing would be submitted; right: later, or null"
        problems.append(Problem("spec.campaign.budget.until", message, file))
    if spec.purpose == "screening" and spec.policy.needs_uncertainty() and gives_uncertainty(spec) is False:
        message = f"{without_uncertainty(spec.policy.kind)}; {UNCERTAINTY_REMEDY}"
        problems.append(Problem("spec.campaign.policy", message, file))
    if spec.policy.novel != "ignore" and spec.scorer.gives_novelty() is False:
        message = (
            f"found {spec.policy.novel}, but {spec.scorer.describe()} does not say which candidates are unlike what it "
            "was trained on; right: ignore, or scorer.kind: esnet"
        )
        problems.append(Problem("spec.campaign.policy.novel", message, file))
    if problems:
        raise CampaignFileError(problems)


def check_engine(spec: CampaignSpec, *, file: Path | None = None) -> None:
    """Look whether a campaign's engine and scorer can run on THIS machine; compute nodes may differ from it.

    Of VASP that are its command lines, the scratch folder and the POTCAR of every element.

    Parameters
    ----------
    spec
        A checked campaign.
    file
        The file it came from, for the message.

    Raises
    ------
    CampaignFileError
        Naming what is missing and how to get it.
    """
    findings = [*program_problems(spec.dft), *potcar_problems(spec)]
    problems = [Problem(dotted(("spec", "campaign", *path)), message, file) for path, message in findings]
    if spec.purpose == "screening":
        elements = spec.candidates.elements
        for path, message in spec.scorer.problems_here(elements):
            is_element = path[:2] == ("candidates", "elements") and path[2:]
            place = (*path[:2], elements.index(str(path[2]))) if is_element else path
            problems.append(Problem(dotted(("spec", "campaign", *place)), message, file))
    if problems:
        raise CampaignFileError(problems)

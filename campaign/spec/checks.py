"""Check everything that a campaign file refers to before anything runs: folders, structures, PAW data sets,
programs.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from campaign.candidates.given.source_files import find_source
from campaign.candidates.prototypes import shipped_prototypes
from campaign.candidates.structure_text import StructureFileError
from campaign.config.yaml_file import CampaignFileError, FieldPath, Problem, dotted
from campaign.policies.base import without_uncertainty
from campaign.policies.expected_yield import ExpectedYield
from campaign.scorers.base import Scorer
from campaign.scorers.combined import COMBINE
from campaign.scorers.esnet import Esnet
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.corrections_checks import corrections_problems
from campaign.spec.element_checks import folder_problems, missing_references, paw_problems, reference_folder
from campaign.spec.engine_checks import command_problems, program_problems
from campaign.spec.given import candidate_elements
from campaign.spec.hubbard_checks import hubbard_problems
from campaign.spec.potcar_checks import potcar_problems
from campaign.spec.reference_checks import Finding, entries_problems, read_entries
from campaign.spec.sections.candidates import CandidateSection
from campaign.spec.sections.dft import DftSection
from campaign.spec.sections.prefilter import PrefilterSection, prefilter_problem
from campaign.spec.sections.references import ReferenceSection
from esnet.bundle.files import BundleError, read_manifest
from esnet.bundle.info import BundleInfo
from esnet.bundle.record import SINGLE_POINT
from esnet.bundle.shipped import bundle_folder, shipped_bundles
from esnet.graph.info import GraphBundleInfo

UNCERTAINTY_REMEDY = "set policy.uncertainty, scorer.uncertainty or a calibrated model.bundle"


def section_problems(sections: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield the problems of everything that the sections refer to.

    Parameters
    ----------
    sections
        Sections of a `CampaignSpec` by name; invalid sections are absent.
    """
    candidates: CandidateSection | None = sections.get("candidates")
    # elements of given crystals are checked when these are read (`campaign.spec.given`)
    elements = () if candidates is None else candidates.elements or ()
    references: ReferenceSection | None = sections.get("references")
    dft: DftSection | None = sections.get("dft")
    scorer: Scorer | None = sections.get("scorer")
    prefilter: PrefilterSection | None = sections.get("prefilter")
    if dft is not None:
        yield from command_problems(dft)
    if candidates is not None:
        yield from _prototype_problems(candidates)
        yield from _source_problems(candidates)
        if dft is not None:
            if candidates.as_given is None:
                yield from _moment_problems(elements, dft)
            if dft.engine == "gpaw":
                yield from paw_problems(elements)
        if scorer is not None:
            yield from ((path, message, None) for path, message in scorer.problems(elements))
        if prefilter is not None:
            yield from ((*prefilter_problem(*found), None) for found in prefilter.scorer.problems(elements))
    corrections: str | None = None if references is None else references.corrections or "none"
    if references is not None:
        findings, given = reference_folder(references)
        yield from findings
        if references.entries is not None:
            wanted = None if candidates is None or candidates.as_given is not None else elements
            file, problems = read_entries(references, wanted, dft)
            yield from problems
            corrections = None if file is None else file.corrections
            if file is not None:
                yield from entries_problems(
                    file, None if candidates is None else elements, dft, given=None if findings else given
                )
        scorers = [scorer, None if prefilter is None else prefilter.scorer]
        needed = references.entries is None or any(each is not None and each.needs_element_crystals for each in scorers)
        if candidates is not None and not findings and needed:
            yield from missing_references(elements, given)
    model = sections.get("model")
    if model is not None and model.bundle is not None:
        yield from _bundle_problems(model.bundle)
    if candidates and dft and corrections:
        yield from hubbard_problems(elements, dft, references=corrections)
    if candidates and scorer and model and corrections:
        yield from corrections_problems(elements, scorer, model, references=corrections)
    if candidates and prefilter and model and corrections:
        wrong = corrections_problems(elements, prefilter.scorer, model, references=corrections)
        yield from ((*prefilter_problem(path, message), file) for path, message, file in wrong)


def _source_problems(candidates: CandidateSection) -> Iterator[Finding]:
    """Check whether the sources of given crystals exist; their content is read later, and may be left out."""
    for place, path in enumerate(candidates.as_given or ()):
        try:
            find_source(path)
        except StructureFileError as error:
            yield ("candidates", "as_given", place), str(error), None


def _moment_problems(elements: Sequence[str], dft: DftSection) -> Iterator[Finding]:
    for symbol in dft.magmom:
        if symbol not in elements:
            message = f"found {symbol!r}, which is not in candidates.elements; right: leave it out"
            yield ("dft", "magmom", symbol), message, None


def _bundle_problems(bundle: Path) -> Iterator[Finding]:
    if str(bundle) in shipped_bundles():
        return
    if bundle.is_dir():
        try:
            read_manifest(bundle)
            return
        except BundleError as error:
            found = f"is no bundle of an ESNet that can be used ({error})"
        with suppress(BundleError):
            title = GraphBundleInfo.read(bundle).kind.title
            found = f"is a trained {title}, which is a scorer of its own (scorer: {{kind: baseline, bundle: {bundle}}})"
    else:
        found = "is a file" if bundle.exists() else "does not exist"
    message = (
        f"{bundle} {found}; right: the folder of a trained ESNet, the name of one that ships with the project "
        f"({', '.join(shipped_bundles()) or 'none'}), or null"
    )
    yield ("model", "bundle"), message, None


def _prototype_problems(candidates: CandidateSection) -> Iterator[Finding]:
    """Yield problems of the user's prototypes, and of too few elements for a prototype."""
    needed = {name: len(shipped_prototypes()[name].elements) for name in candidates.prototypes or ()}
    if candidates.structures is not None:
        path = ("candidates", "structures")
        findings, crystals = folder_problems(path, candidates.structures)
        yield from findings
        for file, crystal in crystals:
            if crystal.name in needed:
                yield path, f"{crystal.name} is also the name of a requested shipped prototype; rename it", file
            if len(crystal.structure.elements) < 2:
                message = (
                    "has only one element and gives no compound; right: two or more elements here; crystals of one "
                    "element belong in references.structures"
                )
                yield path, message, file
            needed[crystal.name] = len(crystal.structure.elements)
    given = len(candidates.elements or ())
    if lacking := [name for name, count in needed.items() if count > given]:
        message = (
            f"found {given}: {', '.join(lacking)} needs {max(needed.values())} distinct elements; right: give more "
            "elements or leave these prototypes out"
        )
        yield ("candidates", "elements"), message, None


def gives_uncertainty(spec: CampaignSpec) -> bool | None:
    """Whether predictions will have a standard deviation; None if known only after scoring."""
    said = [_gives_uncertainty(member, spec) for member in spec.scorer.members()]
    return False if False in said else None if None in said else True


def _gives_uncertainty(scorer: Scorer, spec: CampaignSpec) -> bool | None:
    if not isinstance(scorer, Esnet):
        return scorer.gives_uncertainty()
    # a model trained on a bootstrap sample is a single network without calibration
    bundle = spec.model.bundle
    return bundle is not None and BundleInfo.read(bundle_folder(bundle), residual=SINGLE_POINT).assessment is not None


def check_new(spec: CampaignSpec, *, file: Path | None = None) -> None:
    """Refuse to start a campaign that would promote none or all of its candidates; a started one continues.

    Parameters
    ----------
    spec
        A checked campaign that is not in the database.
    file
        The file it was read from, for the message.

    Raises
    ------
    CampaignFileError
        Names the field and what would be right.
    """
    problems = []
    until = spec.budget.until
    if until is not None and until <= datetime.now(UTC):
        message = f"found {until.isoformat()}, which has passed: nothing would be submitted; right: later, or null"
        problems.append(Problem("spec.campaign.budget.until", message, file))
    if spec.purpose == "screening" and spec.policy.needs_uncertainty() and gives_uncertainty(spec) is False:
        message = f"{without_uncertainty(spec.policy.kind)}; {UNCERTAINTY_REMEDY}"
        problems.append(Problem("spec.campaign.policy", message, file))
    policy = spec.policy
    unlimited = isinstance(policy, ExpectedYield) and not policy.min_yield and not spec.is_limited()
    if spec.purpose == "screening" and unlimited:
        message = (
            "found 0 and no limit, so that every candidate with an uncertainty would be relaxed; right: the smallest "
            "worthwhile number of stable materials per CPU-hour, e.g. 0.1, or policy.cpu_hours, or a limit in budget"
        )
        problems.append(Problem("spec.campaign.policy.min_yield", message, file))
    problems += [Problem(dotted(("spec", "campaign", *field)), message, file) for field, message in _unweighable(spec)]
    if spec.prefilter is not None and spec.prefilter.gives_uncertainty() is False:
        message = (
            f"found null, and {spec.prefilter.scorer.describe()} give no uncertainty, so that nothing would be "
            "rejected; right: the standard deviation of the scorer's error in eV/atom, e.g. 0.1, here or in "
            "prefilter.scorer"
        )
        problems.append(Problem("spec.campaign.prefilter.uncertainty", message, file))
    if spec.policy.novel != "ignore" and spec.scorer.gives_novelty() is False:
        message = (
            f"found {spec.policy.novel}, but {spec.scorer.describe()} does not report which candidates are unlike its "
            "training data; right: ignore, or scorer.kind: esnet"
        )
        problems.append(Problem("spec.campaign.policy.novel", message, file))
    if spec.screening.retrain_every is not None and _adds_single_point(spec):
        message = (
            f"found {spec.screening.retrain_every}, but {spec.model.bundle} predicts the change by the relaxation, and "
            "retraining makes a model of formation energies; right: null, and screening.recalibrate_every"
        )
        problems.append(Problem("spec.campaign.screening.retrain_every", message, file))
    if problems:
        raise CampaignFileError(problems)


def _adds_single_point(spec: CampaignSpec) -> bool:
    """Whether the model predicts what the energies of the IS-DOS calculations leave over."""
    bundle = spec.model.bundle
    if bundle is None:
        return False
    return BundleInfo.read(bundle_folder(bundle), residual=SINGLE_POINT).record.adds_single_point


def _unweighable(spec: CampaignSpec) -> Iterator[tuple[FieldPath, str]]:
    """Yield a problem for each scorer of a combination without uncertainty, on which the weights are based."""
    members = spec.scorer.members()
    for place, member in enumerate(members if len(members) > 1 else ()):
        if _gives_uncertainty(member, spec) is not False:
            continue
        name = spec.scorer.member_names()[place]
        field: FieldPath = ("model", "bundle")
        if isinstance(member, Esnet):
            found = "null" if spec.model.bundle is None else f"{spec.model.bundle}"
            right = "the bundle of an ESNet that was calibrated, e.g. gpaw-fast-binary; one that is trained on a "
            right += "bootstrap sample is not"
        elif "uncertainty" in type(member).model_fields:
            field, found = ("scorer", COMBINE, place, "uncertainty"), "null"
            right = "the standard deviation of its error in eV/atom, e.g. 0.1"
        else:
            field, found = ("scorer", COMBINE, place), f"kind {member.kind!r}"
            right = "one that gives an uncertainty, as a baseline with 5 validation samples or more does"
        yield field, f"found {found}, so that {name} gives no uncertainty, by which scorers are weighed; right: {right}"


def check_engine(spec: CampaignSpec, *, file: Path | None = None) -> None:
    """Check whether the campaign's engine and scorer can run on this machine; compute nodes may differ from it.

    For VASP, these are its command lines, the scratch folder and the POTCAR of every element.

    Parameters
    ----------
    spec
        A checked campaign.
    file
        The file it was read from, for the message.

    Raises
    ------
    CampaignFileError
        Names each missing program, package or file, and how to get it.
    """
    findings = [*program_problems(spec.dft), *potcar_problems(spec)]
    problems = [Problem(dotted(("spec", "campaign", *path)), message, file) for path, message in findings]
    if spec.purpose == "screening":
        in_file = spec.candidates.elements or ()
        elements = candidate_elements(spec)
        found = list(spec.scorer.problems_here(elements))
        if spec.prefilter is not None:
            # a crystal of `as_given` unknown to the prefilter gets its IS-DOS
            of_prefilter = spec.prefilter.scorer.problems_here(spec.candidates.elements or ())
            found += [prefilter_problem(*problem) for problem in of_prefilter]
        for path, message in found:
            is_element = path[:2] == ("candidates", "elements") and path[2:] and path[2] in in_file
            place = (*path[:2], in_file.index(str(path[2]))) if is_element else path
            problems.append(Problem(dotted(("spec", "campaign", *place)), message, file))
    if problems:
        raise CampaignFileError(problems)

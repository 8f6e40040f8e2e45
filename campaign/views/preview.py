"""Preview of the work of a campaign file before submission."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from campaign.candidates.generate import Candidate
from campaign.candidates.structure_files import Crystal, list_structure_folder, read_crystals
from campaign.config.wording import format_count
from campaign.policies.cost_model import GPAW_FAST_DOS_CPU_S, GPAW_FAST_RELAX_CPU_S
from campaign.references.phases import reference_phases
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.checks import gives_uncertainty
from campaign.spec.given import AS_GIVEN, MadeCandidates, make_candidates
from campaign.spec.reference_checks import campaign_entries, entries_notes
from campaign.spec.sections.dft import DftSection
from campaign.steps.start import divide_candidates, elements_of
from campaign.store.models import check_model_engine
from campaign.views.preview_notes import format_learning, format_strict_prefilter
from esnet.bundle.bundle import BundleInfo
from esnet.bundle.description import format_error
from esnet.bundle.record import SINGLE_POINT
from esnet.bundle.shipped import bundle_folder
from esnet.dataset.mp2020 import mp2020_untreated
from workflows.inputs.incar_tags import NUMBERS, changes_numbers
from workflows.inputs.outside_settings import has_settings_file, outside
from workflows.potcars.titles import replaced_symbols


def format_preview(spec: CampaignSpec, made: MadeCandidates | None = None) -> Iterator[str]:
    """Yield the planned work as lines of text, one per kind of calculation.

    Parameters
    ----------
    made
        Candidates, if already generated.
    """
    made = make_candidates(spec) if made is None else made
    candidates, bootstrap = divide_candidates(spec, made)
    by_prototype = Counter(each.prototype for each in candidates if each.parent["source"] != AS_GIVEN)
    given = [each for each in candidates if each.parent["source"] == AS_GIVEN]
    kinds = [f"{number} {name}" for name, number in sorted(by_prototype.items())]
    kinds += [f"{len(given)} as given"] if given else []
    yield f"{format_count(len(candidates), 'candidate')} ({', '.join(kinds)})"
    yield from _format_given(spec, made, given)
    elements = elements_of(candidates)
    labels = [label for label, _ in reference_phases(spec, elements)]
    if spec.references.entries is not None:
        yield from _format_entries(spec, candidates, elements)
    if labels or spec.references.entries is None:
        yield f"{len(labels)} reference phases are relaxed first: {', '.join(labels)}"
    folders = [folder for folder in (spec.candidates.structures, spec.references.structures) if folder is not None]
    crystals = {folder: list(read_crystals(folder)) for folder in folders}
    if spec.references.structures is not None:
        unused = sorted({crystal.name for _, crystal in crystals[spec.references.structures]} - set(labels))
        if unused:
            yield f"not used, because they contain other elements than the candidates: {', '.join(unused)}"
    for folder, found in crystals.items():
        yield from _format_structure_notes(folder, found)
    if spec.purpose == "training_set":
        yield "a training set: every candidate gets an IS-DOS, a relaxation and an RS-DOS; nothing is predicted"
        yield from _format_training_costs(spec, len(candidates), len(labels))
    elif not spec.scorer.needs_model:
        dos = "get an IS-DOS and" if spec.scorer.needs_dos else "get no DOS and"
        yield f"all candidates {dos} a prediction by {spec.scorer.describe()}"
    elif spec.model.bundle is None:
        yield f"{len(bootstrap)} candidates are relaxed to train ESNet"
        yield f"the other {len(candidates) - len(bootstrap)} get an IS-DOS and a prediction"
    else:
        model = BundleInfo.read(
            bundle_folder(spec.model.bundle), representation=spec.representation(), residual=SINGLE_POINT
        )
        check_model_engine(model, spec.dft.engine)
        yield from _format_unknown(spec, model, candidates)
        error = format_error(model)
        yield (
            f"all candidates get an IS-DOS and a prediction by model {model.checksum[:12]} ({spec.model.bundle}), "
            f"trained on {format_count(model.record.n_materials, 'material')}"
            f"{'' if error is None else f'; {error}'}"
        )
    if spec.prefilter is not None:
        yield f"before that, {spec.prefilter.describe()}; a candidate without a prediction gets its IS-DOS"
        if spec.prefilter.gives_uncertainty() is None:
            yield "note: where the prefilter's scorer gives no uncertainty, every candidate gets its IS-DOS"
        yield from format_strict_prefilter(spec)
    if spec.purpose == "screening":
        yield f"promoted to a relaxation: {spec.policy.describe()}"
        if spec.policy.needs_uncertainty() and gives_uncertainty(spec) is None:
            yield (
                f"note: if the scorer {spec.scorer.kind} gives no uncertainty, the policy {spec.policy.kind} rejects "
                "everything; set policy.uncertainty to assume one"
            )
        if spec.policy.audit:
            yield f"audit: {spec.policy.audit:.0%} of the rejected candidates, drawn at random, are relaxed anyway"
        yield from format_learning(spec, len(candidates) - len(bootstrap))
        yield from _format_costs(spec, len(candidates) - len(bootstrap), len(bootstrap) + len(labels))
    fast = " with coarse k-points (quality: fast, for examples only)" if spec.dft.quality == "fast" else ""
    yield f"computed by {spec.dft.engine}{fast}, cutoff {spec.dft.encut:g} eV"
    yield from _format_own_settings(spec.dft, elements)


def _format_given(spec: CampaignSpec, made: MadeCandidates, given: Sequence[Candidate]) -> Iterator[str]:
    """Describe the given crystals that were read, and those left out."""
    for source in made.sources:
        of_files = f" in {source.n_files} files" if source.n_files > 1 else ""
        yield f"{source.path}: {format_count(source.n_read, 'crystal')}{of_files}"
    if given:
        volume = "volumes from their elements" if spec.candidates.rescale else "unchanged"
        shown = _listed([f"{each.parent['name']} ({each.formula}, {each.prototype})" for each in given], most=3)
        sizes = [each.n_sites for each in given]
        atoms = f"{min(sizes)} to {max(sizes)} atoms" if min(sizes) < max(sizes) else f"{sizes[0]} atoms"
        yield f"as given, {volume}, {atoms}: {shown}"
    if made.left_out:
        yield f"left out: {made.counts()}"
        for reason in dict.fromkeys(each.reason for each in made.left_out):
            examples = [each for each in made.left_out if each.reason == reason]
            yield f"  {reason}: {_listed([each.name for each in examples], most=4)}; {examples[0].detail}"
    for folder, files in made.unused:
        yield f"note: {folder}: not read: {_listed(files)}"
    for note, names in made.notes:
        yield f"note: {_listed(names)}: {note}"
    if spec.candidates.elements and not spec.candidates.has_prototypes:
        yield "note: candidates.elements is not used: crystals of as_given keep their elements"


def _format_own_settings(dft: DftSection, elements: Sequence[str]) -> Iterator[str]:
    """List the settings that differ from the defaults, and those that change the results."""
    numbers = changes_numbers(dft.incar)
    if safe := {tag: value for tag, value in dft.incar.items() if tag not in numbers}:
        yield f"INCAR: {_format_tags(safe)}: do not change the results"
    for tag, value in numbers.items():
        yield (
            f"INCAR: {tag} = {value} changes the results ({NUMBERS[tag]}): it is part of the settings' hash, so "
            "results are not comparable with campaigns, references or models computed without it"
        )
    if dft.magmom:
        yield f"initial moments: {_format_tags(dft.magmom)}; part of the settings' hash"
    if dft.hubbard_u == "mp":
        metals = sorted(mp2020_untreated(elements))
        which = f"of {', '.join(metals)} are" if metals else "are: none among these elements"
        yield f"Hubbard U: oxides and fluorides {which} computed with the Materials Project's values"
    if dft.engine == "vasp" and has_settings_file():
        here = outside(dft.engine, given=dft.incar)
        if here.incar:
            yield (
                f"INCAR: {_format_tags(here.incar)} from atomate2's settings on this machine: settings of parallelism "
                "are used"
            )
        if here.left_out:
            yield f"note: settings of atomate2 on this machine that do not reach a campaign: {', '.join(here.left_out)}"
    for old, new in replaced_symbols(elements, dft.potcar_functional).items():
        yield f"POTCAR {new} instead of {old}, which the set {dft.potcar_functional} does not have"


def _format_tags(tags: Mapping[str, object]) -> str:
    return ", ".join(f"{tag} = {value}" for tag, value in tags.items())


def _format_unknown(spec: CampaignSpec, model: BundleInfo, candidates: Sequence[Candidate]) -> Iterator[str]:
    """Report how many candidates are unlike the bundle's training data, judging by composition."""
    if model.assessment is None:
        yield "note: the model does not state its training data, so candidates unlike them cannot be identified"
        return
    unknown: set[str] = set()
    other_numbers: set[int] = set()
    outside = 0
    for candidate in candidates:
        elements = candidate.chemsys.split("-")
        unseen = model.unknown_elements(elements)
        unknown.update(unseen)
        if not (known_number := model.knows_number_of_elements(len(elements))):
            other_numbers.add(len(elements))
        outside += bool(unseen) or not known_number
    if outside:
        why = [f"with {symbol}" for symbol in sorted(unknown)]
        why += [f"of {number} elements" for number in sorted(other_numbers)]
        yield (
            f"note: {outside} of {len(candidates)} candidates are unlike the model's training data "
            f"({', '.join(why)}), so their predictions cannot be trusted; policy.novel: {spec.policy.novel} "
            "determines what happens to them"
        )
    new = model.unknown_compositions(
        {symbol: float(amount) for symbol, amount in candidate.crystal.composition().items()}
        for candidate in candidates
    )
    if new is not None and new.any():
        yield (
            f"{np.count_nonzero(new)} of {len(candidates)} candidates have a composition that the model was not "
            "trained on, as is usual in screening; their predictions are less certain"
        )
    unsaid = [] if model.says_numbers_of_elements else ["numbers of elements"]
    unsaid += ["compositions"] if new is None else []
    if unsaid:
        yield (
            f"note: the model does not state which {' and '.join(unsaid)} it was trained on, so these are not compared"
        )


def _format_structure_notes(folder: Path, crystals: Sequence[tuple[Path, Crystal]]) -> Iterator[str]:
    """List the files of a folder that are not read, and those read with a note."""
    if unused := list_structure_folder(folder).unused:
        yield f"note: {folder}: not read: {_listed(unused)}"
    by_note: dict[str, list[str]] = {}
    for path, crystal in crystals:
        for note in crystal.notes:
            by_note.setdefault(note, []).append(crystal.name if "#" in crystal.name else path.name)
    for note, names in by_note.items():
        yield f"note: {folder}: {_listed(names)}: {note}"


def _listed(names: Sequence[str], *, most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _format_costs(spec: CampaignSpec, screened: int, relaxed: int) -> Iterator[str]:
    """Format the expected cost at the costs given in the file, and its limits."""
    budget, costs = spec.budget, _assumed_costs(spec)
    with_dos = screened if spec.scorer.needs_dos else 0
    first = (with_dos * costs.dos + relaxed * costs.relax) / 3600
    everything = first + screened * costs.relax / 3600
    dos = f"{costs.dos:g} CPU-s for an IS-DOS and " if with_dos else ""
    scoring = "" if spec.scorer.needs_dos else "; plus the scorer's own cost"
    if spec.prefilter is not None:
        scoring = "; less the IS-DOS that the prefilter saves, plus its own cost"
    about = "about" if spec.prefilter is None else "at most about"
    yield (
        f"expected cost: {about} {first:.4g} CPU-hours before the first promotion, {everything:.4g} if everything were "
        f"promoted (at {dos}{costs.relax:g} CPU-s for a relaxation, {costs.source}; replaced by what "
        f"finished calculations cost{scoring})"
    )
    limits = {name: value for name, value in budget.model_dump(mode="json").items() if not name.endswith("_cpu_s")}
    if given := [f"{name} {value}" for name, value in limits.items() if value is not None]:
        yield f"limits: {', '.join(given)}; candidates stopped by them are held"
    if budget.cpu_hours is not None and budget.cpu_hours < first:
        yield f"note: budget.cpu_hours ({budget.cpu_hours:g}) may be spent before any candidate is promoted"


class _Assumed(NamedTuple):
    """Costs of an IS-DOS and of a relaxation in CPU-s, and where they come from."""

    dos: float
    relax: float
    source: str


def _assumed_costs(spec: CampaignSpec) -> _Assumed:
    budget = spec.budget
    given = {"relax_cpu_s", "dos_cpu_s"} & budget.model_fields_set
    if len(given) == 2:
        return _Assumed(budget.dos_cpu_s, budget.relax_cpu_s, "as the section budget says")
    advice = "give what you expect in budget.relax_cpu_s and budget.dos_cpu_s"
    if given or spec.is_limited() or (spec.dft.engine, spec.dft.quality) != ("gpaw", "fast"):
        said = "the paper's averages with VASP, where the section budget says nothing; small cells cost far less"
        return _Assumed(budget.dos_cpu_s, budget.relax_cpu_s, f"{said}: {advice}")
    said = "measured by this project with GPAW on 88 alloys with 2 atoms; larger cells cost more"
    return _Assumed(GPAW_FAST_DOS_CPU_S, GPAW_FAST_RELAX_CPU_S, f"{said}: {advice}")


def _format_training_costs(spec: CampaignSpec, candidates: int, references: int) -> Iterator[str]:
    """Count the calculations of a training set, and their cost at the costs given in the file."""
    with_rs_dos = references if spec.trains_model else 0
    if with_rs_dos:
        yield "each reference phase gets an RS-DOS after its relaxation, too"
    relaxations = candidates + references
    n_dos = 2 * candidates + with_rs_dos
    costs = _assumed_costs(spec)
    hours = (n_dos * costs.dos + relaxations * costs.relax) / 3600
    yield (
        f"expected cost: about {hours:.4g} CPU-hours for {n_dos} DOS and "
        f"{format_count(relaxations, 'relaxation')} (at {costs.dos:g} and {costs.relax:g} CPU-s each, {costs.source})"
    )


def _format_entries(spec: CampaignSpec, candidates: Sequence[Candidate], elements: Sequence[str]) -> Iterator[str]:
    """List the references taken from a file, and those missing in it."""
    file = campaign_entries(spec, elements)
    assert file is not None, "the caller has looked"
    stated = "" if file.functional_stated else " (nothing else stated)"
    yield (
        f"{len(file.entries)} reference phases come from {file.path.name}: {file.engine}, {file.functional}{stated}, "
        f"corrections {file.corrections}; {format_count(file.left_out, 'entry', 'entries')} of other elements left out"
    )
    yield from (f"note: {note}" for note in entries_notes(file.dft, spec.dft))
    if file.corrections == "mp2020" and file.engine != "vasp":
        yield f"the corrections mp2020 were fitted to energies of VASP, not of {file.engine}"
    if (limit := file.max_elements) is not None:
        beyond = sum(len(candidate.crystal.composition()) > limit for candidate in candidates)
        if beyond:
            yield (
                f"{file.path.name} was fetched with at most {limit} elements per phase, but {beyond} candidates have "
                "more: their hull may lack phases, so they may look more stable than they are"
            )

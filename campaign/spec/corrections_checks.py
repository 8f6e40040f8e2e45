"""Check that a campaign's predictions and references contain the same energy corrections, or can be converted."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from campaign.scorers.base import REFERENCES, ScoredCampaign, Scorer
from campaign.scorers.combined import member_path
from campaign.scorers.ensemble import Ensemble
from campaign.scorers.esnet import corrections_of_model
from campaign.spec.reference_checks import Finding
from campaign.spec.sections.model import ModelSection
from esnet.bundle.files import BundleError
from esnet.bundle.info import BundleInfo
from esnet.bundle.record import SINGLE_POINT
from esnet.bundle.shipped import bundle_folder, shipped_bundles
from esnet.dataset.corrections import SCHEMES
from esnet.dataset.mp2020 import is_corrected, mp2020_untreated

_RIGHT = " or ".join(SCHEMES)


def corrections_problems(
    elements: Sequence[str],
    scorer: Scorer,
    model: ModelSection,
    *,
    references: str,
    campaign: ScoredCampaign | None = None,
) -> Iterator[Finding]:
    """Yield problems of the energy corrections that predictions will contain.

    Parameters
    ----------
    elements
        Elements of the candidates.
    scorer, model
        Sections of a campaign.
    references
        Corrections in the references' energies, ``none`` or ``mp2020``.
    campaign
        The campaign, if it has been started: its models are stored with it, and their folders are not needed any more.
    """
    members = scorer.members()
    if len(members) > 1:
        for place, member in enumerate(members):
            found = corrections_problems(elements, member, model, references=references, campaign=campaign)
            for path, message, file in found:
                yield member_path(path, place), message, file
        return
    if scorer.needs_model:
        if model.bundle is None:
            return  # trained on the campaign's own relaxations, relative to its references
        is_stored = campaign is not None and campaign.model_checksum is not None
        stated = scorer.energy_corrections(campaign) if is_stored else _stated(model.bundle)
        if None not in (stated, model.corrections) and stated != model.corrections:
            message = f"found {model.corrections}, but {model.bundle} says {stated}; right: {stated}, or null"
            yield ("model", "corrections"), message, None
            return
        given, field, what = stated or model.corrections, "model", f"the energies of {model.bundle}"
    else:
        given, field, what = scorer.energy_corrections(campaign), "scorer", f"the energies of {scorer.describe()}"
    if isinstance(scorer, Ensemble) and is_corrected(elements):
        yield from _problems_of_ensemble(elements, scorer, given, references)
        return
    if given in (references, REFERENCES) or not is_corrected(elements):
        return
    if given is None:
        # a scorer of another package states it in its method energy_corrections
        has_field = "corrections" in type(model if field == "model" else scorer).model_fields
        message = _unknown(what, elements)
        message += "" if has_field else ", returned by its method energy_corrections (docs/reference/scorers.md)"
        yield ((field, "corrections") if has_field else (field, "kind")), message, None
        return
    if (why := _not_convertible(elements, what, given, references)) is not None:
        yield ("candidates", "elements"), why, None


def _problems_of_ensemble(
    elements: Sequence[str], scorer: Ensemble, common: str | None, references: str
) -> Iterator[Finding]:
    """Yield problems of potentials whose energies are converted to what all have in ``common``, then as references."""
    for place, potential in enumerate(scorer.potentials):
        given, whose = potential.energy_corrections(), f"the energies of {potential.describe()}"
        if given is None:
            yield ("scorer", "potentials", place, "corrections"), _unknown(whose, elements), None
        elif not given == common == references and (message := _not_convertible(elements, whose, given, references)):
            yield ("candidates", "elements"), message, None


def _not_convertible(elements: Sequence[str], what: str, given: str, references: str) -> str | None:
    """Return why energies of compounds of these elements cannot be converted between schemes; None if they can."""
    if not (untreated := sorted(mp2020_untreated(elements))):
        return None
    return (
        f"{what} have the corrections {given} and the references {references}; compounds of {', '.join(untreated)} "
        "with O or F cannot be converted between them (Hubbard U); leave these elements out, or use references and "
        "predictions with the same corrections"
    )


def _unknown(what: str, elements: Sequence[str]) -> str:
    corrected = ", ".join(symbol for symbol in elements if is_corrected([symbol, "X"]))
    return (
        f"it is unknown whether {what} contain corrections of the Materials Project; energies of {corrected} would "
        f"differ by up to 0.7 eV for each such atom; right: {_RIGHT}"
    )


def _stated(bundle: Path) -> str | None:
    """Return the corrections that a bundle states; None if it states none or does not exist (reported elsewhere)."""
    if not (str(bundle) in shipped_bundles() or bundle.is_dir()):
        return None
    try:
        info = BundleInfo.read(bundle_folder(str(bundle)), residual=SINGLE_POINT)
        return corrections_of_model(info.record.data_source)
    except BundleError:
        return None

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
    if given in (references, REFERENCES) or not is_corrected(elements):
        return
    if given is None and isinstance(scorer, Ensemble):
        for place, potential in enumerate(scorer.potentials):
            if potential.energy_corrections() is None:
                whose = f"the energies of {potential.describe()}"
                yield (field, "potentials", place, "corrections"), _unknown(whose, elements), None
        return
    if given is None:
        # a scorer of another package states it in its method energy_corrections
        has_field = "corrections" in type(model if field == "model" else scorer).model_fields
        message = _unknown(what, elements)
        message += "" if has_field else ", returned by its method energy_corrections (docs/reference/scorers.md)"
        yield ((field, "corrections") if has_field else (field, "kind")), message, None
        return
    if untreated := sorted(mp2020_untreated(elements)):
        message = (
            f"{what} have the corrections {given} and the references {references}; compounds of "
            f"{', '.join(untreated)} with O or F cannot be converted between them (Hubbard U); leave these elements "
            "out, or use references and predictions with the same corrections"
        )
        yield ("candidates", "elements"), message, None


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

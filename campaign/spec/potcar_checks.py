"""Check that this machine has the POTCARs that a campaign needs."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from campaign.config.yaml_file import CampaignFileError, FieldPath, Problem, dotted
from campaign.spec.campaign_spec import CampaignSpec
from campaign.spec.given import candidate_elements
from workflows.potcars.library import library_folder, potcar_findings
from workflows.potcars.titles import potcar_symbol

_FIELD: FieldPath = ("dft", "potcar_functional")
_ELSEWHERE = "; if only the compute nodes have them: --engine-elsewhere, or for lpad add: spec._engine_elsewhere: true"


def potcar_elements(spec: CampaignSpec) -> list[str]:
    """Return the elements whose POTCARs a campaign needs, for candidates and references; empty unless VASP computes.

    Reference phases with elements that no candidate has are not used.
    """
    return sorted(candidate_elements(spec)) if spec.dft.engine == "vasp" else []


def potcar_problems(spec: CampaignSpec, elements: Sequence[str] | None = None) -> Iterator[tuple[FieldPath, str]]:
    """Yield the missing or wrong POTCARs on this machine, with the remedy; only for VASP campaigns.

    Parameters
    ----------
    elements
        Elements to check. If None, those of the candidates.
    """
    for finding in potcar_findings(potcar_elements(spec) if elements is None else elements, spec.dft.potcar_functional):
        if finding.remedy is not None:
            yield _FIELD, f"{finding.what}; right: {finding.remedy}{_ELSEWHERE}"


def potcar_notes(spec: CampaignSpec) -> Iterator[str]:
    """Yield notes on the POTCARs that will be used on this machine."""
    functional = spec.dft.potcar_functional
    symbols = ", ".join(_chosen(element, functional) for element in potcar_elements(spec))
    yield f"POTCARs: {symbols} of {functional}, from {library_folder(functional)}"
    for finding in potcar_findings(potcar_elements(spec), functional):
        yield f"note: {finding.what}"


def check_potcars_of(spec: CampaignSpec, elements: Sequence[str]) -> None:
    """Refuse elements of a VASP campaign whose POTCARs are not on this machine.

    Raises
    ------
    CampaignFileError
        Names each POTCAR and the remedy.
    """
    problems = [Problem(dotted(("spec", "campaign", *path)), text) for path, text in potcar_problems(spec, elements)]
    if problems:
        raise CampaignFileError(problems)


def check_potcars(spec: CampaignSpec, *, file: Path | None = None) -> None:
    """Refuse a VASP campaign whose POTCARs are not on this machine.

    Raises
    ------
    CampaignFileError
        Names each POTCAR and the remedy.
    """
    problems = [Problem(dotted(("spec", "campaign", *path)), message, file) for path, message in potcar_problems(spec)]
    if problems:
        raise CampaignFileError(problems)


def _chosen(element: str, functional: str) -> str:
    """Return the POTCAR symbol, with the Materials Project's choice if the set lacks that one."""
    symbol, usual = potcar_symbol(element, functional), potcar_symbol(element, "PBE")
    return symbol if symbol == usual else f"{symbol} (instead of {usual}, which {functional} does not have)"

"""Input files of one IS-DOS and one relaxation of a campaign, for inspection before computing."""

from collections.abc import Iterator
from pathlib import Path

from campaign.candidates.generate import generate
from campaign.spec.campaign_spec import CampaignSpec
from campaign.steps.start import divide_candidates
from esnet.files.errors import UserError
from workflows.engine import CalculationKind
from workflows.input_files import write_input_files

_KINDS: dict[str, CalculationKind] = {"IS-DOS": "dos", "relaxation": "relaxation"}


class InputFolderError(UserError, ValueError):
    """The folder cannot take the input files."""


def write_example_inputs(spec: CampaignSpec, folder: Path) -> Iterator[str]:
    """Write the input files of a campaign's first candidate, one folder per kind of calculation.

    Yields
    ------
    str
        Description of the written files, one line per kind.

    Raises
    ------
    InputFolderError
        If the path is not a folder, or holds anything but the output of an earlier call.
    """
    try:
        # the output of an earlier call is overwritten
        if folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - _KINDS.keys()):
            what = "is not empty" if folder.is_dir() else "is a file"
            raise InputFolderError(f"--write-inputs {folder}: {what}; right: a new or an empty folder")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputFolderError(f"--write-inputs {folder}: {error.strerror}; right: a new or an empty folder") from None
    if spec.dft.engine == "vasp":
        yield "no POTCAR is written: POTCAR.spec has the symbols, and `campaign check` looks for the files"
    candidate = next(generate(spec)) if spec.candidates.has_prototypes else divide_candidates(spec)[0][0]
    for name, kind in _KINDS.items():
        files = write_input_files(candidate.structure, spec.dft_settings(), kind, folder / name)
        formula = candidate.structure.composition.reduced_formula
        unused = kind == "dos" and spec.purpose == "screening" and not spec.scorer.needs_dos
        yield (
            f"wrote {folder / name}: {', '.join(files)} of {formula} ({candidate.prototype})"
            + ("; this campaign runs no IS-DOS, since its scorer needs none" if unused else "")
        )

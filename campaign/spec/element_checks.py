"""Check that each element can be calculated: that it has a PAW data set and a reference crystal."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from campaign.candidates.elements import elements_without_reference
from campaign.candidates.structure_files import Crystal, list_structure_folder, read_structure_file
from campaign.candidates.structure_text import StructureFileError
from campaign.config.yaml_file import FieldPath
from campaign.spec.reference_checks import Finding
from campaign.spec.sections.references import ReferenceSection
from workflows.gpaw_vasp.potcars import available_elements


def folder_problems(path: FieldPath, folder: Path) -> tuple[list[Finding], list[tuple[Path, Crystal]]]:
    """Return the problems of a folder of structures, and the crystals of its valid files."""
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


def reference_folder(references: ReferenceSection) -> tuple[list[Finding], set[str]]:
    """Return the problems of the folder of references, and the elements of which it holds a crystal."""
    if references.structures is None:
        return [], set()
    findings, crystals = folder_problems(("references", "structures"), references.structures)
    elements = [crystal.structure.elements for _, crystal in crystals]
    given = {found[0].symbol for found in elements if len(found) == 1}
    return findings, given


def paw_problems(elements: Sequence[str]) -> Iterator[Finding]:
    """Yield a problem for each element without a GPAW PAW data set on this machine."""
    available = available_elements()
    if not available:
        return  # GPAW is not installed on this machine; `check_engine` reports it if that matters
    for symbol in elements:
        if symbol not in available:
            message = (
                f"found {symbol!r}: GPAW has no PBE PAW data set for it; leave it out, add the data set's folder to "
                "GPAW_SETUP_PATH, or use engine: vasp"
            )
            yield ("candidates", "elements", symbol), message, None


def missing_references(elements: Sequence[str], given: set[str]) -> Iterator[Finding]:
    """Yield a problem for each element with neither a built-in crystal nor one from the user."""
    for symbol in elements_without_reference(elements):
        if symbol not in given:
            message = (
                f"found {symbol!r}: there is no built-in crystal for its elemental reference; put a CIF or POSCAR "
                f"file of {symbol} into a folder and name the folder in references.structures, or leave it out"
            )
            yield ("candidates", "elements", symbol), message, None

"""Unrelaxed crystals of the reference set: one for each element, and those added by the user."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pymatgen.core import Structure

from campaign.candidates.elements import reference_structure
from campaign.candidates.structure_files import read_structure_folder
from campaign.spec.campaign_spec import CampaignSpec


def reference_phases(spec: CampaignSpec, elements: Sequence[str]) -> Iterator[tuple[str, Structure]]:
    """Yield label and starting structure of every reference phase that the campaign computes.

    The user's phases come first: an element among them needs no built-in crystal. If ``references.entries`` names a
    file of entries, only the user's phases are computed.

    Parameters
    ----------
    spec
        The campaign; ``references.structures`` may name a folder of CIF or POSCAR files.
    elements
        Elements of the candidates.
    """
    given: set[str] = set()
    if spec.references.structures is not None:
        for label, structure in read_structure_folder(Path(spec.references.structures)):
            symbols = {element.symbol for element in structure.composition.elements}
            if symbols <= set(elements):
                given |= symbols if len(symbols) == 1 else set()
                yield label, structure
    if spec.references.entries is not None:
        return
    for symbol in elements:
        if symbol in given:
            continue
        crystal = reference_structure(symbol, built_in=spec.built_in)
        if symbol in spec.dft.magmom and "magmom" in crystal.site_properties:
            crystal.remove_site_property("magmom")  # it would take precedence over the user's
        yield symbol, crystal

"""Check that energies with and without a Hubbard U are only mixed where the Materials Project's corrections
allow it.
"""

from collections.abc import Iterator, Sequence

from campaign.spec.reference_checks import Finding
from campaign.spec.sections.dft import DftSection
from esnet.dataset.mp2020 import is_corrected, mp2020_untreated
from workflows.potcars.titles import replaced_symbols


def hubbard_problems(elements: Sequence[str], dft: DftSection, *, references: str) -> Iterator[Finding]:
    """Yield mixtures of elements, Hubbard U and corrections that pymatgen would not correct.

    Parameters
    ----------
    elements
        Elements of the candidates; every prototype is filled with every combination of them.
    references
        Corrections in the references' energies, ``none`` or ``mp2020``.
    """
    metals = sorted(mp2020_untreated(elements))
    anions = " and ".join(symbol for symbol in elements if symbol in ("O", "F"))
    if references == "mp2020" and dft.hubbard_u == "none":
        for symbol in metals:
            message = (
                f"found {symbol!r} together with {anions}: the references include the corrections mp2020, which "
                f"require a Hubbard U for compounds of {symbol!r} with {anions}, but this campaign computes without; "
                "right: "
                f"dft.hubbard_u: mp (engine: vasp), or leave {symbol} or {anions} out, or references without "
                "corrections"
            )
            yield ("candidates", "elements", symbol), message, None
    if references == "none" and dft.hubbard_u == "mp" and metals:
        message = (
            f"found mp: compounds of {', '.join(metals)} with {anions} are computed with a Hubbard U and the elements "
            "without, and only the corrections mp2020 make such energies comparable; right: references.corrections: "
            "mp2020, or entries with mp2020, or hubbard_u: none"
        )
        yield ("dft", "hubbard_u"), message, None
    replaced = replaced_symbols(elements, dft.potcar_functional)
    if references == "mp2020" and replaced and is_corrected(elements):
        other = ", ".join(f"{new} instead of {old}" for old, new in replaced.items())
        message = (
            f"found {dft.potcar_functional}, which uses {other}: mp2020 was fitted with the Materials Project's "
            "POTCARs, and pymatgen corrects only these; right: PBE or PBE_52, or leave that element out"
        )
        yield ("dft", "potcar_functional"), message, None

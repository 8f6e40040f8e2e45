"""INCAR tags that a user may set: safe ones, those that change the results, and refused ones with the reason.

One list for the campaign file (``dft.incar``), for retries (``campaign retry --set``), and for tags from atomate2's own
settings (`workflows.inputs.outside_settings`).
"""

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymatgen.io.vasp import Incar

from workflows.gpaw_vasp.errors import InputRefused
from workflows.gpaw_vasp.incar import IGNORED, check_tags, parse_incar


class IncarTagError(ValueError):
    """A tag or its value cannot be set; the message does not name its field or option."""


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


PARALLEL = _names("KPAR LPLANE LSCALAPACK LSCALU MAXMEM NBLK NCORE NPAR NSIM")
"""Distribution of work over a machine; the only tags accepted from a machine's own atomate2 settings."""

_ALGORITHM = _names(
    "ALGO AMIN AMIX AMIX_MAG BMIX BMIX_MAG IALGO INIMIX INIWAV IBRION IMIX LDIAG LMAXMIX LSUBROT MAXMIX MIXPRE NELM "
    "NELMDL NELMIN NFREE POTIM SYMPREC TIME WC"
)
FILES = _names("LAECHG LCHARG LCHARGH5 LELF LH5 LVHAR LVTOT LWAVE LWAVEH5")
"""Files written in addition to those that are read."""

SAFE = PARALLEL | _ALGORITHM | FILES
"""Tags that affect how the result is computed or which files are kept, but not the result."""

NUMBERS = {
    "ADDGRID": "the grid on which the augmentation charges are added",
    "EFERMI": "where the Fermi level lies in the gap of an insulator",
    "GGA_COMPAT": "the symmetry of the gradient corrections",
    "ISMEAR": "the smearing of the relaxations; the DOS keeps its own",
    "ISYM": "whether symmetry is kept: relaxations may end in other crystals",
    "LASPH": "non-spherical contributions of the gradient corrections",
    "LMAXPAW": "the highest angular momentum of the one-centre terms",
    "LREAL": "projection in real space, which is an approximation",
    "PREC": "the grids, and with them the energies",
    "SIGMA": "the smearing of the relaxations; the DOS keeps its own",
}
"""Tags that change the results, with their effect; part of the settings' hash, and common to the whole campaign."""

RELAXATION_ONLY = _names("IBRION ISMEAR NFREE NSW POTIM SIGMA")
"""Tags that only affect relaxations; the DOS keeps fixed ions and its smearing."""

#: VASP: "ALGO=A and IALGO=5X tend to fail" with the tetrahedra of a DOS.
_NOT_WITH_TETRAHEDRA = {"ALGO": frozenset({"All", "Conjugate", "Damped"}), "IALGO": frozenset({53, 54, 58})}

_RETRY_ONLY = _names("ICHARG ISTART ISYM MAGMOM NBANDS")
"""Further tags, besides `SAFE` ones and those of relaxations, that may help a calculation to converge."""

_ENERGIES = "energies with and without it do not compare, and all of a campaign meet in one hull"
_DOS = "it changes the DOS that the model sees, and every candidate's must be made alike"
_FUNCTIONAL = "the campaign's functional is PBE: its references and its model are of PBE"
_OF_ONE_CRYSTAL = "its value belongs to one crystal, and this would set it for all; right: campaign retry --set for one"
_RETRY_REASONS = {
    **dict.fromkeys(("EFERMI", "GGA_COMPAT", "LMAXPAW", "PREC", "LASPH", "ADDGRID", "LREAL"), _ENERGIES),
    **dict.fromkeys(("KSPACING", "KGAMMA", "EDIFF", "ENCUT", "ENAUG", "ISPIN", "NELECT", "NUPDOWN"), _ENERGIES),
    **dict.fromkeys(("NEDOS", "EMIN", "EMAX", "LORBIT"), _DOS),
    **dict.fromkeys(("EDIFFG", "ISIF"), "all relaxations of a campaign end at the same criterion"),
}

#: Refused from any source, whatever their value.
_REFUSED = {
    **dict.fromkeys(("GGA", "METAGGA", "XC", "LHFCALC", "AEXX", "AGGAX", "AGGAC", "ALDAC", "HFSCREEN"), _FUNCTIONAL),
    **dict.fromkeys(("IVDW", "LVDW", "LUSE_VDW", "LMODELHF", "VOSKOWN", "ZAB_VDW", "LVDW_EWALD"), _FUNCTIONAL),
    **dict.fromkeys(
        ("LSORBIT", "LNONCOLLINEAR", "SAXIS", "LSPIRAL", "QSPIRAL"),
        "the DOS of the model has two collinear spins; spin-orbit coupling gives four components",
    ),
    **dict.fromkeys(
        ("NELECT", "NUPDOWN", "FERWE", "FERDO", "I_CONSTRAINED_M", "M_CONSTR"),
        f"it fixes charge or moment: {_ENERGIES}",
    ),
    "PSTRESS": "under pressure the relaxed quantity is the enthalpy, which no hull here is made of",
    **dict.fromkeys(
        ("ENMAX", "NGX", "NGY", "NGZ", "NGXF", "NGYF", "NGZF", "ROPT", "RWIGS", "POMASS", "ZVAL", "DIPOL"),
        _OF_ONE_CRYSTAL.partition("; right")[0],
    ),
}

#: Refused in the campaign file, which has a field for them.
_HAS_A_FIELD = {
    "ENCUT": "dft.encut",
    "EDIFF": "dft.ediff",
    "EDIFFG": "dft.force_tolerance, in eV/A and positive",
    "NSW": "dft.max_ionic_steps",
    "NEDOS": "dft.nedos",
    "EMIN": "dft.emin",
    "EMAX": "dft.emax",
    "KSPACING": "dft.kpoint_length; the meshes are written as KPOINTS",
    "KGAMMA": "dft.kpoint_length; the meshes are written as KPOINTS",
    "MAGMOM": "dft.magmom, by element, e.g. {Fe: 5.0}",
    "ISPIN": "nothing: every calculation has two spins, as the model's DOS has",
    "LORBIT": "nothing: the model needs the DOS of LORBIT = 11",
    "ISIF": "nothing: an IS-DOS keeps its cell, and a relaxation frees it (ISIF = 3)",
    "ENAUG": "nothing: VASP takes it from the POTCARs",
}

#: Other values would make it another kind of calculation, or none.
_VALUES: dict[str, frozenset[Any]] = {
    "ALGO": frozenset({"Normal", "Veryfast", "Fast", "Conjugate", "All", "Damped", "Exact"}),
    "IALGO": frozenset({8, 38, 44, 46, 48, 53, 54, 58, 68}),
    "IBRION": frozenset({1, 2, 3}),
    "ISMEAR": frozenset({-1, 0, 1, 2}),
    "ISYM": frozenset({-1, 0, 1, 2, 3}),
    "ICHARG": frozenset({0, 1, 2}),
    "ISTART": frozenset({0, 1, 2}),
    "PREC": frozenset({"Normal", "Accurate", "Single", "Medium", "High"}),
    "LREAL": frozenset({False, "Auto", "On", True}),
    "IMIX": frozenset({0, 1, 2, 4}),
    "INIMIX": frozenset({0, 1}),
    "MIXPRE": frozenset({0, 1, 2, 3}),
    "NFREE": frozenset(range(1, 51)),
    "LMAXMIX": frozenset(range(9)),
}
#: VASP reads the beginnings of these words; one spelling each, so that equal settings have equal hashes.
_WORDS = _names("ALGO PREC LREAL")
_POSITIVE = _names("KPAR MAXMEM NBANDS NBLK NCORE NELMIN NPAR NSIM NSW")
#: Range in which calculations of crystals end correctly: mixing parameters are fractions or wave numbers (1/A), POTIM
#: scales the steps of relaxations, SIGMA is in eV, SYMPREC in A, TIME a step of ALGO: All.
_RANGES = {
    **dict.fromkeys(("AMIX", "AMIX_MAG"), (1e-4, 4.0)),
    **dict.fromkeys(("BMIX", "BMIX_MAG"), (1e-6, 10.0)),
    "AMIN": (1e-4, 1.0),
    "NELM": (20, 10_000),
    "POTIM": (1e-3, 2.0),
    "SIGMA": (1e-3, 0.5),
    "SYMPREC": (1e-9, 1e-2),
    "TIME": (1e-3, 2.0),
    "WC": (1e-3, 1e4),
}
#: VASP 6's tags, missing from pymatgen's table.
_TYPES = {"LH5": "bool", "LWAVEH5": "bool", "LCHARGH5": "bool", "EFERMI": "float"}


@dataclass(frozen=True, kw_only=True)
class Door:
    """Source of tags.

    Attributes
    ----------
    retry
        Whether they are for a retry of some calculations; if False, from the campaign file for all.
    dos
        Titles of the DOS calculations that a tag would affect.
    gpaw
        Whether vasp-gpaw reads them.
    """

    retry: bool
    dos: tuple[str, ...] = ()
    gpaw: bool = False


def changes_numbers(tags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tags that belong in the settings' hash, by name."""
    return {tag: tags[tag] for tag in sorted(tags) if tag in NUMBERS}


def reaches_dos(tag: str, value: Any) -> bool:
    """Whether a tag of the campaign file applies to DOS calculations too."""
    return tag not in RELAXATION_ONLY and value not in _NOT_WITH_TETRAHEDRA.get(tag, ())


def check_tag(tag: str, value: Any, door: Door) -> Any:
    """Check one tag and its value.

    Parameters
    ----------
    tag
        Name in capitals.
    value
        A YAML value, or text as in an INCAR.
    door
        Source of the tag.

    Returns
    -------
    Any
        The value as in pymatgen's Incar.

    Raises
    ------
    IncarTagError
        If it cannot be set; says why, and what would be right.
    """
    _check_name(tag, door)
    text = str(value).strip()
    if tag == "MAGMOM":
        return _moments(text)
    found = _spelled_out(tag, _number_or_word(tag, text))
    if door.gpaw:
        _check_gpaw(tag, found)
    if tag in _VALUES and found not in _VALUES[tag]:
        right = ", ".join(sorted(map(str, _VALUES[tag])))
        raise IncarTagError(f"found {text!r}, which asks for another kind of calculation, or for none; right: {right}")
    if tag in _POSITIVE and not found > 0:
        raise IncarTagError(f"found {text!r}; right: a number above 0")
    least, most = _RANGES.get(tag, (-math.inf, math.inf))
    if tag in _RANGES and not least <= found <= most:
        raise IncarTagError(f"found {text!r}; right: a number from {least:g} to {most:g}")
    if door.retry and door.dos and not reaches_dos(tag, found):
        raise IncarTagError(
            f"found {text!r}, which fails with the tetrahedra of {' and '.join(door.dos)}; right: Normal or Fast "
            "(IALGO 38 or 68). For relaxations only: --stage relax"
        )
    return found


def _spelled_out(tag: str, value: Any) -> Any:
    if tag not in _WORDS or not isinstance(value, str) or not value:
        return value
    words = (word for word in _VALUES[tag] if isinstance(word, str))
    return next((word for word in words if word.lower().startswith(value.lower())), value)


def check_tags_together(tags: Mapping[str, Any]) -> None:
    """Refuse tags with the same meaning.

    Raises
    ------
    IncarTagError
        Names both.
    """
    for one, other in (("NCORE", "NPAR"), ("ALGO", "IALGO")):
        if one in tags and other in tags:
            raise IncarTagError(f"has both {one} and {other}, which mean the same to VASP; right: one of them")


def _check_name(tag: str, door: Door) -> None:
    if tag.startswith("LDAU"):
        right = _ENERGIES if door.retry else "right: dft.hubbard_u: mp, the Materials Project's values"
        raise IncarTagError(f"refused: {right}")
    allowed = SAFE | (_RETRY_ONLY | RELAXATION_ONLY if door.retry else NUMBERS.keys())
    if tag in allowed:
        if door.retry and tag in RELAXATION_ONLY - SAFE and door.dos:
            raise IncarTagError(f"refused for {' and '.join(door.dos)}: {_DOS}. For relaxations only: --stage relax")
        return
    if door.retry and tag in _RETRY_REASONS:
        raise IncarTagError(f"refused: {_RETRY_REASONS[tag]}")
    if not door.retry and tag in _HAS_A_FIELD:
        raise IncarTagError(f"refused: right: {_HAS_A_FIELD[tag]}")
    if tag in _REFUSED:
        raise IncarTagError(f"refused: {_REFUSED[tag]}")
    if tag in _RETRY_ONLY:
        raise IncarTagError(f"refused: {_OF_ONE_CRYSTAL}")
    if tag not in Incar.INCAR_PARAMS:
        near = difflib.get_close_matches(tag, sorted(allowed), n=1)
        raise IncarTagError(f"is not an INCAR tag{f'; do you mean {near[0]}?' if near else ''}")
    extra = (
        f"for relaxations also {', '.join(sorted(RELAXATION_ONLY - SAFE))}"
        if door.retry
        else f"those that change numbers: {', '.join(sorted(NUMBERS))}"
    )
    raise IncarTagError(
        f"refused: it is not among the tags that affect only how the result is reached: {', '.join(sorted(SAFE))}; "
        f"{extra}"
    )


def _number_or_word(tag: str, text: str) -> Any:
    if tag == "EFERMI" and text.upper() in ("MIDGAP", "LEGACY"):
        return text.upper()
    kind = _TYPES.get(tag) or Incar.INCAR_PARAMS.get(tag, {}).get("type", "str")
    found = Incar.proc_val(tag, text)
    if kind == "bool" and not isinstance(found, bool):
        found = {"true": True, ".true.": True, "false": False, ".false.": False}.get(text.lower(), found)
        if not isinstance(found, bool):
            raise IncarTagError(f"found {text!r}; right: true or false")
    if kind in ("int", "float"):
        try:
            # pymatgen accepts leading digits of anything
            number = float(re.sub(r"[dD](?=[+-]?\d+$)", "e", text))
        except ValueError:
            raise IncarTagError(f"found {text!r}; right: a number") from None
        if not math.isfinite(number):
            raise IncarTagError(f"found {text!r}; right: a number")
        if kind == "int" and number != int(number):
            raise IncarTagError(f"found {text!r}; right: a whole number")
        return int(number) if kind == "int" else number
    return found


def _moments(text: str) -> dict[str, float]:
    """Parse ``Fe:5,O:0.6``: by element, since the order of atoms is only known once POSCAR is written."""
    try:
        pairs = [part.split(":") for part in text.replace(";", ",").split(",")]
        return {symbol.strip(): float(moment) for symbol, moment in pairs}
    except ValueError:
        raise IncarTagError(f"found {text!r}; right: moments by element, e.g. INCAR.MAGMOM=Fe:5,O:0.6") from None


def _check_gpaw(tag: str, value: Any) -> None:
    if tag in NUMBERS and tag in IGNORED:
        raise IncarTagError(f"changes {NUMBERS[tag]}, and vasp-gpaw ignores it; leave it out, or use engine: vasp")
    try:
        check_tags(parse_incar(f"{tag} = {value}"))
    except InputRefused as refusal:
        raise IncarTagError(f"vasp-gpaw refuses it: {refusal}") from refusal

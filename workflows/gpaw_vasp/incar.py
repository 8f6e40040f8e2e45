"""Read INCAR, and decide for each tag whether it is honoured, ignored or refused."""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from workflows.gpaw_vasp.errors import InputRefused

Scalar = bool | int | float | str
Value = Scalar | list[Scalar]
Tags = dict[str, Value]


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


HONOURED = _names(
    """
    ALGO AMIX EDIFF EDIFFG EFERMI EMAX EMIN ENCUT GGA IBRION ISIF ISMEAR ISPIN ISYM KGAMMA KSPACING LORBIT MAGMOM
    NBANDS NEDOS NELECT NELM NELMIN NSW SIGMA SYSTEM
    """
)
"""Tags with the same effect here as in VASP."""

IGNORED = _names(
    """
    ADDGRID AMIN AMIX_MAG APACO BMIX BMIX_MAG EAUG ENAUG ENINI GGA_COMPAT IALGO ICHARG IDIPOL IMIX INIMIX INIWAV
    IOPT ISEARCH ISTART IWAVPR KBLOCK KPAR LAECHG LASPH LASYNC LCHARG LCHARGH5 LDAUJ LDAUL LDAUPRINT LDAUTYPE
    LDAUU LDIAG LELF LH5 LMAXMIX LMAXPAW LMAXTAU LMIXTAU LORBMOM LPARD LPLANE LREAL LSCALAPACK LSCALU LUSENCCL
    LVHAR LVTOT LWANNIER90 LWAVE LWAVEH5 MAXMIX MIXPRE NBLOCK NCORE NELMDL NFREE NGX NGXF NGY NGYF NGZ NGZF
    NMAXFOCKAE NPACO NPAR NSIM NWRITE POTIM PREC ROPT RWIGS SMASS SYMPREC TIME VOSKOWN WC
    """
)
"""Tags for algorithms, parallelism or extra files, which change no result here.

POTIM, SMASS and IOPT belong to VASP's minimisers (all relaxations are BFGS here); SYMPREC, LREAL, PREC,
ADDGRID and NGX... to its numerics; LDAUU, LDAUJ, LDAUL, LDAUTYPE count only with LDAU = .TRUE., which is
refused. Non-spherical gradient corrections (LASPH) are always included by GPAW.
"""


@dataclass(frozen=True)
class Refusal:
    """A tag that changes the physics in a way that this program cannot honour.

    Attributes
    ----------
    harmless
        Whether a value has no effect (the tag is then accepted).
    reason
        What is not available, and the alternative.
    """

    harmless: Callable[[Value], bool]
    reason: str


def _off(value: Value) -> bool:
    return value is False or (isinstance(value, str) and value.strip().lower() in {"none", "--", ""})


def _zero(value: Value) -> bool:
    values = value if isinstance(value, list) else [value]
    return all(item is False or item in (0, 0.0) for item in values)


def _numbers_up_to(limit: float) -> Callable[[Value], bool]:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and value <= limit


_NO_HYBRID = "hybrid functionals are not available; leave it out"
_NO_VDW = "van der Waals functionals are not available; leave it out"
_NO_SOC = "spins are collinear here and there is no spin-orbit coupling; leave it out"
_NO_MD = "molecular dynamics is not available; use NSW = 0 or a relaxation with IBRION = 2"
_NO_RESPONSE = "response properties are not available; leave it out"
_NO_FIELD = "external fields and solvents are not available; leave it out"

REFUSED: dict[str, Refusal] = {
    "LDAU": Refusal(_off, "the +U correction is not available; set LDAU = .FALSE."),
    "METAGGA": Refusal(_off, "meta-GGA functionals are not available; use GGA = PE without METAGGA"),
    "LHFCALC": Refusal(_off, _NO_HYBRID),
    "AEXX": Refusal(_zero, _NO_HYBRID),
    "AGGAX": Refusal(lambda value: value == 1, _NO_HYBRID),
    "AGGAC": Refusal(lambda value: value == 1, "the correlation of PBE cannot be scaled; leave it out"),
    "ALDAC": Refusal(lambda value: value == 1, "the correlation of PBE cannot be scaled; leave it out"),
    "HFSCREEN": Refusal(_zero, _NO_HYBRID),
    "LMODELHF": Refusal(_off, _NO_HYBRID),
    "XC": Refusal(_off, "functionals named by XC are not available; use GGA = PE"),
    "LSORBIT": Refusal(_off, _NO_SOC),
    "LNONCOLLINEAR": Refusal(_off, _NO_SOC),
    "LSPIRAL": Refusal(_off, _NO_SOC),
    "I_CONSTRAINED_M": Refusal(_zero, "constrained moments are not available; leave it out"),
    "NUPDOWN": Refusal(_numbers_up_to(-0.5), "the moment cannot be fixed; leave it out"),
    "FERWE": Refusal(_off, "occupations cannot be fixed; leave it out"),
    "FERDO": Refusal(_off, "occupations cannot be fixed; leave it out"),
    "IVDW": Refusal(_zero, _NO_VDW),
    "LVDW": Refusal(_off, _NO_VDW),
    "LUSE_VDW": Refusal(_off, _NO_VDW),
    "PSTRESS": Refusal(_zero, "relaxation under pressure is not available; leave it out"),
    "EFIELD": Refusal(_zero, _NO_FIELD),
    "EFIELD_PEAD": Refusal(_zero, _NO_FIELD),
    "LDIPOL": Refusal(_off, "dipole corrections are not available; leave it out"),
    "LMONO": Refusal(_off, "monopole corrections are not available; leave it out"),
    "LSOL": Refusal(_off, _NO_FIELD),
    "LEPSILON": Refusal(_off, _NO_RESPONSE),
    "LCALCEPS": Refusal(_off, _NO_RESPONSE),
    "LCALCPOL": Refusal(_off, _NO_RESPONSE),
    "LOPTICS": Refusal(_off, _NO_RESPONSE),
    "LPEAD": Refusal(_off, _NO_RESPONSE),
    "LCHIMAG": Refusal(_off, _NO_RESPONSE),
    "LEFG": Refusal(_off, _NO_RESPONSE),
    "MDALGO": Refusal(_zero, _NO_MD),
    "ML_LMLFF": Refusal(_off, "machine-learned force fields are not available; leave it out"),
    "IMAGES": Refusal(_zero, "nudged elastic bands are not available; leave it out"),
    "LKPOINTS_OPT": Refusal(_off, "KPOINTS_OPT is not read; leave it out"),
}
"""Tags refused by name unless their value has no effect."""


def parse_incar(text: str) -> Tags:
    r"""Read the text of an INCAR file.

    Parameters
    ----------
    text
        Lines ``TAG = value``, several of them on a line if separated by ``;``; comments after ``#`` or
        ``!``; ``\`` at the end continues a line; ``3*0.6`` means three values.

    Returns
    -------
    dict
        Upper-case tags. A value is a bool, int, float or str, or a list of them where there are several;
        MAGMOM is always a list.

    Raises
    ------
    InputRefused
        A line is not of that form.
    """
    tags: Tags = {}
    text = re.sub(r"\\[ \t]*\n", " ", text)
    for line in text.replace(";", "\n").splitlines():
        line = re.split(r"[#!]", line)[0].strip()
        if "=" not in line:
            # VASP reads such a line as a title, but a lone word is more often a typing error.
            if re.fullmatch(r"[A-Z][A-Z0-9_]+ +\S+", line):
                raise InputRefused(f"INCAR: line {line!r} has no '='; write TAG = value")
            continue
        name, _, right = line.partition("=")
        name = name.strip().upper()
        tags[name] = right.strip() if name == "SYSTEM" else _values(name, right)
    return tags


def _values(name: str, right: str) -> Value:
    values: list[Scalar] = []
    for word in right.split():
        repeated = re.fullmatch(r"(\d+)\*(\S+)", word)
        values += [_scalar(repeated[2])] * int(repeated[1]) if repeated else [_scalar(word)]
    if not values:
        raise InputRefused(f"INCAR: {name} has no value; write {name} = value, or leave it out")
    return values if len(values) > 1 or name == "MAGMOM" else values[0]


def _scalar(word: str) -> Scalar:
    if re.fullmatch(r"\.?T(RUE)?\.?", word, re.IGNORECASE):
        return True
    if re.fullmatch(r"\.?F(ALSE)?\.?", word, re.IGNORECASE):
        return False
    if re.fullmatch(r"[+-]?\d+", word):
        return int(word)
    try:
        return float(re.sub(r"[dD](?=[+-]?\d+$)", "e", word))
    except ValueError:
        return word


def check_tags(tags: Mapping[str, Value]) -> list[str]:
    """Refuse tags that cannot be honoured; return the ignored ones, sorted.

    Raises
    ------
    InputRefused
        If a tag requests physics that is not available, or is unknown to this program.
    """
    known = HONOURED | IGNORED | REFUSED.keys()
    for name, value in tags.items():
        if name in REFUSED and not REFUSED[name].harmless(value):
            raise InputRefused(f"INCAR: {name} = {_text(value)} is refused: {REFUSED[name].reason}")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; the nearest known tag is {near[0]}" if near else ""
            raise InputRefused(f"INCAR: the tag {name} is not known to vasp-gpaw{hint}; leave it out")
    if _is_number(tags.get("ICHARG")) and int(tags["ICHARG"]) >= 10:  # type: ignore[arg-type]
        raise InputRefused(
            f"INCAR: ICHARG = {_text(tags['ICHARG'])} is refused: there is no CHGCAR to start from; use ICHARG = 2"
        )
    return sorted(name for name in tags if name in IGNORED)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Value) -> str:
    if isinstance(value, list):
        return " ".join(_text(item) for item in value)
    if isinstance(value, bool):
        return ".TRUE." if value else ".FALSE."
    return str(value)


def number(tags: Mapping[str, Value], name: str, default: float) -> float:
    """Return a tag as a float.

    Raises
    ------
    InputRefused
        The value is not one number.
    """
    value = tags.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputRefused(f"INCAR: {name} = {_text(value)} is not a number; write {name} = {default}")
    return float(value)


def integer(tags: Mapping[str, Value], name: str, default: int) -> int:
    """Return a tag as an int.

    Raises
    ------
    InputRefused
        The value is not one whole number.
    """
    value = number(tags, name, default)
    if value != int(value):
        raise InputRefused(f"INCAR: {name} = {value} is not a whole number; write {name} = {default}")
    return int(value)


def logical(tags: Mapping[str, Value], name: str, *, default: bool) -> bool:
    """Return a tag as a bool.

    Raises
    ------
    InputRefused
        The value is neither .TRUE. nor .FALSE.
    """
    value = tags.get(name, default)
    if not isinstance(value, bool):
        raise InputRefused(f"INCAR: {name} = {_text(value)} is neither .TRUE. nor .FALSE.")
    return value

"""Settings that VASP runs must share for their energies to be comparable."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esnet.sources.vasp_dos import VaspRun
from esnet.sources.vasp_kinds import is_true, number, whole

# the value in a vasprun.xml for "no meta-GGA"
_NO_METAGGA = ("", "--", "NONE", "F", "FALSE")
_FUNCTIONALS = {"PAW_PBE": "PE", "PAW_GGA": "91", "PAW": "CA"}
NUMERICAL = frozenset({"ENCUT", "PREC", "LREAL", "LASPH"})
"""Settings in which a DOS and its target energy may differ: they change an energy slightly, a DOS hardly at all."""

MAGNETIC = frozenset(
    "V Cr Mn Fe Co Ni Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb U Np Pu Am Cm".split()  # noqa: SIM905 (one line)
)
"""Elements whose crystals or compounds are commonly magnetic, so that their energy depends on ISPIN."""
_SMALLEST_CHARGE = 1e-3


def settings_of(run: VaspRun) -> dict[str, Any]:
    """Return the settings of a run that apply to all atoms.

    As in pymatgen, ``GGA = --`` means the functional of the POTCARs, which is PBE for the PBE set.
    """
    tags = run.tags
    gga, metagga = (str(tags.get(name, "--")).strip().upper() for name in ("GGA", "METAGGA"))
    metagga = "none" if metagga in _NO_METAGGA else metagga
    sets = {titel.split()[0] for titel in run.potcars if titel}
    if gga in ("", "--") and len(sets) == 1:
        gga = _FUNCTIONALS.get(sets.pop(), gga)
    hybrid = is_true(tags.get("LHFCALC"))
    cutoff = run.parameters.get("ENMAX", tags.get("ENCUT"))
    return {
        "METAGGA": metagga,
        "GGA": gga,
        "LHFCALC": (hybrid, *(number(tags.get(name), 0.0) for name in ("AEXX", "HFSCREEN"))) if hybrid else hybrid,
        "LUSE_VDW": is_true(tags.get("LUSE_VDW")),
        "IVDW": whole(tags.get("IVDW"), 0),
        "LSORBIT": is_true(tags.get("LSORBIT")),
        "LNONCOLLINEAR": is_true(tags.get("LSORBIT")) or is_true(tags.get("LNONCOLLINEAR")),
        "ENCUT": None if cutoff is None else round(number(cutoff, 0.0), 3),
        "PREC": str(tags.get("PREC", "Normal")).strip()[:1].upper(),
        "LREAL": str(tags.get("LREAL", False)).strip(" .")[:1].upper(),
        "LASPH": is_true(tags.get("LASPH")),
    }


def settings_of_elements(run: VaspRun) -> dict[str, Any]:
    """Return the element-specific settings of a run: POTCAR, Hubbard U, and ISPIN of magnetic elements."""
    settings: dict[str, Any] = {}
    types = run.types if len(run.types) == len(run.potcars) else ()
    for element in types:
        titles = {title for kind, title in zip(types, run.potcars, strict=True) if kind == element}
        settings[f"POTCAR of {element}"] = " and ".join(sorted(titles))
    settings |= {f"POTCAR of {_element_in(title)}": title for title in run.potcars if not types}
    spins = 2 if is_true(run.tags.get("LSORBIT")) else whole(run.tags.get("ISPIN"), 1)
    settings |= {f"ISPIN of {element}": spins for element in run.structure.elements if element in MAGNETIC}
    return settings | _hubbard(run)


def _hubbard(run: VaspRun) -> dict[str, Any]:
    tags, elements = run.tags, run.structure.elements
    if not is_true(tags.get("LDAU")):
        return {f"Hubbard U of {element}": 0.0 for element in elements}
    us, js, shells = (_list(tags.get(name)) for name in ("LDAUU", "LDAUJ", "LDAUL"))
    types: Sequence[str] = run.types or elements
    if len(us) != len(types):
        return {"LDAUU": tuple(us)}
    kind = whole(tags.get("LDAUTYPE"), 2)
    values: defaultdict[str, set[Any]] = defaultdict(set)
    for place, element in enumerate(types):
        shell = shells[place] if len(shells) == len(types) else 2
        j = js[place] if len(js) == len(types) else 0.0
        # Dudarev's U is U - J; -1: no shell
        u = 0.0 if shell < 0 else us[place] - j if kind == 2 else us[place] if not j else (us[place], j)
        values[element].add(u if kind == 2 or u == 0.0 else (f"LDAUTYPE {kind}", u))
    return {
        f"Hubbard U of {element}": next(iter(found)) if len(found) == 1 else tuple(sorted(found, key=str))
        for element, found in values.items()
    }


def charge_of(run: VaspRun) -> str | None:
    """Return a note if a cell is or may be charged; None if it is neutral.

    A cell is charged if NELECT differs from the sum of the valences in its POTCARs. A vaspout.h5 contains NELECT only
    if it was set in INCAR (otherwise VASP uses that sum), and the valences only if its POTCAR was not removed.
    """
    electrons = number(run.tags.get("NELECT"), float("nan"))
    if not run.valences or len(run.valences) != len(run.types):
        if run.incar.get("NELECT") is None:
            return None
        return (
            f"may be a charged cell: INCAR sets NELECT = {electrons:g}, and the file has no valences (POTCAR) to "
            "compare it with"
        )
    valence = dict(zip(run.types, run.valences, strict=True))
    neutral = sum(valence.get(symbol, float("nan")) for symbol in run.structure.symbols)
    if not abs(electrons - neutral) > _SMALLEST_CHARGE:
        return None
    return f"is a charged cell: NELECT is {electrons:g}, its atoms have {neutral:g} valence electrons"


@dataclass(frozen=True)
class SettingsGroup:
    """Settings of the largest set of runs with comparable energies, each with a file that has the setting."""

    common: dict[str, tuple[Any, Path]]

    @classmethod
    def largest(cls, runs: Iterable[VaspRun]) -> "SettingsGroup":
        """Return the group with the most runs whose elements all have a reference in it; ties go to the most runs.

        For each element, the POTCAR, U and ISPIN are those of its pure-element run; if there are several such runs or
        none, the most common ones.
        """
        groups: defaultdict[tuple[Any, ...], list[VaspRun]] = defaultdict(list)
        for run in runs:
            groups[tuple(settings_of(run).items())].append(run)
        candidates = [(cls._of(dict(key), members), members) for key, members in groups.items()]
        return max(candidates, key=lambda candidate: candidate[0]._sizes(candidate[1]), default=(cls({}), []))[0]

    @classmethod
    def _of(cls, shared: dict[str, Any], runs: list[VaspRun]) -> "SettingsGroup":
        """Return the group of runs that share the general settings, with the settings chosen for each element."""
        votes: defaultdict[str, Counter[Any]] = defaultdict(Counter)
        example: dict[tuple[str, Any], Path] = {}
        for run in runs:
            is_pure = len(run.structure.elements) == 1
            for name, value in settings_of_elements(run).items():
                votes[name][value] += 1 + is_pure * len(runs)
                example.setdefault((name, value), run.path)
        chosen = {name: max(counted, key=counted.__getitem__) for name, counted in votes.items()}
        common = {name: (value, runs[0].path) for name, value in shared.items()}
        return cls(common | {name: (value, example[name, value]) for name, value in chosen.items()})

    def _sizes(self, runs: list[VaspRun]) -> tuple[int, int]:
        """Return the number of runs in the group with references for all their elements, and of all runs in it."""
        own = [run for run in runs if self.difference(run) is None]
        pure = {run.structure.elements[0] for run in own if len(run.structure.elements) == 1}
        return sum(pure.issuperset(run.structure.elements) for run in own), len(own)

    def difference(self, run: VaspRun, *, numerical: bool = True) -> str | None:
        """Return the setting in which a run differs from the group, or None.

        Parameters
        ----------
        numerical
            Whether to compare the settings in `NUMERICAL` too.
        """
        for name, value in {**settings_of(run), **settings_of_elements(run)}.items():
            known, path = self.common.get(name, (value, run.path))
            if known != value and (numerical or name not in NUMERICAL):
                return (
                    f"energies of different settings cannot be subtracted: {name} is {known} in {path} and "
                    f"{value} in {run.path}"
                )
        return None


def _element_in(titel: str) -> str:
    """Return ``Fe`` for ``PAW_PBE Fe_pv 02Aug2007``, or the whole title if it has another form."""
    words = titel.split()
    return words[1].partition("_")[0] if len(words) > 1 else titel


def _list(value: Any) -> list[float]:
    values = value if isinstance(value, list | tuple) else [] if value is None else [value]
    return [number(item, 0.0) for item in values]

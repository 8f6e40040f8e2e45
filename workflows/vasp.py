"""atomate2 makers for the two calculations of a campaign: the DOS single point and the full relaxation.

Settings: docs/explanation/science.md, "DFT" (PBE, spin-polarised, 520 eV, 1e-5 eV, Monkhorst-Pack, a_n * k_n >= 30 A).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pymatgen.core import Structure
from pymatgen.io.vasp import Kpoints
from pymatgen.io.vasp.sets import MPRelaxSet

from workflows.engine import EngineCommand
from workflows.error_handlers import error_handlers
from workflows.inputs.incar_tags import RELAXATION_ONLY, reaches_dos
from workflows.inputs.kpoint_count import irreducible_kpoints
from workflows.inputs.outside_settings import INPUT_SET, MAX_ERRORS, TASK_DOCUMENT, Outside, outside
from workflows.inputs.used_inputs import ASKED, asked_inputs
from workflows.potcars.titles import potcar_symbols, replaced_symbols
from workflows.settings import DftSettings, kpoint_divisions
from workflows.whole_files import WholeFilesValidator

if TYPE_CHECKING:
    from atomate2.vasp.jobs.core import RelaxMaker, StaticMaker

#: Tags of atomate2's base set that the paper (DOI 10.1039/D3TA01767B) does not use; None removes a tag.
_REMOVED_TAGS = ("ENAUG", "LMIXTAU", "LELF", "LVTOT", "LAECHG", "KSPACING")
_HUBBARD_TAGS = ("LDAU", "LDAUJ", "LDAUL", "LDAUU", "LDAUTYPE", "LDAUPRINT")

#: Irreducible k-points needed by the tetrahedron method; with fewer VASP stops.
_TETRAHEDRA_NEED = 4

#: custodian checks every second whether the engine has finished (its default of 10 s would prolong short jobs), and
#: reads the outputs of a running one every 300 s, as by default.
_PACE = {"polling_time_step": 1, "monitor_freq": 300}


def kpoints(structure: Structure, settings: DftSettings) -> Kpoints:
    """Return the automatic mesh for a structure.

    Monkhorst-Pack as in the paper; Gamma-centred for hexagonal and face-centred lattices, where a shifted mesh breaks
    the symmetry (VASP's manual, KPOINTS; pymatgen's automatic meshes do the same), and for ``quality: fast``, whose
    coarse meshes need all of it.
    """
    lattice = structure.lattice
    divisions = kpoint_divisions(lattice.abc, lattice.reciprocal_lattice.abc, settings)
    face_centred = structure.get_space_group_info()[0].startswith("F")
    if settings.quality == "fast" or face_centred or lattice.is_hexagonal():
        return Kpoints.gamma_automatic(kpts=divisions)
    return Kpoints.monkhorst_automatic(kpts=divisions)


def _common_incar(settings: DftSettings) -> dict[str, Any]:
    return {
        **dict.fromkeys(_REMOVED_TAGS),
        # with a U, the input set chooses values for each crystal by its anion
        **({} if settings.hubbard_u == "mp" else dict.fromkeys(_HUBBARD_TAGS)),
        "GGA": "PE",  # atomate2's default is PBEsol
        "ENCUT": settings.encut,
        "EDIFF": settings.ediff,
        "ISPIN": 2,
        "ALGO": "Normal",
        "LREAL": False,
        "LWAVE": False,
        "LCHARG": False,
    }


def static_incar(settings: DftSettings) -> dict[str, Any]:
    """Return the INCAR of the DOS single point: fixed ions and cell, lm-resolved DOS, tetrahedron method."""
    return _common_incar(settings) | {
        "NSW": 0,
        "ISMEAR": -5,
        "SIGMA": 0.05,
        "LORBIT": 11,
        "NEDOS": settings.nedos,
        "EMIN": settings.emin,
        "EMAX": settings.emax,
    }


def relax_incar(settings: DftSettings) -> dict[str, Any]:
    """Return the INCAR of the relaxation of ions and cell.

    First-order Methfessel-Paxton, since forces of a metal need a smearing whose free energy hardly depends on its width
    (VASP's manual, ISMEAR). The width keeps the entropy of d metals below 1 meV/atom, above which custodian's
    LargeSigmaHandler would restart the run with a smaller one (seen with AlPd at 0.1 and 0.073 eV).
    """
    return _common_incar(settings) | {
        "NSW": settings.max_ionic_steps,
        "IBRION": 2,
        "ISIF": 3,
        "EDIFFG": -settings.force_tolerance,
        "ISMEAR": 1,
        "SIGMA": 0.05,
        "LORBIT": 11,
    }


def _too_few_for_tetrahedra(structure: Structure, settings: DftSettings) -> str | None:
    """Return why the tetrahedron method cannot be used, or None."""
    mesh = kpoints(structure, settings)
    found = irreducible_kpoints(structure, mesh)
    if found >= _TETRAHEDRA_NEED:
        return None
    divisions = "x".join(str(number) for number in mesh.kpts[0])
    return (
        f"Gaussian smearing of 0.05 eV (ISMEAR = 0) in place of tetrahedra: the mesh {divisions} has only {found} "
        f"irreducible k-points, fewer than the {_TETRAHEDRA_NEED} that the tetrahedron method needs"
    )


def _with_tags(
    own: dict[str, Any], settings: DftSettings, machine: Outside, overrides: Mapping[str, Any], *, relaxes: bool
) -> dict[str, Any]:
    """Return the INCAR tags of this program, updated with the machine's, the campaign file's, and those of a retry."""
    incar = own | machine.incar
    given = {tag: value for tag, value in settings.incar.items() if relaxes or reaches_dos(tag, value)}
    asked = {tag: value for tag, value in overrides.items() if relaxes or tag not in RELAXATION_ONLY}
    for tags in (given, asked):
        for one, other in (("IALGO", "ALGO"), ("ALGO", "IALGO"), ("NCORE", "NPAR"), ("NPAR", "NCORE")):
            if one in tags:
                incar[other] = None  # they mean the same to VASP
        incar |= tags
    if "MAGMOM" in overrides:
        # takes precedence over the structure's own moments; replaces the dictionary of the input set
        incar["MAGMOM"] = _moments({**settings.magmom, **overrides["MAGMOM"]})
    return incar


def _moments(own: Mapping[str, float]) -> dict[str, float]:
    """Return initial moments by species: atomate2's, except for elements with a moment from the user."""
    from atomate2.vasp.sets.base import _BASE_VASP_SET

    # a moment of Fe also applies to Fe3+
    base = {
        name: value
        for name, value in _BASE_VASP_SET["INCAR"]["MAGMOM"].items()
        if name.rstrip("+0123456789") not in own
    }
    return {**base, **own}


def _maker_arguments(
    structure: Structure,
    incar: dict[str, Any],
    settings: DftSettings,
    vasp_command: EngineCommand | None,
    *,
    relaxes: bool,
    overrides: Mapping[str, Any] | None,
    notes: Sequence[str] = (),
    start: Structure | None = None,
) -> dict[str, Any]:
    """Return the arguments of a maker, whose structure is `start` if given."""
    from atomate2.vasp.run import _DEFAULT_VALIDATORS
    from atomate2.vasp.sets.base import _BASE_VASP_SET
    from atomate2.vasp.sets.core import RelaxSetGenerator, StaticSetGenerator

    machine = outside(settings.engine, given=settings.incar)
    hubbard = {tag: MPRelaxSet.CONFIG["INCAR"][tag] for tag in _HUBBARD_TAGS} if settings.hubbard_u == "mp" else {}
    input_set = {
        # PAW data sets of the Materials Project's PBE calculations instead of the SCAN ones
        "config_dict": {
            **_BASE_VASP_SET,
            "INCAR": {**_BASE_VASP_SET["INCAR"], **hubbard, "MAGMOM": _moments(settings.magmom)},
            "POTCAR": potcar_symbols(settings.potcar_functional),
            "POTCAR_FUNCTIONAL": settings.potcar_functional,
        },
        "user_potcar_functional": settings.potcar_functional,
        "user_incar_settings": _with_tags(incar, settings, machine, overrides or {}, relaxes=relaxes),
        "user_kpoints_settings": kpoints(structure, settings),
        # atomate2 must not replace our smearing
        "auto_ismear": False,
        # and files in the user's home folder must not replace any of these
        **INPUT_SET,
    }
    generator = (RelaxSetGenerator if relaxes else StaticSetGenerator)(**input_set)
    replaced = replaced_symbols((element.symbol for element in structure.elements), settings.potcar_functional)
    said = [*notes, *(f"POTCAR {new}: {settings.potcar_functional} has no {old}" for old, new in replaced.items())]
    asked = asked_inputs(generator, start or structure, settings, outside=machine.to_document(), notes=said)

    run: dict[str, Any] = {
        "custodian_kwargs": dict(_PACE),
        "handlers": error_handlers(),
        "validators": (*_DEFAULT_VALIDATORS, WholeFilesValidator()),
    }
    run |= {"max_errors": MAX_ERRORS}
    if vasp_command is not None:
        # custodian uses the second one for Gamma-only KPOINTS
        run |= {"vasp_cmd": vasp_command.standard, "vasp_gamma_cmd": vasp_command.gamma}
        run["scratch_dir"] = vasp_command.scratch
    return {
        "input_set_generator": generator,
        # VASP_INCAR_UPDATES of atomate2's settings
        "write_input_set_kwargs": {"apply_incar_updates": False},
        "task_document_kwargs": {
            **TASK_DOCUMENT,
            "parse_dos": not relaxes,
            "parse_bandstructure": False,
            "additional_fields": {ASKED: asked},
        },
        "run_vasp_kwargs": run,
        # an unsuccessful run ends its flow instead of raising, which keeps its document with custodian's attempts
        "stop_children_kwargs": {"handle_unsuccessful": True},
    }


def static_maker(
    structure: Structure,
    settings: DftSettings,
    *,
    vasp_command: EngineCommand | None = None,
    name: str = "IS-DOS",
    incar: Mapping[str, Any] | None = None,
) -> StaticMaker:
    """Return the maker of the single-point DOS.

    Parameters
    ----------
    structure
        The crystal; its lattice sets the k-points.
    vasp_command
        Command of the engine on this machine. If None, atomate2's default.
    name
        Name of the jobs, ``IS-DOS`` or ``RS-DOS``.
    incar
        INCAR tags in addition to the settings' own.
    """
    from atomate2.vasp.jobs.core import StaticMaker

    own = static_incar(settings)
    too_few = _too_few_for_tetrahedra(structure, settings)
    if too_few is not None:
        own["ISMEAR"] = 0
    notes = [] if too_few is None else [too_few]
    arguments = _maker_arguments(structure, own, settings, vasp_command, relaxes=False, overrides=incar, notes=notes)
    return StaticMaker(name=name, **arguments)


def relax_maker(
    structure: Structure,
    settings: DftSettings,
    *,
    vasp_command: EngineCommand | None = None,
    incar: Mapping[str, Any] | None = None,
    start: Structure | None = None,
) -> RelaxMaker:
    """Return the maker of the full relaxation of ions and cell; parameters as for `static_maker`.

    ``start`` is the geometry that the relaxation restarts from, if different from `structure`.
    """
    from atomate2.vasp.jobs.core import RelaxMaker

    arguments = _maker_arguments(
        structure, relax_incar(settings), settings, vasp_command, relaxes=True, overrides=incar, start=start
    )
    return RelaxMaker(name="relaxation", **arguments)

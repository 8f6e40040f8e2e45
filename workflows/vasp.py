"""atomate2 makers for the two calculations of a campaign: the DOS single point and the full relaxation.

Settings: docs/science.md, "DFT" (PBE, spin-polarised, 520 eV, 1e-5 eV, Monkhorst-Pack with a_n * k_n >= 30 A).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pymatgen.core import Structure
from pymatgen.io.vasp import Kpoints
from pymatgen.io.vasp.sets import MPRelaxSet

from workflows.engine import EngineCommand
from workflows.settings import DftSettings, kpoint_divisions
from workflows.whole_files import WholeFilesValidator

if TYPE_CHECKING:
    from atomate2.vasp.jobs.core import RelaxMaker, StaticMaker

#: INCAR tags of atomate2's base set that the paper (DOI 10.1039/D3TA01767B) does not have: None takes a tag out.
_REMOVED_TAGS = (
    *("ENAUG", "LMIXTAU", "LELF", "LVTOT", "LAECHG", "KSPACING"),
    *("LDAU", "LDAUJ", "LDAUL", "LDAUU", "LDAUTYPE", "LDAUPRINT"),
)

#: Seconds between custodian's looks at a job. Its default of 10 s rounds every short job up to 10 s.
_POLLING_SECONDS = {"gpaw": 1, "vasp": 10}


def kpoints(structure: Structure, settings: DftSettings) -> Kpoints:
    """Automatic mesh for a structure.

    Monkhorst-Pack as the paper asks; Gamma-centred for hexagonal and face-centred lattices, where a shifted mesh
    breaks the symmetry (VASP's manual, KPOINTS; pymatgen's automatic meshes do the same), and for ``quality: fast``,
    whose coarse meshes need all of it.
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
    """INCAR of the DOS single point: fixed ions and cell, lm-resolved DOS, tetrahedron method."""
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
    """INCAR of the relaxation: ions and cell.

    Methfessel-Paxton of first order: forces of a metal need a smearing whose free energy hardly depends on its
    width (VASP's manual, ISMEAR). Its width keeps the entropy of d metals below 1 meV/atom, where custodian's
    LargeSigmaHandler would stop the run and begin it again with a smaller one (seen with AlPd at 0.1 and 0.073 eV).
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


def _maker_arguments(
    structure: Structure, incar: dict[str, Any], settings: DftSettings, vasp_command: EngineCommand | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments of the input set and of the maker."""
    from atomate2.vasp.run import _DEFAULT_VALIDATORS
    from atomate2.vasp.sets.base import _BASE_VASP_SET

    input_set = {
        # the PAW data sets of the Materials Project's PBE calculations instead of those of its SCAN ones
        "config_dict": {
            **_BASE_VASP_SET,
            "POTCAR": MPRelaxSet.CONFIG["POTCAR"],
            "POTCAR_FUNCTIONAL": settings.potcar_functional,
        },
        "user_potcar_functional": settings.potcar_functional,
        "user_incar_settings": incar,
        "user_kpoints_settings": kpoints(structure, settings),
        # our smearing is not to be replaced by what atomate2 would pick
        "auto_ismear": False,
    }
    run: dict[str, Any] = {
        "custodian_kwargs": {"polling_time_step": _POLLING_SECONDS[settings.engine]},
        "validators": (*_DEFAULT_VALIDATORS, WholeFilesValidator()),
    }
    if vasp_command is not None:
        # custodian takes the second where KPOINTS is Gamma alone
        run |= {"vasp_cmd": vasp_command.standard, "vasp_gamma_cmd": vasp_command.gamma}
        run["scratch_dir"] = vasp_command.scratch
    # an unsuccessful run ends its flow instead of raising: its document, with what custodian tried, is kept
    return input_set, {"run_vasp_kwargs": run, "stop_children_kwargs": {"handle_unsuccessful": True}}


def static_maker(
    structure: Structure,
    settings: DftSettings,
    *,
    vasp_command: EngineCommand | None = None,
    name: str = "IS-DOS",
    incar: Mapping[str, Any] | None = None,
) -> StaticMaker:
    """Maker of the single-point DOS.

    Parameters
    ----------
    structure
        What will be computed; its lattice sets the k-points.
    vasp_command
        How the engine runs on this machine; None is atomate2's own.
    name
        Name of the jobs, ``IS-DOS`` or ``RS-DOS``.
    incar
        INCAR tags on top of the settings' own.
    """
    from atomate2.vasp.jobs.core import StaticMaker
    from atomate2.vasp.sets.core import StaticSetGenerator

    input_set, arguments = _maker_arguments(
        structure, static_incar(settings) | dict(incar or {}), settings, vasp_command
    )
    return StaticMaker(
        name=name,
        input_set_generator=StaticSetGenerator(**input_set),
        # StaticMaker writes the DOS but does not parse it by itself
        task_document_kwargs={"parse_dos": True, "parse_bandstructure": False},
        **arguments,
    )


def relax_maker(
    structure: Structure,
    settings: DftSettings,
    *,
    vasp_command: EngineCommand | None = None,
    incar: Mapping[str, Any] | None = None,
) -> RelaxMaker:
    """Maker of the full relaxation of ions and cell; parameters as `static_maker`."""
    from atomate2.vasp.jobs.core import RelaxMaker
    from atomate2.vasp.sets.core import RelaxSetGenerator

    input_set, arguments = _maker_arguments(
        structure, relax_incar(settings) | dict(incar or {}), settings, vasp_command
    )
    return RelaxMaker(
        name="relaxation",
        input_set_generator=RelaxSetGenerator(**input_set),
        task_document_kwargs={"parse_dos": False, "parse_bandstructure": False},
        **arguments,
    )

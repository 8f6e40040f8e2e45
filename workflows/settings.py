"""DFT settings of a campaign for its calculations."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from workflows.inputs.incar_tags import changes_numbers

Engine = Literal["vasp", "gpaw"]
Quality = Literal["standard", "fast"]
HubbardU = Literal["none", "mp"]

#: Settings that earlier versions lacked.
LATER_SETTINGS = ("incar", "magmom", "hubbard_u")

#: Coarsest k-point spacing of ``quality: fast`` in 1/A, with the factor 2 pi (as VASP's KSPACING).
FAST_KPOINT_SPACING = 0.4


@dataclass(frozen=True, kw_only=True)
class DftSettings:
    """DFT settings shared by every calculation of a campaign; the defaults are in docs/explanation/science.md.

    Attributes
    ----------
    engine
        Program that computes: the user's VASP, or GPAW through ``vasp-gpaw``.
    quality
        ``standard`` is the published setting; ``fast`` uses coarser k-points with the same cutoff. Results of ``fast``
        are for examples, and every document made with it says so.
    vasp_command
        Command line of VASP, for ``engine: vasp``, or one for each kind of calculation (``dos``, ``relaxation``); If
        None, the node's setting (atomate2's VASP_CMD).
    vasp_gamma_command
        The same for a Gamma-only mesh. If None, `vasp_command`.
    scratch
        Folder on the node in which calculations run, e.g. ``$TMPDIR``. If None, the launch folder.
    encut
        Plane-wave cutoff in eV.
    ediff
        Electronic convergence in eV.
    force_tolerance
        Largest force on an atom at the end of a relaxation, in eV/A (EDIFFG is its negative).
    max_ionic_steps
        NSW of a relaxation.
    nedos, emin, emax
        Points and window of the DOS; the window is in eV on the engine's own (absolute) energy scale.
    kpoint_length
        Monkhorst-Pack divisions k_n are the smallest with a_n * k_n >= this length in A.
    potcar_functional
        pymatgen's name of the PAW set; ``PBE`` is the v2010-05-06 set of the Materials Project.
    incar
        The user's INCAR tags (`workflows.inputs.incar_tags`).
    magmom
        Initial moments by element, in Bohr magnetons, in place of the input set's.
    hubbard_u
        ``mp``: the Materials Project's U, in oxides and fluorides of Co, Cr, Fe, Mn, Mo, Ni, V and W.
    """

    engine: Engine = "gpaw"
    quality: Quality = "standard"
    vasp_command: str | Mapping[str, str | None] | None = None
    vasp_gamma_command: str | Mapping[str, str | None] | None = None
    scratch: str | None = None
    encut: float = 520.0
    ediff: float = 1e-5
    force_tolerance: float = 0.03
    max_ionic_steps: int = 99
    nedos: int = 1500
    emin: float = -20.0
    emax: float = 10.0
    kpoint_length: float = 30.0
    potcar_functional: str = "PBE"
    incar: Mapping[str, Any] = field(default_factory=dict)
    magmom: Mapping[str, float] = field(default_factory=dict)
    hubbard_u: HubbardU = "none"

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as a plain dictionary, in the units of the attributes."""
        return asdict(self)

    def physics(self) -> dict[str, Any]:
        """Return the settings that affect results, without paths and commands, for hashes and documents.

        Settings added later are only included if used, so that earlier campaigns keep their hash.
        """
        settings = self.to_dict()
        for name in ("vasp_command", "vasp_gamma_command", "scratch"):
            del settings[name]
        settings["incar"] = changes_numbers(self.incar)
        for name in LATER_SETTINGS:
            if settings[name] in ({}, "none"):
                del settings[name]
        return settings

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of `physics`."""
        canonical = json.dumps(self.physics(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def kpoint_divisions(
    lengths: tuple[float, float, float], reciprocal_lengths: tuple[float, float, float], settings: DftSettings
) -> tuple[int, int, int]:
    """Return the number of k-points along each reciprocal axis.

    Parameters
    ----------
    lengths
        Lengths of the lattice vectors in A.
    reciprocal_lengths
        Lengths of the reciprocal lattice vectors in 1/A, with the factor 2 pi.
    settings
        ``standard``: the smallest k_n with a_n * k_n >= ``kpoint_length``.
        ``fast``: the smallest k_n whose spacing is at most `FAST_KPOINT_SPACING`, but never more than ``standard``.
    """
    # 1e-9: a lattice vector of exactly 3 A needs 10 divisions, not 11 due to rounding
    standard = [max(1, math.ceil(settings.kpoint_length / a - 1e-9)) for a in lengths]
    if settings.quality == "fast":
        fast = [max(1, math.ceil(b / FAST_KPOINT_SPACING - 1e-9)) for b in reciprocal_lengths]
        standard = [min(s, f) for s, f in zip(standard, fast, strict=True)]
    return (standard[0], standard[1], standard[2])

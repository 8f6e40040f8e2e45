"""StrictModel ``dft``: how structures are calculated."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from campaign.config.strict_model import StrictModel


class DftSection(StrictModel):
    """How every structure is calculated; defaults: docs/science.md, "DFT"."""

    engine: Literal["gpaw", "vasp"] = Field(
        default="gpaw", description="gpaw (GPAW behind VASP's files, no licence) or vasp (your own VASP)"
    )
    vasp_command: str | None = Field(
        default=None, min_length=1, description="command line of VASP, e.g. srun vasp_std; only for engine: vasp"
    )
    quality: Literal["standard", "fast"] = Field(
        default="standard", description="standard (published settings) or fast (coarse k-points, for examples)"
    )
    encut: float = Field(default=520.0, ge=100.0, le=5000.0, description="plane-wave cutoff in eV")
    ediff: float = Field(default=1e-5, ge=1e-12, le=1e-2, description="electronic convergence in eV")
    force_tolerance: float = Field(
        default=0.03, ge=1e-6, le=1.0, description="largest force at the end of a relaxation in eV/A"
    )
    max_ionic_steps: int = Field(default=99, ge=1, le=10_000, description="most steps of a relaxation")
    nedos: int = Field(default=1500, ge=100, le=100_000, description="number of DOS points")
    emin: float = Field(default=-20.0, ge=-200.0, le=200.0, description="lower end of the DOS window in eV")
    emax: float = Field(default=10.0, ge=-200.0, le=200.0, description="upper end of the DOS window in eV")
    kpoint_length: float = Field(
        default=30.0,
        ge=1.0,
        le=200.0,
        description="k_n is the smallest with a_n * k_n >= this length in A; at 1 Gamma alone",
    )
    potcar_functional: Literal["PBE", "PBE_52", "PBE_54", "PBE_64"] = Field(
        default="PBE", description="pymatgen's name of the POTCAR set; PBE is v2010-05-06 of the MP"
    )

    @model_validator(mode="after")
    def _consistent(self) -> DftSection:
        if self.engine != "vasp" and self.vasp_command is not None:
            raise ValueError(
                f"vasp_command is {self.vasp_command!r} but engine is {self.engine}; "
                "set engine: vasp or vasp_command: null"
            )
        if self.emin >= self.emax:
            raise ValueError(f"emin ({self.emin:g} eV) must be lower than emax ({self.emax:g} eV)")
        return self

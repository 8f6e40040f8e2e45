"""Section ``dft``: settings of the calculations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from campaign.config.strict_model import StrictModel
from campaign.spec.sections.types import ElementSymbol
from workflows.inputs.incar_tags import Door, IncarTagError, check_tag, check_tags_together

Moment = Annotated[float, Field(ge=-20.0, le=20.0)]
"""Magnetic moment of an atom in Bohr magnetons."""


class CommandByKind(StrictModel):
    """A command line for each kind of calculation."""

    dos: str | None = Field(
        default=None, min_length=1, description="command line for IS-DOS and RS-DOS; null: the node's own"
    )
    relaxation: str | None = Field(
        default=None, min_length=1, description="command line for relaxations; null: the node's own"
    )


def _for_both(value: Any) -> Any:
    """Use a single command line for both kinds of calculation."""
    if isinstance(value, str) and value:
        return CommandByKind(dos=value, relaxation=value)
    if value is None or isinstance(value, CommandByKind):
        return value
    try:
        return CommandByKind.model_validate(value)
    except ValidationError as error:
        raise ValueError(
            "right: a command line (text), or one for each kind of calculation: {dos: ..., relaxation: ...}; "
            + "; ".join(f"{'.'.join(map(str, item['loc'])) or 'found'}: {item['msg']}" for item in error.errors())
        ) from None


Commands = Annotated[CommandByKind | None, BeforeValidator(_for_both)]


class DftSection(StrictModel):
    """Settings of every calculation; for the defaults see docs/explanation/science.md, "DFT"."""

    engine: Literal["gpaw", "vasp"] = Field(
        default="gpaw",
        description="gpaw (GPAW through a VASP-compatible file interface; no licence needed) or vasp (your own VASP)",
    )
    vasp_command: Commands = Field(
        default=None,
        description="command line of VASP, e.g. srun vasp_std, or {dos: ..., relaxation: ...}; null: the node's own "
        "(ATOMATE2_VASP_CMD, VASP_CMD in ~/.atomate2.yaml); only for engine: vasp",
    )
    vasp_gamma_command: Commands = Field(
        default=None,
        description="command line for calculations with Gamma as their only k-point, e.g. srun vasp_gam; null: "
        "vasp_command, or the node's own",
    )
    scratch: str | None = Field(
        default=None,
        min_length=1,
        description="local folder of the node in which calculations run, e.g. $TMPDIR; files are copied back to the "
        "launch folder; null: run in the launch folder",
    )
    quality: Literal["standard", "fast"] = Field(
        default="standard", description="standard (published settings) or fast (coarse k-points, for examples)"
    )
    encut: float = Field(default=520.0, ge=100.0, le=5000.0, description="plane-wave cutoff in eV")
    ediff: float = Field(default=1e-5, ge=1e-12, le=1e-2, description="electronic convergence in eV")
    force_tolerance: float = Field(
        default=0.03, ge=1e-6, le=1.0, description="largest force at the end of a relaxation in eV/A"
    )
    max_ionic_steps: int = Field(default=99, ge=1, le=10_000, description="maximum number of steps in a relaxation")
    nedos: int = Field(default=1500, ge=100, le=100_000, description="number of DOS points")
    emin: float = Field(default=-20.0, ge=-200.0, le=200.0, description="lower end of the DOS window in eV")
    emax: float = Field(default=10.0, ge=-200.0, le=200.0, description="upper end of the DOS window in eV")
    kpoint_length: float = Field(
        default=30.0,
        ge=1.0,
        le=200.0,
        description="k_n is the smallest number of k-points with a_n * k_n >= this length in A; 1 gives Gamma only",
    )
    potcar_functional: Literal["PBE", "PBE_52", "PBE_54", "PBE_64"] = Field(
        default="PBE", description="pymatgen's name of the POTCAR set; PBE is v2010-05-06 of the MP"
    )
    incar: dict[str, Any] = Field(
        default={},
        description="additional INCAR tags, e.g. {NCORE: 8, KPAR: 2, ALGO: Fast}; see docs/reference/incar.md",
    )
    magmom: dict[ElementSymbol, Moment] = Field(
        default={},
        description="initial magnetic moments by element in Bohr magnetons, e.g. {Fe: 5.0}; other elements: "
        "atomate2's defaults",
    )
    hubbard_u: Literal["none", "mp"] = Field(
        default="none",
        description="mp: the Materials Project's U values in oxides and fluorides of Co Cr Fe Mn Mo Ni V W, "
        "consistent with the corrections mp2020; only for engine: vasp",
    )

    @field_validator("incar", mode="after")
    @classmethod
    def _known_tags(cls, given: dict[str, Any]) -> dict[str, Any]:
        return _checked_tags(given, gpaw=False)

    @model_validator(mode="after")
    def _consistent(self) -> DftSection:
        for name in ("vasp_command", "vasp_gamma_command"):
            given: CommandByKind | None = getattr(self, name)
            if self.engine != "vasp" and given is not None:
                raise ValueError(
                    f"{name} is {(given.dos or given.relaxation)!r} but engine is {self.engine}; "
                    f"set engine: vasp or {name}: null"
                )
        if self.engine != "vasp" and self.hubbard_u != "none":
            raise ValueError(
                f"hubbard_u is {self.hubbard_u} but engine is {self.engine}, which computes without a Hubbard U; "
                "set engine: vasp or hubbard_u: none"
            )
        if self.engine == "gpaw":
            _checked_tags(self.incar, gpaw=True, prefix="incar.")
        if self.emin >= self.emax:
            raise ValueError(f"emin ({self.emin:g} eV) must be lower than emax ({self.emax:g} eV)")
        return self


def _checked_tags(given: Mapping[str, Any], *, gpaw: bool, prefix: str = "") -> dict[str, Any]:
    """Return upper-case tags with the values that pymatgen's Incar gives them; report all problems in one error."""
    tags: dict[str, Any] = {}
    wrong = []
    for name, value in given.items():
        tag = name.strip().upper()
        if tag in tags:
            wrong.append(f"{prefix}{tag}: is given twice, also as {name!r}; right: once")
            continue
        try:
            tags[tag] = check_tag(tag, value, Door(retry=False, gpaw=gpaw))
        except IncarTagError as error:
            wrong.append(f"{prefix}{tag}: {error}")
    try:
        check_tags_together(tags)
    except IncarTagError as error:
        wrong.append(str(error))
    if wrong:
        raise ValueError("; ".join(wrong))
    return tags

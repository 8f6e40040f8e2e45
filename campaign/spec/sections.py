"""The sections of a campaign file. Every field says what it means, its unit, and what is allowed."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from campaign.candidates.elements import check_element
from campaign.candidates.prototypes import check_prototype_name
from campaign.config.strict_model import EnergyPerAtom, Section
from campaign.policies.cost_model import PUBLISHED_DOS_CPU_S, PUBLISHED_RELAX_CPU_S
from esnet.bundle.shipped import shipped_bundles


def _resolved(value: Any, info: ValidationInfo) -> Any:
    """Paths are relative to the campaign file's folder, which the validation context knows as ``base_dir``."""
    if not isinstance(value, str) or not value.strip():
        return value
    path = Path(value).expanduser()
    if path.is_absolute():
        return path
    base_dir = (info.context or {}).get("base_dir")
    if base_dir is None:
        raise ValueError(
            "a relative path, and a campaign that comes through lpad add has no folder to start from; "
            "write the absolute path in a file that is given to lpad add"
        )
    return (Path(base_dir) / path).resolve()


def _resolved_bundle(value: Any, info: ValidationInfo) -> Any:
    """The name of a shipped bundle stays as it is, so that a stored campaign means the same on every machine."""
    if isinstance(value, str) and value in shipped_bundles():
        return Path(value)
    return _resolved(value, info)


def _known_prototype(name: str) -> str:
    return check_prototype_name(name)


def _no_repeats(values: tuple[str, ...] | None) -> tuple[str, ...] | None:
    repeated = sorted({value for value in values or () if (values or ()).count(value) > 1})
    if repeated:
        raise ValueError(f"{', '.join(repeated)} given more than once; give each once")
    return values


FilePath = Annotated[Path, BeforeValidator(_resolved)]
BundlePath = Annotated[Path, BeforeValidator(_resolved_bundle)]
ElementSymbol = Annotated[str, AfterValidator(check_element)]
PrototypeName = Annotated[str, AfterValidator(_known_prototype)]
# lists of the YAML file become tuples, so that a spec cannot be changed
ElementList = Annotated[tuple[ElementSymbol, ...], Field(strict=False, min_length=1), AfterValidator(_no_repeats)]
PrototypeList = Annotated[tuple[PrototypeName, ...], Field(strict=False, min_length=1), AfterValidator(_no_repeats)]
Width = Annotated[int, Field(ge=1, le=4096)]


class CandidateSection(Section):
    """Which crystals are screened: every prototype with every ordered choice of distinct elements."""

    prototypes: PrototypeList | None = Field(
        default=None, description="names of prototypes that ship with the project, e.g. [B1, B2, L1_0]"
    )
    structures: FilePath | None = Field(
        default=None, description="folder of CIF or POSCAR files that are used as further prototypes"
    )
    elements: ElementList = Field(
        description="symbols of the elements to substitute, e.g. [Al, Pd]; no f-block elements"
    )
    max_candidates: int | None = Field(
        default=None, ge=1, description="stop after this many candidates (a whole number); null: no limit"
    )

    @model_validator(mode="after")
    def _some_prototype(self) -> CandidateSection:
        if self.prototypes is None and self.structures is None:
            raise ValueError(
                "no prototypes; name shipped ones in candidates.prototypes, e.g. [B1, B2], "
                "or a folder of CIF/POSCAR files in candidates.structures"
            )
        return self


class ReferenceSection(Section):
    """Known phases that make the convex hull: computed beside the elements' built-in crystals, or from a file."""

    structures: FilePath | None = Field(
        default=None,
        description="folder of CIF or POSCAR files of known phases, computed with the same engine and added to "
        "the hull; also the place for an element without a built-in crystal",
    )
    entries: FilePath | None = Field(
        default=None,
        description="file of pymatgen entries (.json, .jsonl, .gz) that are the references; no built-in crystal is "
        "computed then",
    )
    engine: Literal["vasp", "gpaw"] | None = Field(
        default=None, description="engine that computed the entries, vasp or gpaw; null: what they say themselves"
    )
    corrections: Literal["none", "mp2020"] | None = Field(
        default=None, description="correction scheme that the entries carry; null: found from their energy adjustments"
    )

    @model_validator(mode="after")
    def _about_entries(self) -> ReferenceSection:
        given = {name: getattr(self, name) for name in ("engine", "corrections") if getattr(self, name) is not None}
        if self.entries is None and given:
            found = " and ".join(f"{name}: {value}" for name, value in given.items())
            raise ValueError(
                f"found {found} without entries, and what the campaign computes itself is of dft.engine, without "
                f"corrections; name a file in references.entries, or set {' and '.join(given)} to null"
            )
        return self


class DftSection(Section):
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
    ediff: float = Field(default=1e-5, gt=0.0, le=1e-2, description="electronic convergence in eV")
    force_tolerance: float = Field(
        default=0.03, gt=0.0, le=1.0, description="largest force at the end of a relaxation in eV/A"
    )
    max_ionic_steps: int = Field(default=99, ge=1, le=10_000, description="most steps of a relaxation")
    nedos: int = Field(default=1500, ge=100, le=100_000, description="number of DOS points")
    emin: float = Field(default=-20.0, ge=-200.0, le=200.0, description="lower end of the DOS window in eV")
    emax: float = Field(default=10.0, ge=-200.0, le=200.0, description="upper end of the DOS window in eV")
    kpoint_length: float = Field(
        default=30.0, gt=0.0, le=200.0, description="k_n is the smallest with a_n * k_n >= this length in A"
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


class TrainingSection(Section):
    """How ESNet is trained where no bundle is given; defaults: the paper's."""

    widths: Annotated[tuple[Width, ...], Field(strict=False, min_length=4, max_length=4)] = Field(
        default=(64, 128, 256, 512), description="channels of ESNet's four blocks, e.g. [64, 128, 256, 512]"
    )
    learning_rate: float = Field(
        default=0.00175, gt=0.0, lt=1.0, description="initial learning rate of Adam (a number, no unit)"
    )
    fine_tuning_factor: float = Field(
        default=0.1,
        gt=0.0,
        le=1.0,
        description="the learning rate is multiplied by this where a trained model is trained on",
    )
    batch_size: int = Field(default=32, ge=1, le=65_536, description="structures in one training step")
    max_epochs: int = Field(default=300, ge=1, le=100_000, description="most passes over the training set")
    plateau_factor: float = Field(
        default=0.5, gt=0.0, lt=1.0, description="the learning rate is multiplied by this when the loss stands still"
    )
    plateau_patience: int = Field(default=15, ge=1, description="epochs without a better loss before that")
    stop_patience: int = Field(
        default=35, ge=1, description="epochs without a better validation loss after which training stops"
    )
    validation_fraction: float = Field(
        default=0.1, ge=0.0, lt=1.0, description="share of the structures kept for validation, 0 to below 1"
    )
    loss: Literal["logcosh", "mae", "mse"] = Field(
        default="logcosh", description="loss of the standardised formation energies"
    )
    max_dos: float | None = Field(
        default=50.0, gt=0.0, description="structures with a larger DOS in states/eV per atom are left out; null: none"
    )
    max_abs_formation_energy: float | None = Field(
        default=5.0, gt=0.0, description="structures with a larger |E_f| in eV/atom are left out; null: none"
    )


class RepresentationSection(Section):
    """How a DOS becomes the network's input; stored with the model."""

    normalisation: Literal["atom", "element", "none"] = Field(
        default="atom", description="divide by the number of atoms, of distinct elements, or by nothing"
    )
    energy_reference: Literal["absolute", "fermi"] = Field(
        default="absolute", description="zero of energy: as the engine writes it, or the Fermi level"
    )
    composition: Literal["presence", "fraction"] = Field(
        default="presence", description="composition vector: 1 where present, or the atomic fraction"
    )


class ModelSection(Section):
    """The network that predicts formation energies: a trained one, or one trained on a bootstrap sample."""

    bundle: BundlePath | None = Field(
        default=None,
        description="folder of a trained ESNet, or the name of one that ships with the project; "
        "null: train one on the bootstrap sample",
    )
    bootstrap_size: int = Field(
        default=12, ge=2, description="candidates that are relaxed first and train ESNet, where no bundle is given"
    )
    training: TrainingSection = Field(default=TrainingSection(), description="settings of the training")
    representation: RepresentationSection = Field(
        default=RepresentationSection(), description="settings of the network's input"
    )


class ScreeningSection(Section):
    """How predictions are made in batches."""

    batch_size: int = Field(default=256, ge=1, le=100_000, description="candidates in one Screen")
    min_completed_fraction: float = Field(
        default=0.95, gt=0.0, le=1.0, description="share of a batch whose IS-DOS must be done before it is screened"
    )
    actors: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="Ray actors that score at the same time; null: as many as Ray's GPUs have room for, without GPUs "
        "one for each node",
    )
    gpus_per_actor: float | None = Field(
        default=None,
        ge=0.0,
        le=64.0,
        description="GPUs of one actor, may be a part of one; null: 1 where Ray has any",
    )
    actor_batch: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="candidates that an actor reads and predicts at once, 216 kB each; null: each actor's share of the "
        "Screen, at most 256",
    )
    retrain_every: int | None = Field(
        default=None,
        ge=1,
        description="after so many new relaxations of screened candidates (each with an RS-DOS then) the model is "
        "trained on with what the campaign has found; null: never",
    )


class StableSection(Section):
    """What counts as stable after the relaxation: the truth."""

    max_formation_energy: EnergyPerAtom = Field(
        default=0.0, description="stable if the formation energy in eV/atom is at most this"
    )
    max_hull_energy: EnergyPerAtom = Field(
        default=0.1, description="stable if the energy above the hull in eV/atom is at most this"
    )


class BudgetSection(Section):
    """What a campaign may cost, and when it has found enough. What is computed already is never taken back."""

    cpu_hours: float | None = Field(
        default=None, ge=0.0, description="CPU-hours of the whole campaign, DOS and failed attempts too; null: no limit"
    )
    relaxation_cpu_hours: float | None = Field(
        default=None,
        ge=0.0,
        description="CPU-hours of the relaxations of screened candidates; null: no limit but the policy's own",
    )
    relaxations: int | None = Field(
        default=None, ge=0, description="most relaxations of screened candidates; null: no limit"
    )
    until: datetime | None = Field(
        default=None,
        strict=False,
        description="nothing more is submitted after this time, e.g. 2027-03-01T08:00:00Z; null: never",
    )
    stop_after_stable: int | None = Field(
        default=None, ge=1, description="stop when so many stable materials are found; null: never"
    )
    stop_after_no_discovery: int | None = Field(
        default=None, ge=1, description="stop when the last so many relaxations found nothing stable; null: never"
    )
    relax_cpu_s: float = Field(
        default=PUBLISHED_RELAX_CPU_S,
        gt=0.0,
        description="cost of a relaxation in CPU-s, until the first have ended and tell it",
    )
    dos_cpu_s: float = Field(
        default=PUBLISHED_DOS_CPU_S,
        gt=0.0,
        description="cost of an IS-DOS in CPU-s, until the first have ended and tell it",
    )

    @field_validator("until")
    @classmethod
    def _with_time_zone(cls, value: datetime | None) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("has no time zone; add one, e.g. 2027-03-01T08:00:00Z for UTC")
        return value.astimezone(UTC)


class RetrySection(Section):
    """What happens after a machine failure (killed, out of time, disk full, database away)."""

    max_retries: int = Field(
        default=2, ge=0, le=100, description="tries after the first one; science failures get none"
    )
    time_factor: float = Field(
        default=2.0, ge=1.0, le=10.0, description="how much more time the next job asks for, where it ran out of time"
    )
    memory_factor: float = Field(
        default=1.5, ge=1.0, le=10.0, description="the same for memory, where it ran out of memory"
    )


CampaignName = Annotated[str, StringConstraints(pattern=re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"), strict=True)]

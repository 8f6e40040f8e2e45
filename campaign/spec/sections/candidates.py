"""Section ``candidates``: the crystals to be screened."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from campaign.candidates.structure_text import MAX_SITES
from campaign.config.paths import FilePath
from campaign.config.strict_model import StrictModel
from campaign.spec.sections.types import ElementList, PathList, PrototypeList


class CandidateSection(StrictModel):
    """The crystals to be screened: prototypes filled with elements, crystals as given, or both."""

    prototypes: PrototypeList | None = Field(
        default=None, description="names of prototypes that ship with the project, e.g. [B1, B2, L1_0]"
    )
    structures: FilePath | None = Field(
        default=None, description="folder of CIF or POSCAR files to use as additional prototypes"
    )
    elements: ElementList | None = Field(
        default=None,
        validate_default=True,
        description="symbols of the elements to substitute in prototypes and structures, e.g. [Al, Pd]; no f-block "
        "elements; null if all candidates are given as crystals (as_given)",
    )
    as_given: PathList | None = Field(
        default=None,
        description="crystals used as candidates without substitution: paths of folders, patterns (gen/*.cif), lists "
        "of files (.txt), extended XYZ, ASE databases, JSON or JSONL of pymatgen structures, CSV with a column of CIF "
        "texts or paths",
    )
    structure_column: str | None = Field(
        default=None,
        description="column or key that contains the crystals in the tables of as_given; null: structure, cif or path",
    )
    rescale: Literal["elements"] | None = Field(
        default=None,
        description="elements: scale each crystal of as_given to the sum of its atoms' volumes in the elemental "
        "crystals; null: unchanged",
    )
    max_atoms: int = Field(
        default=500,
        ge=1,
        le=MAX_SITES,
        description="crystals of as_given with more atoms per cell are left out (an integer)",
    )
    max_candidates: int | None = Field(
        default=None, ge=1, description="stop after this many candidates (an integer); null: no limit"
    )

    @property
    def has_prototypes(self) -> bool:
        """Whether prototypes are filled with elements."""
        return self.prototypes is not None or self.structures is not None

    @field_validator("elements")
    @classmethod
    def _elements_for_prototypes(cls, value: ElementList | None, info: ValidationInfo) -> ElementList | None:
        if value is None and (info.data.get("prototypes") or info.data.get("structures")):
            # the same error as pydantic's for a required field
            raise PydanticCustomError("missing", "Field required")
        return value

    @model_validator(mode="after")
    def _some_candidates(self) -> CandidateSection:
        if not self.has_prototypes and self.as_given is None:
            raise ValueError(
                "no prototypes and no crystals; name shipped prototypes in candidates.prototypes, e.g. [B1, B2], a "
                "folder of CIF or POSCAR files in candidates.structures, or crystals to use without substitution in "
                "candidates.as_given"
            )
        if self.as_given is None and (self.rescale is not None or self.structure_column is not None):
            raise ValueError(
                "rescale and structure_column apply to the crystals of candidates.as_given, which is not given; leave "
                "them out"
            )
        return self

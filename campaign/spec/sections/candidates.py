"""StrictModel ``candidates``: which crystals are screened."""

from __future__ import annotations

from pydantic import Field, model_validator

from campaign.config.strict_model import StrictModel
from campaign.spec.sections.types import ElementList, FilePath, PrototypeList


class CandidateSection(StrictModel):
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

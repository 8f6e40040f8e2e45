"""Section ``references``: known phases for the hull."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from campaign.config.paths import FilePath
from campaign.config.strict_model import StrictModel
from campaign.hull.entries_file import MAX_FORMATION_ENERGY


class ReferenceSection(StrictModel):
    """Known phases that span the convex hull: computed along with the elements' built-in crystals, or read
    from a file.
    """

    structures: FilePath | None = Field(
        default=None,
        description="folder of CIF or POSCAR files of known phases, which are computed with the same engine and added "
        "to the hull; also for crystals of elements without a built-in one",
    )
    entries: FilePath | None = Field(
        default=None,
        description="file of pymatgen entries (.json, .jsonl, .gz) to use as references; no built-in crystals are "
        "computed then",
    )
    engine: Literal["vasp", "gpaw"] | None = Field(
        default=None, description="engine that computed the entries, vasp or gpaw; null: as stated in the entries"
    )
    corrections: Literal["none", "mp2020"] | None = Field(
        default=None,
        description="correction scheme included in the entries; null: inferred from their energy adjustments. Without "
        "entries: scheme applied to the campaign's own energies (null: none; mp2020: only for dft.engine: vasp)",
    )

    max_formation_energy: float = Field(
        default=MAX_FORMATION_ENERGY,
        gt=0,
        le=100,
        description="entries with a larger absolute formation energy in eV/atom are rejected",
    )

    @model_validator(mode="after")
    def _about_entries(self) -> ReferenceSection:
        if self.entries is None and self.engine is not None:
            raise ValueError(
                f"found engine: {self.engine} without entries, but references that the campaign computes are of "
                "dft.engine; name a file in references.entries, or set engine to null"
            )
        return self

"""StrictModel ``references``: known phases for the hull."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from campaign.config.paths import FilePath
from campaign.config.strict_model import StrictModel
from campaign.hull.entries_file import MAX_FORMATION_ENERGY


class ReferenceSection(StrictModel):
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
        default=None,
        description="correction scheme that the entries carry; null: found from their energy adjustments. Without "
        "entries: what the campaign's own energies get (null: none; mp2020: only for dft.engine: vasp)",
    )

    max_formation_energy: float = Field(
        default=MAX_FORMATION_ENERGY,
        gt=0,
        le=100,
        description="entries with a formation energy further from 0 are refused, eV/atom",
    )

    @model_validator(mode="after")
    def _about_entries(self) -> ReferenceSection:
        if self.entries is None and self.engine is not None:
            raise ValueError(
                f"found engine: {self.engine} without entries, and what the campaign computes itself is of dft.engine; "
                "name a file in references.entries, or set engine to null"
            )
        return self

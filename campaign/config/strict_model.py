"""What every section of a campaign file has in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

EnergyPerAtom = Annotated[float, Field(ge=-20.0, le=20.0)]
"""An energy in eV/atom of a size that a crystal can have."""


class StrictModel(BaseModel):
    """Strict: a number given as text or as true/false, NaN and unknown keys are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=False
    )

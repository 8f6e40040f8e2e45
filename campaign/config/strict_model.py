"""Common base of all sections of a campaign file."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

EnergyPerAtom = Annotated[float, Field(ge=-20.0, le=20.0)]
"""An energy in eV/atom, within the range possible for a crystal."""


class StrictModel(BaseModel):
    """A strict model: refuses numbers given as text or as true/false, NaN, and unknown keys."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=False
    )

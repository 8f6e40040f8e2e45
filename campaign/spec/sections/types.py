"""Field types shared by several sections."""

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationInfo

from campaign.candidates.elements import check_element
from campaign.candidates.prototypes import check_prototype_name
from campaign.config.paths import FilePath, resolved
from esnet.bundle.shipped import shipped_bundles


def _resolved_bundle(value: Any, info: ValidationInfo) -> Any:
    """Resolve a path, but keep the name of a shipped bundle, so that a stored campaign means the same on every
    machine.
    """
    if isinstance(value, str) and value in shipped_bundles():
        return Path(value)
    return resolved(value, info)


def _no_repeats(values: tuple[str, ...] | None) -> tuple[str, ...] | None:
    repeated = sorted({value for value in values or () if (values or ()).count(value) > 1})
    if repeated:
        raise ValueError(f"{', '.join(repeated)} given more than once; give each once")
    return values


BundlePath = Annotated[Path, BeforeValidator(_resolved_bundle)]
ElementSymbol = Annotated[str, AfterValidator(check_element)]
PrototypeName = Annotated[str, AfterValidator(check_prototype_name)]
PathList = Annotated[
    tuple[FilePath, ...],
    Field(strict=False, min_length=1),
    BeforeValidator(lambda value: [value] if isinstance(value, str | Path) else value),
]
# lists in the YAML file become tuples, so that a spec is immutable
ElementList = Annotated[tuple[ElementSymbol, ...], Field(strict=False, min_length=1), AfterValidator(_no_repeats)]
PrototypeList = Annotated[tuple[PrototypeName, ...], Field(strict=False, min_length=1), AfterValidator(_no_repeats)]
Width = Annotated[int, Field(ge=1, le=4096)]
CampaignName = Annotated[str, StringConstraints(pattern=re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"), strict=True)]

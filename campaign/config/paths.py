"""Paths in a campaign file, which are relative to its folder."""

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo


def resolved(value: Any, info: ValidationInfo) -> Any:
    """Resolve a path relative to the campaign file's folder, ``base_dir`` of the validation context."""
    if not isinstance(value, str) or not value.strip():
        return value
    path = Path(os.path.expanduser(value))
    if path.is_absolute():
        return path
    base_dir = (info.context or {}).get("base_dir")
    if base_dir is None:
        raise ValueError(
            "a relative path, but a campaign submitted with lpad add has no folder to which it could be relative; "
            "write the absolute path in a file for lpad add"
        )
    return (Path(base_dir) / path).resolve()


FilePath = Annotated[Path, BeforeValidator(resolved)]

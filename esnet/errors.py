"""Errors that a user can mend, and packages that an extra brings."""

from __future__ import annotations

import importlib
from types import ModuleType


class UserError(Exception):
    """An error whose message says all that a user needs; the command line shows it without a traceback."""


class MissingExtraError(UserError, ImportError):
    """A package is not installed; the message names the extra that brings it."""


def require(module: str, *, extra: str) -> ModuleType:
    """Import a package that an extra of esnet-campaign brings.

    Parameters
    ----------
    module
        Name to import.
    extra
        The extra, as in ``pip install 'esnet-campaign[tune]'``.

    Raises
    ------
    MissingExtraError
        If the package is not installed. A package that is there and breaks while it is imported raises its own error.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise MissingExtraError(
            f"the Python package {error.name} is not installed: pip install 'esnet-campaign[{extra}]'"
        ) from error

"""Errors that a user can fix, and packages provided by an extra."""

import importlib
from types import ModuleType


class UserError(Exception):
    """An error whose message is sufficient for the user; the command line shows it without a traceback."""


class MissingExtraError(UserError, ImportError):
    """A package is not installed; the message names the extra, or the package, to install."""


def require(module: str, *, extra: str | None, distribution: str | None = None) -> ModuleType:
    """Import and return an optional package.

    Parameters
    ----------
    module
        Name to import.
    extra
        The extra of esnet-campaign that brings it, as in ``pip install 'esnet-campaign[tune]'``; None: no extra does.
    distribution
        What to install where no extra brings it; by default the module's own name.

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
        wanted = distribution or error.name if extra is None else f"'esnet-campaign[{extra}]'"
        raise MissingExtraError(f"the Python package {error.name} is not installed: pip install {wanted}") from error

"""Errors that a user can fix, and imports of optional packages."""

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
        Name under which it is imported.
    extra
        Extra of esnet-campaign that installs it, as in ``pip install 'esnet-campaign[tune]'``; None if there is none.
    distribution
        Name of the package to install if there is no extra; by default the name of the module.

    Raises
    ------
    MissingExtraError
        If the package is not installed. A package that is installed but fails to import raises its own error.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        wanted = distribution or error.name if extra is None else f"'esnet-campaign[{extra}]'"
        raise MissingExtraError(f"the Python package {error.name} is not installed: pip install {wanted}") from error

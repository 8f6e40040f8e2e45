"""Declare commands separately from their implementation, so that ``--help`` imports no implementation."""

import functools
import importlib
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from esnet.cli.start import check_working_folder, running_command

P = ParamSpec("P")
R = TypeVar("R")


def implemented_in(module: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a declaration (a signature with a docstring and no body) call the function of the same name in ``module``.

    typer reads the declaration for help and for errors in a command line, which takes milliseconds. The module, which
    imports NumPy, pymatgen and FireWorks, is imported when the command is called.
    """

    def declare(declaration: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(declaration)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            check_working_folder()
            function = implementation(call)
            with running_command():
                return function(*args, **kwargs)

        call.implemented_in = module  # type: ignore[attr-defined]
        return call

    return declare


def implementation(declared: Callable[..., R]) -> Callable[..., R]:
    """Return the function that implements a declaration."""
    function: Any = declared
    found: Callable[..., R] = getattr(importlib.import_module(function.implemented_in), function.__name__)
    return found

"""Python imports this at every start while this folder is on PYTHONPATH: custodian then looks at its job more often.

The product lets it look each 10 s, which is nothing beside a VASP run and everything beside the stand-in.
"""

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType


class _ShortPolls(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "custodian.custodian":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_shorten(module: ModuleType) -> None:
                execute(module)
                module.Custodian.__init__ = with_short_polls(module.Custodian.__init__)

            spec.loader.exec_module = execute_and_shorten  # type: ignore[method-assign]
        return spec


def with_short_polls(initialise: Callable[..., None]) -> Callable[..., None]:
    """Return custodian's ``__init__`` with another pace."""

    def short(self: object, *arguments: object, **named: object) -> None:
        initialise(self, *arguments, **{**named, "polling_time_step": 0.3})

    return short


if os.environ.get("VASP_STAND_IN"):
    sys.meta_path.insert(0, _ShortPolls())

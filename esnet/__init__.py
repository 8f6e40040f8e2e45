"""ESNet: predict formation energies of relaxed crystals from the densities of states of unrelaxed ones.

The public Python interface is `open_bundle`, `predict`, `read_dos` and `Dataset`, with the classes that they return
(docs/reference/python.md).
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, which takes time to import

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from esnet.api import open_bundle as open_bundle
    from esnet.api import predict as predict
    from esnet.api import read_dos as read_dos
    from esnet.bundle.assessor import Assessment as Assessment
    from esnet.bundle.bundle import Bundle as Bundle
    from esnet.dataset.dataset import Dataset as Dataset
    from esnet.representation.grid_dos import GridDos as GridDos
    from esnet.scoring.prediction import Prediction as Prediction

    __version__: str


def lazy_names(
    package: str, names: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package that imports its public names on first use.

    Parameters
    ----------
    package
        Name of the package.
    names
        Public name -> module that defines it. ``__version__`` is added, from ``pyproject.toml``.
    """

    def find(name: str) -> object:
        if name == "__version__":
            from importlib.metadata import version

            return version("esnet-campaign")
        if name not in names:
            raise AttributeError(f"the package {package} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(names[name]), name)

    def listed() -> list[str]:
        return [*names, "__version__"]

    return find, listed, list(names)


if not TYPE_CHECKING:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "open_bundle": "esnet.api",
            "predict": "esnet.api",
            "read_dos": "esnet.api",
            "Prediction": "esnet.scoring.prediction",
            "GridDos": "esnet.representation.grid_dos",
            "Bundle": "esnet.bundle.bundle",
            "Assessment": "esnet.bundle.assessor",
            "Dataset": "esnet.dataset.dataset",
        },
    )

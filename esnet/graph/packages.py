"""Import of aviary, matgl and torch without unused dependencies (wandb and TensorFlow)."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from esnet.files.errors import require
from esnet.graph.kinds import GraphKind

EXTRA = "graph"


def require_graph_packages(kind: GraphKind) -> None:
    """Raise MissingExtraError, naming the extra, if a package that a graph model needs is not installed."""
    for package in kind.packages:
        # only looked up, since importing matgl takes seconds
        if importlib.util.find_spec(package) is None:
            require(package, extra=EXTRA)


def load(module: str) -> Any:
    """Import and return a module of aviary or matgl.

    aviary imports Weights & Biases and TensorBoard (which in turn imports TensorFlow) to write logs when it trains a
    model itself, which is not done here. During the import they are therefore replaced by empty modules, unless the
    real ones are already loaded.

    Raises
    ------
    MissingExtraError
        If the package is not installed.
    """
    package = module.partition(".")[0]
    with _without_loggers():
        require(package, extra=EXTRA)
        return importlib.import_module(module)


@contextmanager
def _without_loggers() -> Iterator[None]:
    wandb, tensorboard = ModuleType("wandb"), ModuleType("torch.utils.tensorboard")
    tensorboard.SummaryWriter = type("SummaryWriter", (), {})  # type: ignore[attr-defined]
    stand_ins = {each.__name__: each for each in (wandb, tensorboard) if each.__name__ not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, module in stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]

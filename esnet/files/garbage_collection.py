"""Work that makes very many objects and no garbage: looking for some takes a third to a half of its time."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Let Python not look for cyclic garbage, as while JSON is read or TensorFlow is loaded."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()

"""Suspend garbage collection in code that creates many objects but no garbage, which saves 30 to 50 % of its time."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Suspend the collection of cyclic garbage, e.g. while reading JSON or loading TensorFlow."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()

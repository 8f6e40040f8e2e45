"""Suppress TensorFlow's startup messages, which no setting disables, without losing other output."""

import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

#: Lines that TensorFlow writes before its log is set up: information on its build that users cannot act on.
_CHATTER = re.compile(rb"WARNING: All log messages before absl|[IW]\d{4} \d\d:\d\d:|To enable the following")


class _Uses:
    """Counter of the blocks that hold back standard error: the first one redirects it, the last one restores it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self._ending = ExitStack()

    def begin(self) -> None:
        with self._lock:
            if not self._number:
                self._ending.enter_context(_turned_aside())
            self._number += 1

    def end(self) -> None:
        with self._lock:
            self._number -= 1
            if not self._number:
                self._ending.close()


_USES = _Uses()


@contextmanager
def without_chatter() -> Iterator[None]:
    """Hold back standard error inside the block, and afterwards write everything but TensorFlow's startup messages.

    The file descriptor itself is redirected, because TensorFlow writes to it from C++, bypassing Python's streams. All
    threads share the descriptor: if blocks overlap, the output appears when the last one ends.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    _USES.begin()
    try:
        yield
    finally:
        # set afterwards, since importing TensorFlow resets it: one trace per network of an ensemble is expected
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        _USES.end()


@contextmanager
def _turned_aside() -> Iterator[None]:
    try:
        stream = os.dup(2)
    except OSError:  # closed, so there is nothing to hold back
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stream, 2)
            os.close(stream)
            held.seek(0)
            if said := b"".join(line for line in held if not _CHATTER.match(line)):
                os.write(2, said)

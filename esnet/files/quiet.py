"""Suppression of TensorFlow's messages at startup, which no setting disables; other output is kept."""

import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

#: Its lines before its log is set up: information and warnings about this build, which no user can act on.
_CHATTER = re.compile(rb"WARNING: All log messages before absl|[IW]\d{4} \d\d:\d\d:|To enable the following")


class _Uses:
    """Counts the users that hold back standard error: the first redirects it, the last one restores it."""

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
    """Hold back output to standard error, and afterwards write the part that is not TensorFlow's chatter.

    TensorFlow writes from C++ to the file descriptor, bypassing Python's streams: therefore that is redirected. The
    descriptor is that of all threads: where they overlap, the held output appears when the last one has finished.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    _USES.begin()
    try:
        yield
    finally:
        # afterwards, since importing TensorFlow sets it: a trace for each network of an ensemble is no mistake
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        _USES.end()


@contextmanager
def _turned_aside() -> Iterator[None]:
    try:
        stream = os.dup(2)
    except OSError:  # closed: nothing is written, nothing is held back
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

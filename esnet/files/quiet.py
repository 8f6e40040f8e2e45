"""TensorFlow starts without its own chatter, which no setting of it silences; everything else is still said."""

import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

#: Its lines before its log is set up: information and warnings about this build, which no user can act on.
_CHATTER = re.compile(rb"WARNING: All log messages before absl|[IW]\d{4} \d\d:\d\d:|To enable the following")


@contextmanager
def without_chatter() -> Iterator[None]:
    """Hold back what is written to standard error inside, and write what is not TensorFlow's chatter afterwards.

    TensorFlow writes from C++ to the file descriptor, past Python's streams: that is what is turned aside.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
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
            # afterwards, since importing TensorFlow sets it: a trace for each network of an ensemble is no mistake
            logging.getLogger("tensorflow").setLevel(logging.ERROR)
            sys.stderr.flush()
            os.dup2(stream, 2)
            os.close(stream)
            held.seek(0)
            if said := b"".join(line for line in held if not _CHATTER.match(line)):
                os.write(2, said)

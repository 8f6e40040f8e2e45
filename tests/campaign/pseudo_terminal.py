"""A command on a pseudo-terminal, as a person sees it."""

import os
import pty
import re
import select
import signal
import time


class PseudoTerminal:
    """A command on a terminal of 60 columns, killed at the end of the block; what it writes is kept.

    `seconds` is the longest time that is waited for a text, or for its end.
    """

    def __init__(self, words, *, rows=30, folder=".", seconds=300, **variables):
        self.output = ""
        self._seconds = seconds
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ |= {"COLUMNS": "60", "LINES": str(rows), "TERM": "xterm", **variables}
            # a test run that was started in the background ignores Ctrl-C, and its children would too
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execv(words[0], [str(word) for word in words])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._terminal)

    def _read(self, deadline):
        """What is printed next; None when the command has closed its end."""
        ready, _, _ = select.select([self._terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"nothing more is printed after:\n{self.output}"
        try:
            return os.read(self._terminal, 65536).decode(errors="replace") or None
        except OSError:
            return None

    def read_until(self, pattern):
        """Read until a pattern was printed after what was read before; return what was read."""
        start, deadline = len(self.output), time.monotonic() + self._seconds
        while not re.search(pattern, self.output[start:]):
            printed = self._read(deadline)
            assert printed is not None, f"ended after:\n{self.output}"
            self.output += printed
        return self.output[start:]

    def wait(self):
        """Exit code of the command."""
        deadline = time.monotonic() + self._seconds
        while (printed := self._read(deadline)) is not None:
            self.output += printed
            assert time.monotonic() < deadline, f"it does not end:\n{self.output}"
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = None
        return code

"""Call a function in a process of its own, with limits on its time and memory, and say how it ended."""

import faulthandler
import json
import os
import resource
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Ending = Literal["read", "refused", "traceback", "killed"]

LARGEST_MEMORY = 2 << 30
"""Bytes that a call may add to what the process has."""
LONGEST_CPU_S = 20


@dataclass(frozen=True)
class Outcome:
    """How a call ended.

    Attributes
    ----------
    ending
        ``read``: it returned; ``refused``: with an error that a user can mend; ``traceback``: with another error, too
        much memory among them; ``killed``: by a signal, of the limit on CPU time or of a fault.
    said
        Message, or the end of the traceback.
    """

    ending: Ending
    said: str

    @property
    def is_wrong(self) -> bool:
        """Whether no file may end a call in this way."""
        return self.ending in ("traceback", "killed")


def call_guarded(
    function: Callable[[Any], Any], argument: Any, is_user_error: Callable[[BaseException], bool]
) -> Outcome:
    """Call a function in a fork of this process."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        try:
            _limit()
            ending, said = _call(function, argument, is_user_error)
            os.write(writing, json.dumps([ending, said[-8000:]]).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(pid, 0)
    return Outcome(*json.loads(answer)) if answer else Outcome("killed", f"status {status}")


def _limit() -> None:
    faulthandler.disable()  # pytest's would print a page for each crash
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + LARGEST_MEMORY,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (LONGEST_CPU_S + int(sum(os.times()[:2])),) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(10 * LONGEST_CPU_S)  # of a call that waits for something
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)


def _call(
    function: Callable[[Any], Any], argument: Any, is_user_error: Callable[[BaseException], bool]
) -> tuple[Ending, str]:
    try:
        return "read", repr(function(argument))[:300]
    except BaseException as error:  # noqa: BLE001 - which kinds there are is what is asked
        return ("refused", str(error)) if is_user_error(error) else ("traceback", traceback.format_exc())

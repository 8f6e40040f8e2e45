"""Distinguish failures of the calculation from failures of the machine."""

import re
import traceback
from typing import Literal

from custodian.custodian import CustodianError, ReturnCodeError, ValidationError


class ScienceFailureError(RuntimeError):
    """The calculation ran but failed physically: no convergence, or custodian gave up. Not retried.

    Parameters
    ----------
    message
        What happened.
    cause
        The cause in a word, see `campaign.attempts.causes`.
    """

    def __init__(self, message: str, *, cause: str | None = None) -> None:
        super().__init__(message)
        self.cause = cause or "not_converged"


def kind_in_trace(error: str) -> Literal["science", "machine"]:
    """Return `failure_kind` for the last line of a stack trace (``custodian.custodian.MaxCorrectionsError: ...``)."""
    module, _, name = error.partition(":")[0].strip().rpartition(".")
    of_machine = (ReturnCodeError.__name__, ValidationError.__name__)
    is_verdict = name.endswith("Error") and module == CustodianError.__module__ and name not in of_machine
    return "science" if is_verdict or name == ScienceFailureError.__name__ else "machine"


def failure_kind(error: BaseException, *, cause: str | None = None) -> Literal["science", "machine"]:
    """Return whether the calculation (``science``) or the machine that ran it failed.

    Parameters
    ----------
    error
        Exception that ended the attempt.
    cause
        The cause in a word, see `campaign.attempts.causes`: custodian also gives up runs that were killed from outside.

    custodian's verdicts (no handler left, too many corrections) are about the calculation. A program that ended with an
    error code or incomplete outputs, without an error known to custodian, was killed or crashed; this, a full disk, or
    a lost database is a machine failure.
    """
    if isinstance(error, ReturnCodeError | ValidationError):
        return "machine"
    if isinstance(error, CustodianError):
        return "science" if cause is None or cause.startswith("custodian:") else "machine"
    return "science" if isinstance(error, ScienceFailureError) else "machine"


def error_message(error: BaseException) -> str:
    """Return the message of an exception, without object addresses (``<... object at 0x7f...>``)."""
    message = "".join(traceback.format_exception_only(error)).strip()
    return re.sub(r"<(?:[\w.]+\.)?(\w+)(?: \w+)* at 0x[0-9a-fA-F]+>", r"\1", message)

"""Distinguishes failures of the calculation from failures of the machine that ran it."""

import re
import traceback
from typing import Literal

from custodian.custodian import CustodianError, ReturnCodeError, ValidationError


class ScienceFailureError(RuntimeError):
    """The calculation ran and its physics failed: no convergence, or custodian gave up. Not tried again.

    Parameters
    ----------
    message
        What happened.
    cause
        The same in a word, as `campaign.attempts.causes` has it.
    """

    def __init__(self, message: str, *, cause: str | None = None) -> None:
        super().__init__(message)
        self.cause = cause or "not_converged"


def kind_in_trace(error: str) -> Literal["science", "machine"]:
    """`failure_kind` of the last words of a stack trace (``custodian.custodian.MaxCorrectionsError: ...``)."""
    module, _, name = error.partition(":")[0].strip().rpartition(".")
    of_machine = (ReturnCodeError.__name__, ValidationError.__name__)
    is_verdict = name.endswith("Error") and module == CustodianError.__module__ and name not in of_machine
    return "science" if is_verdict or name == ScienceFailureError.__name__ else "machine"


def failure_kind(error: BaseException, *, cause: str | None = None) -> Literal["science", "machine"]:
    """Tell a failure of the calculation from a failure of the machine that ran it.

    Parameters
    ----------
    error
        What ended an attempt.
    cause
        The same in a word, as `campaign.attempts.causes` has it: custodian also gives up what was killed from outside.

    custodian's verdicts (no handler left, too many corrections) are about the calculation. A program that ended with
    an error code or without complete outputs and without any error that custodian knows was killed or has crashed;
    that, a full disk or a lost database is the machine's.
    """
    if isinstance(error, ReturnCodeError | ValidationError):
        return "machine"
    if isinstance(error, CustodianError):
        return "science" if cause is None or cause.startswith("custodian:") else "machine"
    return "science" if isinstance(error, ScienceFailureError) else "machine"


def error_message(error: BaseException) -> str:
    """What an exception says, without what only its own process could make use of (``<... object at 0x7f...>``)."""
    message = "".join(traceback.format_exception_only(error)).strip()
    return re.sub(r"<(?:[\w.]+\.)?(\w+)(?: \w+)* at 0x[0-9a-fA-F]+>", r"\1", message)

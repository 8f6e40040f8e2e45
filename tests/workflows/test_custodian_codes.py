"""docs/reference/custodian-codes.md knows every error code that the installed custodian can give."""

import inspect
import re
from pathlib import Path

from custodian.custodian import ErrorHandler

from workflows.error_handlers import LastResortHandler, RemedyHandler, error_handlers

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "custodian-codes.md"


def codes(handler: ErrorHandler) -> set[str]:
    """Codes of a handler: those of its table of messages, and those that it writes itself."""
    source = inspect.getsource(type(handler))
    written = re.findall(r'"errors": \["([^"]+)"', source) + re.findall(r'errors \+?= \["([^"]+)"', source)
    return {*getattr(handler, "error_msgs", ()), *written}


def test_every_code_of_the_installed_custodian_is_documented():
    section = DOCUMENT.read_text(encoding="utf-8")
    named = {
        code
        for row in section.splitlines()
        if row.startswith("|")
        for code in re.findall("`([^`]+)`", row.split("|")[1])
    }
    inner = [handler.handler if isinstance(handler, RemedyHandler) else handler for handler in error_handlers()]
    found = {code for handler in inner if not isinstance(handler, LastResortHandler) for code in codes(handler)}
    assert len(found) > 50
    assert all(codes(handler) for handler in inner if not isinstance(handler, LastResortHandler))
    assert named == found

"""The documents that a campaign stores, as Markdown, from the typed classes of `campaign/store/documents.py`."""

from __future__ import annotations

import ast
import re
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "campaign" / "store" / "documents.py"


def stored_documents() -> str:
    """A heading and a table for each class, in the order of the file: field, type, meaning (its comment)."""
    text = SOURCE.read_text(encoding="utf-8")
    lines = text.splitlines()
    classes = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    return "\n\n".join(_table(found, lines) for found in classes) + "\n"


def _table(found: ast.ClassDef, lines: list[str]) -> str:
    fields = [node for node in found.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)]
    rows = []
    for field in fields:
        assert isinstance(field.target, ast.Name)
        kind = re.sub(r"^Required\[(.*)\]$", r"\1", ast.unparse(field.annotation)).replace("|", "\\|")
        rows.append(f"| `{field.target.id}` | `{kind}` | {_comment(field, lines)} |")
    about = " ".join((ast.get_docstring(found) or "").split()).replace("``", "`")
    name = found.name.removesuffix("Document")
    return f"### {name}\n\n{about}\n\n| field | type | meaning |\n| --- | --- | --- |\n" + "\n".join(rows)


def _comment(field: ast.AnnAssign, lines: list[str]) -> str:
    """The comment behind a field, else the one above it."""
    assert field.end_lineno is not None
    behind = lines[field.end_lineno - 1][field.end_col_offset :].partition("#")[2]
    above = lines[field.lineno - 2].strip()
    found = behind or (above.removeprefix("#") if above.startswith("#") else "")
    return found.strip().replace("|", "\\|").replace("<", "&lt;").replace("``", "`")

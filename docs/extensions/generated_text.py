"""Sphinx extension: text that is not written in docs/.

* ``% generated: NAME``: made from the program when the documentation is built, so it cannot be out of date; the NAMEs
  are the keys of `GENERATED`.
* ``% file: README.md``: a Markdown file of the repository, with its links turned so that they work from that page.

A quotation below a mark, ``> In a clone ...``, is for readers of the source and is left out.

Links to such files in other pages lead to the pages that show them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from built_in_data import element_table, prototype_table
from campaign_fields import campaign_fields
from command_help import command_help
from python_names import python_names
from sphinx.errors import ExtensionError
from stored_documents import stored_documents

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
GENERATED = {
    "campaign fields": campaign_fields,
    "commands": command_help,
    "prototypes": prototype_table,
    "elements": element_table,
    "python": python_names,
    "documents": stored_documents,
}
SHOWN = {
    ROOT / "README.md": "readme.md",
    ROOT / "CONTRIBUTING.md": "explanation/contributing.md",
    ROOT / "CHANGELOG.md": "reference/changelog.md",
    ROOT / "SECURITY.md": "reference/security-policy.md",
    ROOT / "esnet" / "bundles" / "gpaw-fast-binary" / "README.md": "reference/gpaw-fast-binary.md",
    ROOT / "esnet" / "bundles" / "gpaw-fast-relaxation" / "README.md": "reference/gpaw-fast-relaxation.md",
}
"""Files of the repository that are pages here."""
_MARK = re.compile(r"^% (generated|file): (.+)$(?:\n\n> In a clone.*$)?", flags=re.MULTILINE)
_LINK = re.compile(r"\]\((?!#)([^)\s#]+)(#[^)\s]*)?\)")


def insert(_app: Sphinx, page: str, text: list[str]) -> None:
    """Fill in the marks of one page, and turn its links.

    Raises
    ------
    sphinx.errors.ExtensionError
        If a mark names something that is not there.
    """

    def made(found: re.Match[str]) -> str:
        name = found[2].strip()
        if found[1] == "file":
            if (file := ROOT / name) not in SHOWN:
                raise ExtensionError(f"{page}: found '% file: {name}'; right: a file named in {Path(__file__).name}")
            return turn_links(file.read_text(encoding="utf-8"), file.parent, folder)
        if name not in GENERATED:
            raise ExtensionError(f"{page}: found '% generated: {name}'; right: one of {', '.join(GENERATED)}")
        return GENERATED[name]()

    folder = (DOCS / page).parent
    text[0] = _MARK.sub(made, turn_links(text[0], folder, folder))


def turn_links(text: str, source: Path, folder: Path) -> str:
    """Turn a text's links, which start at the folder ``source``, into ones that start at ``folder`` (a page's)."""

    def turned(found: re.Match[str]) -> str:
        target, anchor = found[1], found[2] or ""
        if "://" in target or target.startswith("mailto:"):
            return found[0]
        file = (source / target).resolve()
        file = DOCS / SHOWN[file] if file in SHOWN else file
        return f"]({os.path.relpath(file, folder)}{anchor})"

    return _LINK.sub(turned, text)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it."""
    app.connect("source-read", insert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

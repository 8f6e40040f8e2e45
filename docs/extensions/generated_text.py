"""Sphinx extension: text that is not written in docs/.

* ``% generated: NAME``: made from the program when the documentation is built, so it cannot be out of date; the NAMEs
  are the keys of `GENERATED`.
* ``% file: README.md``: a Markdown file of the repository, with its links as they are from here; with
  ``# Where the results are`` behind it that section alone, without its heading.
* ``% pages: cluster, ray``: in a list of pages, those of these that there are.

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
}
SHOWN = {
    ROOT / "README.md": "readme.md",
    ROOT / "CONTRIBUTING.md": "contributing.md",
    ROOT / "CHANGELOG.md": "changelog.md",
    ROOT / "SECURITY.md": "security-policy.md",
    ROOT / "esnet" / "bundles" / "gpaw-fast-binary" / "README.md": "gpaw-fast-binary.md",
}
"""Files of the repository that are pages here."""
_MARK = re.compile(r"^% (generated|file|pages): (.+)$", flags=re.MULTILINE)
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
        if found[1] == "pages":
            return "\n".join(word for word in name.split(", ") if (DOCS / f"{word}.md").exists())
        if found[1] == "file":
            path, _, heading = (part.strip() for part in name.partition("#"))
            if (file := ROOT / path) not in SHOWN:
                raise ExtensionError(f"{page}: found '% file: {name}'; right: a file named in {Path(__file__).name}")
            text = links_from(file.read_text(encoding="utf-8"), file.parent)
            return section_of(text, heading, page) if heading else text
        if name not in GENERATED:
            raise ExtensionError(f"{page}: found '% generated: {name}'; right: one of {', '.join(GENERATED)}")
        return GENERATED[name]()

    text[0] = _MARK.sub(made, links_from(text[0], DOCS))


def links_from(text: str, folder: Path) -> str:
    """Turn a text's links, which start at its folder, into ones that start in docs/."""

    def turned(found: re.Match[str]) -> str:
        target, anchor = found[1], found[2] or ""
        if "://" in target or target.startswith("mailto:"):
            return found[0]
        file = (folder / target).resolve()
        if file in SHOWN:
            return f"]({SHOWN[file]}{anchor})"
        return f"]({os.path.relpath(file, DOCS)}{anchor})"

    return _LINK.sub(turned, text)


def section_of(text: str, heading: str, page: str) -> str:
    """The text below one heading of the second level, up to the next; headings in it stay a level below the page's.

    Raises
    ------
    sphinx.errors.ExtensionError
        If there is no such heading.
    """
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, flags=re.DOTALL | re.MULTILINE)
    if found is None:
        raise ExtensionError(f"{page}: there is no heading {heading!r}")
    return re.sub(r"^##(#+ )", r"#\1", found[1], flags=re.MULTILINE)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it."""
    app.connect("source-read", insert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

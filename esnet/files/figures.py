"""Save matplotlib figures to files."""

from pathlib import Path
from typing import Any

from esnet.files.atomic import whole_file
from esnet.files.errors import require


def save_figure(figure: Any, stem: Path, *, dpi: int = 150, fonttype: str = "path") -> list[Path]:
    """Write a ``matplotlib.figure.Figure`` as ``.png`` and ``.svg``; the same figure gives identical files.

    Parameters
    ----------
    figure
        The figure.
    stem
        Path of the files without suffix.
    dpi
        Resolution of the PNG.
    fonttype
        Whether text in the SVG is converted to outlines (``path``) or remains text (``none``).
    """
    matplotlib = require("matplotlib", extra="esnet")
    files = []
    with matplotlib.rc_context({"svg.fonttype": fonttype, "svg.hashsalt": "esnet"}):
        for suffix, metadata in ((".png", {"Software": None}), (".svg", {"Date": None})):
            file = stem.with_suffix(suffix)
            with whole_file(file) as temporary:
                figure.savefig(temporary, format=suffix[1:], dpi=dpi, metadata=metadata)
            files.append(file)
    return files

"""Sphinx settings of the documentation: `make docs` builds it, with no network, and any warning is an error."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# the package as it stands in this folder, installed or not; and the extensions of this documentation
sys.path[:0] = [str(HERE.parent), str(HERE / "extensions")]

project = "esnet-campaign"
author = "The esnet-campaign developers"
language = "en"
extensions = ["myst_nb", "generated_text"]
exclude_patterns = ["_build"]
root_doc = "index"

myst_heading_anchors = 4
# notebooks are shown with the outputs that they have; a test runs them
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "attrs_inline"]

html_theme = "furo"
html_title = "esnet-campaign"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
pygments_style = "default"
pygments_dark_style = "native"

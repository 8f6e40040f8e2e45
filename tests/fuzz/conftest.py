"""The fuzz tests use the files of the readers' own tests."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "esnet"))

"""The test SLURM's modules, which a way of running a campaign uses, lie in a folder of their own."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "cluster"))

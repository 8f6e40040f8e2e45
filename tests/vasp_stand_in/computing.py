"""vasp-gpaw computes what was not recorded yet."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from vasp_stand_in.inputs import Inputs
from vasp_stand_in.recordings import keep

_ROOT = Path(__file__).resolve().parents[2]
#: Tags of VASP's parallelism and of what it writes; vasp-gpaw need not understand them.
_WITHOUT = ("NCORE", "NPAR", "KPAR", "NSIM", "LPLANE", "LSCALAPACK")


def compute(inputs: Inputs, folder: Path) -> None:
    """Compute in a scratch folder, and keep the outputs as a recording.

    Raises
    ------
    SystemExit
        If vasp-gpaw refuses the input; what it says is said.
    """
    # not at the top: these need the product, a replay does not
    from workflows.gpaw_vasp.potcars import header_potcar

    with tempfile.TemporaryDirectory(prefix="vasp-stand-in-") as name:
        scratch = Path(name)
        for file in ("POSCAR", "KPOINTS"):
            shutil.copyfile(file, scratch / file)
        tags = {tag: value for tag, value in inputs.tags.items() if tag not in _WITHOUT}
        (scratch / "INCAR").write_text("".join(f"{tag} = {value}\n" for tag, value in tags.items()))
        symbols = [title.split()[1] for title in inputs.titles]
        (scratch / "POTCAR").write_text("".join(header_potcar(symbol) for symbol in symbols))
        search = os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            [sys.executable, "-m", "workflows.gpaw_vasp"],
            cwd=scratch,
            env={**os.environ, "PYTHONPATH": search, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.stderr.write(done.stdout + done.stderr)
            raise SystemExit(done.returncode)
        keep(scratch, folder)

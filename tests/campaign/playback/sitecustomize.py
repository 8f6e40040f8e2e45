"""A stand-in for vasp-gpaw in tests: with this folder in PYTHONPATH the engine writes what it wrote once before.

There is a folder for each crystal, named by the elements of its POSCAR.

``ENGINE_S`` is how long it takes; ``ENGINE_CUT=OUTCAR:120`` leaves that many bytes of a file, as a full disk does;
each start is noted in the file ``ENGINE_LOG``.
"""

import gzip
import os
import sys
import time
from pathlib import Path

if sys.orig_argv[1:3] == ["-m", "workflows.gpaw_vasp"]:
    if log := os.environ.get("ENGINE_LOG"):
        with Path(log).open("a") as file:
            file.write(f"{os.getcwd()}\n")
    time.sleep(float(os.environ.get("ENGINE_S", "0")))
    cut, _, size = os.environ.get("ENGINE_CUT", "").partition(":")
    elements = Path("POSCAR").read_text(encoding="utf-8").splitlines()[5].split()
    for recorded in (Path(__file__).parent / "".join(elements)).glob("*.gz"):
        content = gzip.decompress(recorded.read_bytes())
        Path(recorded.stem).write_bytes(content[: int(size)] if recorded.stem == cut else content)
    os._exit(0)

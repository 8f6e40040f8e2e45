"""A stand-in for vasp-gpaw in tests: with this folder in PYTHONPATH the engine writes what it wrote once before.

There is a folder for each crystal, named by the elements of its POSCAR. Its vasprun.xml says that the engine read the
INCAR and KPOINTS which lie there now.

``ENGINE_S`` is how long it takes; ``ENGINE_CUT=OUTCAR:120`` leaves that many bytes of a file, as a full disk does;
each start is noted in the file ``ENGINE_LOG``. ``ENGINE_INCAR`` is appended to INCAR first, as scripts around VASP do.
"""

import gzip
import os
import re
import sys
import time
from pathlib import Path


def _tag(line: str) -> str:
    """A line of INCAR as vasprun.xml has it."""
    tag, _, value = (part.strip() for part in line.partition("="))
    if value in ("True", "False"):
        return f'<i type="logical" name="{tag}">{value[0]}</i>'
    if re.fullmatch(r"-?\d+", value):
        return f'<i type="int" name="{tag}">{value}</i>'
    if re.fullmatch(r"-?[\d.]+(e-?\d+)?", value):
        return f'<i name="{tag}">{value}</i>'
    if repeated := re.findall(r"(\d+)\*([\d.]+)", value):
        return f'<v name="{tag}">{" ".join(each for number, each in repeated for _ in range(int(number)))}</v>'
    return f'<i type="string" name="{tag}">{value}</i>'


def _with_inputs(vasprun: str) -> str:
    lines = {line.partition("=")[0].strip(): line for line in Path("INCAR").read_text(encoding="utf-8").splitlines()}
    incar = "".join(_tag(line) for tag, line in lines.items() if tag)
    _, _, style, divisions, *_ = Path("KPOINTS").read_text(encoding="utf-8").splitlines()
    vasprun = re.sub(r"<incar>.*?</incar>", f"<incar>{incar}</incar>", vasprun, flags=re.DOTALL)
    vasprun = re.sub(r'<generation param="\w+">', f'<generation param="{style}">', vasprun)
    return re.sub(r'(name="divisions">)[\d ]+', rf"\g<1>{divisions}", vasprun)


if sys.orig_argv[1:3] == ["-m", "workflows.gpaw_vasp"]:
    if log := os.environ.get("ENGINE_LOG"):
        with Path(log).open("a") as file:
            file.write(f"{os.getcwd()}\n")
    with Path("INCAR").open("a", encoding="utf-8") as file:
        file.write(f"\n{os.environ.get('ENGINE_INCAR', '')}\n")
    time.sleep(float(os.environ.get("ENGINE_S", "0")))
    cut, _, size = os.environ.get("ENGINE_CUT", "").partition(":")
    elements = Path("POSCAR").read_text(encoding="utf-8").splitlines()[5].split()
    for recorded in (Path(__file__).parent / "".join(elements)).glob("*.gz"):
        content = gzip.decompress(recorded.read_bytes())
        left_out = len(content) - int(size or 0)
        if recorded.stem == "vasprun.xml":
            content = _with_inputs(content.decode()).encode()
        Path(recorded.stem).write_bytes(content[: -left_out if int(size) else 0] if recorded.stem == cut else content)
    os._exit(0)

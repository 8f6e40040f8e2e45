"""Runs a notebook of docs/notebooks where its first cell says that it runs: with the files and commands it names.

`python tests/notebook_runs.py` runs both in empty folders and writes their outputs into the repository.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).resolve().parents[1] / "docs" / "notebooks"
NAMES = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))
_LONGEST_CELL_S = 600


def read(name: str) -> NotebookNode:
    return nbformat.read(NOTEBOOKS / name, as_version=4)


def files_asked_for(notebook: NotebookNode) -> list[str]:
    """Files beside the notebook that its first cell names."""
    beside = (path.name for path in NOTEBOOKS.iterdir())
    return sorted(name for name in beside if name in notebook.cells[0].source and not name.endswith(".ipynb"))


def commands_asked_for(notebook: NotebookNode) -> list[str]:
    """Command lines of its first cell."""
    return re.findall(r"^\$ (.+)$", notebook.cells[0].source, flags=re.MULTILINE)


def run(name: str, folder: Path, *, environment: Mapping[str, str]) -> NotebookNode:
    """Run a notebook in a folder, in the environment given (with this Python), and return it with its outputs."""
    notebook = read(name)
    for file in files_asked_for(notebook):
        shutil.copy(NOTEBOOKS / file, folder)
    for line in commands_asked_for(notebook):
        done = subprocess.run(
            ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    with tempfile.TemporaryDirectory() as place:
        kernel = Path(place) / "kernels" / "asked"
        kernel.mkdir(parents=True)
        started = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        (kernel / "kernel.json").write_text(
            json.dumps({"argv": started, "display_name": "asked", "language": "python"})
        )
        own = {"JUPYTER_PATH": place, "JUPYTER_RUNTIME_DIR": place, "IPYTHONDIR": place, "MPLCONFIGDIR": place}
        before = dict(os.environ)
        os.environ.update(own)
        try:
            client = NotebookClient(
                notebook,
                kernel_name="asked",
                timeout=_LONGEST_CELL_S,
                resources={"metadata": {"path": str(folder)}},
                record_timing=False,
            )
            client.execute(env={**environment, **own})
        finally:
            os.environ.clear()
            os.environ.update(before)
    return cleaned(notebook)


def cleaned(notebook: NotebookNode) -> NotebookNode:
    """Leave out what changes from run to run: counters, times, names of the kernel."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
        if cell.cell_type == "code":
            cell.execution_count = None
            for output in cell.outputs:
                if "execution_count" in output:
                    output.execution_count = None
                if "metadata" in output:
                    output.metadata = nbformat.from_dict({})
    return notebook


def texts(notebook: NotebookNode) -> list[str]:
    """What the code cells have written, pictures left out."""
    found = []
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        parts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
        found.append("".join(parts))
    return found


if __name__ == "__main__":
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ours = {**os.environ, "PATH": path, "PYTHONPATH": str(NOTEBOOKS.parents[1])}
    for each in sys.argv[1:] or NAMES:
        empty = Path(tempfile.mkdtemp())
        made = run(each, empty, environment=ours)
        nbformat.write(made, NOTEBOOKS / each)
        if commands_asked_for(made):
            subprocess.run(["campaign", "db", "stop"], cwd=empty, env=ours, check=True)
        shutil.rmtree(empty)

"""The notebooks of docs/notebooks: clean as they are stored, and true where their first cell says that they run."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from notebook_runs import NAMES, NOTEBOOKS, commands_asked_for, files_asked_for, read, run, texts

ROOT = Path(__file__).resolve().parents[1]
_LARGEST_B = 200_000


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_notebook_is_clean(name):
    notebook = read(name)
    nbformat.validate(notebook)
    text = (NOTEBOOKS / name).read_text(encoding="utf-8")
    assert len(text) < _LARGEST_B
    assert not [word for word in (str(ROOT), "/tmp/", "/root/", "/home/", "Traceback") if word in text]
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    for cell in notebook.cells:
        assert not cell.metadata
        assert cell.get("execution_count") is None
        for output in cell.get("outputs", []):
            assert output.output_type != "error"
            assert output.get("name") != "stderr"
            assert output.get("execution_count") is None


def test_each_file_beside_the_notebooks_is_asked_for_by_one():
    assert NAMES == ["analyse.ipynb", "predict.ipynb"]
    asked = {file for name in NAMES for file in files_asked_for(read(name))}
    assert asked == {path.name for path in NOTEBOOKS.iterdir() if path.name not in NAMES and path.is_file()}


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> dict[str, str]:
    """The environment of a user who has installed the wheel: what it depends on is that of this Python."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "-q"]
    source = folder / "source"
    packed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in packed.decode().split("\0"):
        # the wheel is built of what is under version control, and leaves no build/ in the repository
        if name.startswith(("campaign/", "esnet/", "launchers/", "workflows/", "pyproject", "README", "LICENSE")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).symlink_to(ROOT / name)
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, source], check=True)
    (wheel,) = folder.glob("esnet_campaign-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", folder / "site", wheel], check=True)
    site = folder / "site"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    environment |= {"PYTHONPATH": str(site), "PATH": f"{site / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    for package in ("campaign", "esnet", "launchers", "workflows"):
        code = f"import {package}; print({package}.__file__)"
        found = subprocess.run(
            [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert found.stdout.startswith(str(site)), found.stderr
    return environment


def test_an_installed_wheel_gives_a_campaign_file_to_begin_with(installed, tmp_path):
    for command in (["example"], ["example", "quickstart"], ["check", "quickstart.yaml"]):
        said = subprocess.run(["campaign", *command], cwd=tmp_path, env=installed, capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
    assert "20 candidates (10 B2, 10 B3)" in said.stdout
    # what the check says is said of the file that the user has
    assert (tmp_path / "quickstart.yaml").read_text().count("examples/") == 0


@pytest.mark.keras
def test_predict_runs_from_an_empty_folder_where_the_wheel_is_installed(installed, tmp_path):
    assert not commands_asked_for(read("predict.ipynb"))
    assert texts(run("predict.ipynb", tmp_path, environment=installed)) == texts(read("predict.ipynb"))


@pytest.mark.mongo
def test_analyse_runs_from_an_empty_folder_where_the_wheel_is_installed(
    installed, tmp_path, write_launchpad, free_port
):
    # a port of its own: another database may have the usual one on this machine
    write_launchpad(tmp_path, port=free_port(), name="notebook")
    try:
        found = run("analyse.ipynb", tmp_path, environment=installed)
    finally:
        program = Path(installed["PYTHONPATH"]) / "bin" / "campaign"
        subprocess.run([program, "db", "stop"], cwd=tmp_path, env=installed, check=False)
    assert texts(found) == texts(read("analyse.ipynb"))

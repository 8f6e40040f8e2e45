"""The tutorials: what each tells its reader to type does what it says, on real services and stored results."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from vasp_stand_in.site import VaspSite

ROOT = Path(__file__).resolve().parents[1]
TUTORIALS = ROOT / "docs" / "tutorials"


def console(page: Path) -> list[str]:
    """Command lines of a page's blocks of the language console, in their order."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]


def typed(line: str, folder: Path, environment: dict[str, str] | None = None) -> str:
    """What a command line prints in a folder; it must end with code 0."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env={**os.environ, "PATH": path, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def test_there_are_five_and_each_is_run_or_looked_at():
    assert {page.stem for page in TUTORIALS.glob("*.md")} == {
        "quickstart",
        "own-structures",
        "vasp",
        "cluster",
        "train",
    }


@pytest.mark.mongo
@pytest.mark.keras
def test_train_and_compare(launchpad_file, tmp_path):
    for pattern in ("quickstart.campaign", "*.gz"):
        for file in (ROOT / "docs" / "notebooks").glob(pattern):
            shutil.copy(file, tmp_path)
    shown = {line: typed(line, tmp_path) for line in console(TUTORIALS / "train.md")}
    said = {" ".join(line.split()[:2]): text for line, text in shown.items()}
    assert "10 samples (10 is_dos" in said["campaign dataset"]
    assert "MAE" in said["esnet evaluate"]
    assert (tmp_path / "evaluation" / "predictions.csv").is_file()
    assert any("2 samples (2 is_dos" in text for line, text in shown.items() if "from-vasp" in line)
    assert "AlPd-B2" in said["esnet predict"]
    assert "bundle: models/alloys" in said["esnet train"]
    assert "MAE" in said["esnet describe"]
    assert (tmp_path / "comparison").is_dir()


@pytest.mark.mongo
def test_with_your_own_vasp(launchpad_file, tmp_path):
    """Steps 5 and 6: the file of the page, checked where VASP and POTCARs are, and its input files."""
    site = VaspSite(tmp_path / "vasp")
    (text,) = re.findall(
        r"^```yaml\n(.*?)^```$", (TUTORIALS / "vasp.md").read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    content = YAML(typ="safe", pure=True).load(text)
    content["spec"]["campaign"]["dft"] |= {"vasp_command": "vasp_std", "potcar_functional": "PBE"}  # of this site
    with (tmp_path / "three.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(content, file)
    said = typed("campaign check three.yaml --write-inputs inputs", tmp_path, site.environment)
    assert "3 candidates" in said
    assert {path.name for path in (tmp_path / "inputs" / "IS-DOS").iterdir()} >= {"INCAR", "KPOINTS", "POSCAR"}
    assert "NSW = 99" in (tmp_path / "inputs" / "relaxation" / "INCAR").read_text()

"""The tutorial on a cluster, typed line by line on the test SLURM."""

import os
import re
import sys
from pathlib import Path

import pytest
from cluster_workplace import ClusterWorkplace

pytestmark = [pytest.mark.slurm, pytest.mark.mongo]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorials" / "cluster.md"


def test_the_tutorial_ends_with_a_campaign_in_the_queue(slurm, launchpad_file):
    place = ClusterWorkplace(slurm, launchpad_file)
    path = f"{Path(sys.executable).parent}{os.pathsep}{slurm.environment['PATH']}"
    blocks = re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    shown = {}
    for line in "".join(blocks).splitlines():
        done = slurm.run(
            *("bash", "-c", 'cd "$1"; eval "$2"', "-", str(place.folder), line.removeprefix("$ ")),
            environment={**place.environment, "PATH": path},
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}{place.said()}"
        shown[line.removeprefix("$ ")] = done.stdout + done.stderr
    assert "1 candidate" in shown["campaign check first.yaml"]
    assert shown["campaign cluster check cluster --submit"].count("versions: as here") == 4
    assert "submitted" in shown["campaign cluster run cluster --once"]
    assert "first" in shown["campaign list"]
    place.drop()

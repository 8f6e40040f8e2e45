"""Whole campaigns with `engine: vasp` on one machine, in which VASP dies in many ways."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from campaign.store.collections import CampaignStore
from launchers.database.settings import DatabaseSettings
from vasp_stand_in.expectations import Expected, deviations, inject
from vasp_stand_in.site import write_campaign

pytestmark = [pytest.mark.mongo, pytest.mark.gpaw]

BIN = Path(sys.executable).parent
LIMIT_S = 600
#: By `campaign run`: six candidates and four references.
RUN = [
    Expected(fault="segv_174", elements="Al-Cu", stage="dos", cause="engine_crash", next_try="again"),
    Expected(fault="kill_9", elements="Al-Cu", stage="relax", cause="killed", next_try="continues"),
    Expected(fault="subspace", elements="Al-Cu", stage="rs_dos", cause=None, next_try="completed"),
    Expected(fault="cut_off", elements="Ag-Al", stage="dos", cause="incomplete_output", next_try="again"),
    Expected(fault="brmix", elements="Ag-Al", stage="relax", cause="brmix", next_try="corrected"),
    Expected(fault="not_found_127", elements="Al-Au", stage="dos", cause="not_found", next_try="given up"),
    Expected(fault="library_127", elements="Ag-Cu", stage="dos", cause="library_missing", next_try="given up"),
    Expected(fault="potcar_mismatch", elements="Au-Cu", stage="dos", cause="potcar_mismatch", next_try="given up"),
    Expected(fault="changed_incar", elements="Ag-Au", stage="dos", cause="input_changed", next_try="given up"),
    Expected(fault="sigterm", elements="Al", stage="relax", cause="killed", next_try="continues"),
    Expected(fault="disk_full", elements="Cu", stage="relax", cause="disk_full", next_try="continues"),
    Expected(fault="license", elements="Ag", stage="relax", cause="license_missing", next_try="again"),
]
#: By `lpad add` and `rlaunch rapidfire`: three candidates and three references.
RAPIDFIRE = [
    Expected(fault="intel_mpi_kill_9", elements="Al-Cu", stage="dos", cause="killed", next_try="again"),
    Expected(fault="open_mpi_kill_9", elements="Al-Cu", stage="relax", cause="killed", next_try="continues"),
    Expected(fault="potcar_missing", elements="Ag-Cu", stage="dos", cause="potcar_missing", next_try="given up"),
    Expected(fault="segv_139", elements="Al", stage="relax", cause="engine_crash", next_try="again"),
    Expected(fault="time_limit_slurm", elements="Cu", stage="relax", cause="timeout", next_try="continues"),
    Expected(fault="quota", elements="Ag", stage="relax", cause="disk_full", next_try="continues"),
]


@pytest.fixture
def environment(vasp_site):
    return {**os.environ, "COLUMNS": "200", **vasp_site.environment}


@pytest.fixture
def store(launchpad_file):
    return CampaignStore(DatabaseSettings.from_file(launchpad_file).launchpad().db)


def run(environment, folder, *words, code=0):
    done = subprocess.run(
        [BIN / words[0], *words[1:]], cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT_S
    )
    said = done.stdout + done.stderr
    assert done.returncode == code, said[-5000:]
    return said


def test_campaign_run_makes_the_right_next_try_of_each_failure(tmp_path, launchpad_file, vasp_site, store, environment):
    inject(vasp_site, RUN)
    write_campaign(tmp_path / "alloys.yaml", elements=["Al", "Cu", "Ag", "Au"])
    said = run(environment, tmp_path, "campaign", "run", "alloys.yaml", "--workers", "2")
    found = deviations(vasp_site, store, RUN)
    assert not found, "\n".join(found)
    assert store.campaigns.find_one({"_id": "alloys"})["state"] == "finished", said[-3000:]
    (relaxed,) = store.candidates.find({"chemsys": "Al-Cu"})
    assert relaxed["relaxation"]["vasp_version"].startswith("5.4.4")
    # four ranks, as OUTCAR says
    attempt = store.attempts.find_one({"document": relaxed["_id"], "stage": "relax", "outcome": "completed"})
    assert attempt["cpu_s"] >= relaxed["relaxation"]["cpu_s"] > 0
    failures = run(environment, tmp_path, "campaign", "failures", "alloys")
    for case in RUN:
        assert case.next_try in ("corrected", "completed") or case.cause in failures


def test_rlaunch_rapidfire_makes_the_right_next_try_of_each_failure(
    tmp_path, launchpad_file, vasp_site, store, environment
):
    environment["VASP_STAND_IN_VERSION"] = "6.4.2"
    inject(vasp_site, RAPIDFIRE)
    write_campaign(tmp_path / "alloys.yaml", elements=["Al", "Cu", "Ag"])
    run(environment, tmp_path, "lpad", "reset", "--password", time.strftime("%Y-%m-%d"))
    run(environment, tmp_path, "lpad", "add", "alloys.yaml")
    run(environment, tmp_path, "rlaunch", "-s", "rapidfire")
    found = deviations(vasp_site, store, RAPIDFIRE)
    assert not found, "\n".join(found)
    assert store.campaigns.find_one({"_id": "alloys"})["state"] == "finished"


def test_a_library_that_is_missing_for_all_costs_three_starts_and_no_result(
    tmp_path, launchpad_file, vasp_site, store, environment
):
    vasp_site.fail("library_127", None, None, times=100)
    file = write_campaign(tmp_path / "alloys.yaml", elements=["Al", "Cu", "Ag"])
    said = run(environment, tmp_path, "campaign", "run", file.name, "--workers", "1", code=1)
    assert "library_missing" in said
    assert len(vasp_site.starts()) == 3
    # the module is loaded now
    vasp_site.mend()
    run(environment, tmp_path, "campaign", "retry", "alloys", "--kind", "library_missing")
    run(environment, tmp_path, "campaign", "resume", "alloys")
    run(environment, tmp_path, "campaign", "run", file.name, "--workers", "2")
    assert store.campaigns.find_one({"_id": "alloys"})["state"] == "finished"
    assert {found["state"] for found in store.candidates.find()} == {"relaxed"}
    assert {start["fault"] for start in vasp_site.starts()[3:]} == {None}

"""How many workers `campaign run` starts: as many as the ranks of VASP's command line leave room for."""

import os

import pytest

from campaign.runner import default_workers
from campaign.spec.campaign_spec import CampaignSpec
from launchers.workers.command_cores import command_cores


@pytest.mark.parametrize(
    ("command", "environment", "cores"),
    [
        ("mpirun -np 16 vasp_std", {}, 16),
        ("/opt/openmpi/bin/mpirun --bind-to core -n 4 /opt/vasp/bin/vasp_std", {}, 4),
        ("mpiexec.hydra -n8 vasp_std", {}, 8),
        ("mpirun -np 4 -genv OMP_NUM_THREADS 2 vasp_std", {}, 8),
        ("mpirun -x OMP_NUM_THREADS=3 -np 4 vasp_std", {"OMP_NUM_THREADS": "8"}, 12),
        ("srun -n 8 vasp_std", {}, 8),
        ("srun --ntasks=8 --cpus-per-task=2 vasp_std", {"OMP_NUM_THREADS": "4"}, 16),
        ("srun -N 2 --ntasks-per-node 6 vasp_gam", {}, 12),
        ("srun vasp_std", {}, 1),
        ("srun vasp_std", {"SLURM_NTASKS": "24"}, 24),
        ("srun -n $SLURM_NTASKS vasp_std", {"SLURM_NTASKS": "6"}, 6),
        ("mpirun -np ${NSLOTS} vasp_std", {"NSLOTS": "6"}, 6),
        ("mpirun -np $NSLOTS vasp_std", {}, None),
        ("mpirun vasp_std", {}, None),
        ("OMP_NUM_THREADS=2 mpirun -np 8 vasp_std", {"OMP_NUM_THREADS": "1"}, 16),
        ("env OMP_NUM_THREADS=2 OMP_PLACES=cores srun -n 8 vasp_std", {}, 16),
        ("aprun -n 32 -d 2 vasp_std", {}, 64),
        ("vasp_std", {}, 1),
        ("vasp_std", {"OMP_NUM_THREADS": "4"}, 4),
        ("timeout 3600 mpirun -np 2 vasp_std", {}, 2),
    ],
)
def test_ranks_and_threads_are_read_from_the_command(command, environment, cores):
    assert command_cores(command, environment).cores == cores


@pytest.mark.parametrize(
    ("command", "number", "why"),
    [
        ("mpirun -np 8 vasp_std", 4, "8 of 32 cores for each calculation: mpirun -np 8"),
        ("OMP_NUM_THREADS=4 srun -n 8 vasp_std", 1, "32 of 32 cores for each calculation: srun -n 8, OMP"),
        ("mpirun -np 64 vasp_std", 1, "64 of 32"),
        ("mpirun vasp_std", 1, "mpirun without -n uses all available cores"),
        ("vasp_std", 32, "it has no MPI launcher: one rank"),
    ],
)
def test_vasp_gets_as_many_workers_as_there_is_room_for(monkeypatch, command, number, why):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(32)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    candidates = {"prototypes": ["B2"], "elements": ["Al", "Ni"]}
    dft = {"engine": "vasp", "vasp_command": command}
    found, said = default_workers(CampaignSpec(name="alloys", candidates=candidates, dft=dft))
    assert found == number
    assert why in said
    # threads of the user's shell count too
    monkeypatch.setenv("OMP_NUM_THREADS", "32")
    assert default_workers(CampaignSpec(name="alloys", candidates=candidates, dft=dft))[0] == 1
    # GPAW computes on one core
    assert default_workers(CampaignSpec(name="alloys", candidates=candidates)) == (32, None)

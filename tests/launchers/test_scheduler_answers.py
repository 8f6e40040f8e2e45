"""What SLURM 22.05, its torque wrapper, and PBS said (recorded), read; and what is no answer taken for none."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launchers.scheduler.jobs import Job, job_states
from launchers.scheduler.pbs_output import parse_qstat
from launchers.scheduler.slurm import Slurm
from launchers.scheduler.slurm_output import (
    JOBCOMP_FIELDS,
    SACCT_FIELDS,
    megabytes,
    parse_config,
    parse_federation,
    parse_sacct,
    parse_scontrol,
    parse_squeue,
    parse_step_costs,
    parse_time_limits,
    seconds,
)
from launchers.scheduler.this_job import this_job

SQUEUE = """\
2  |CANCELLED  |0  |1795545809  |1795545811  |5:00  |15  |cpu  |/tmp/slr  |
4  |PENDING    |1  |1795545932  |1795546232  |5:00  |0   |cpu  |/tmp/slr  |
6  |PENDING    |0  |N/A         |N/A         |5:00  |0   |cpu  |/tmp/slr  |
5  |RUNNING    |0  |1795545809  |1795545869  |1:00  |0   |cpu  |/tmp/slr  |
7  |COMPLETING |0  |1795545809  |1795545869  |1:00  |0   |cpu  |/tmp/slr  |
8  |WHATEVER   |0  |1795545809  |1795545869  |1:00  |0   |cpu  |/tmp/slr  |
"""
JOBCOMP = """\
1|COMPLETED|0:0|1795545809|1795545809|5|cpu|/tmp/slr
3|FAILED|0:9|1795545809|1795545809|5|cpu|/tmp/slr
4|PENDING|0:0|1795545809|1795545811|5|cpu|/tmp/slr
"""
SACCT = """\
11|CANCELLED by 1000|0:0|1795545809|1795545811|00:05:00|cpu|/scratch/launcher_1|4000M|2
12|OUT_OF_MEMORY|0:125|1795545809|1795545811|1-00:00:00|cpu|/scratch/launcher_2|2G|1
13|TIMEOUT|0:0|1795545809|1795545811|00:05:00|cpu|/scratch/launcher_3|256M|1
14|NODE_FAIL|1:0|1795545809|1795545811|00:05:00|cpu|/scratch/launcher_4|256M|1
"""
SCONTROL = (
    "JobId=3 JobName=wrap UserId=root(0) GroupId=root(0) MCS_label=N/A Priority=4294901757 Nice=0 Account=(null) "
    "QOS=(null) JobState=FAILED Reason=JobLaunchFailure Dependency=(null) Requeue=1 Restarts=2 BatchFlag=1 Reboot=0 "
    "ExitCode=0:9 RunTime=00:00:00 TimeLimit=00:05:00 TimeMin=N/A StartTime=1795545809 EndTime=1795545809 "
    "Partition=cpu NumNodes=1 NumCPUs=1 TRES=cpu=1,mem=256M,node=1,billing=1 MinMemoryCPU=256M MinTmpDiskNode=0 "
    "Command=(null) WorkDir=/tmp/slr StdErr=/dev/null StdIn=/dev/null StdOut=/dev/null Power= \n"
)
TORQUE_WRAPPER = """\
Job Id:\t2
\tJob_Name = wrap
\tJob_Owner = root@localhost
\tjob_state = C
\tqueue = cpu
\tqtime = Tue Nov 24 18:43:27 2026
\texec_host = cpu1/1
\tResource_List.walltime = 00:05:00

Job Id:\t6
\tjob_state = Q
\tqueue = cpu
\tResource_List.walltime = 00:05:00
"""
#: As PBS Pro's guides show `qstat -x -f`.
PBS_PRO = """\
Job Id: 1234.pbs01
    Job_Name = AlPd_relaxation
    resources_used.walltime = 02:00:13
    job_state = F
    queue = workq
    Exit_status = -29
    run_count = 1
    Resource_List.mem = 4gb
    Resource_List.walltime = 02:00:00
    Variable_List = PBS_O_HOME=/home/u,PBS_O_WORKDIR=/scratch/runs/laun
\tcher_5,PBS_O_HOST=login1
    comment = Job run at Tue Nov 24 at 18:43 and exceeded resource walltime
"""


#: sacct without -X: the job, what runs beside it, and its steps; the third step without gathered CPU time.
STEPS = """\
21|1795545800|01:00:00|7200
21.batch|1795545800|00:00:05|7200
21.extern|1795545800|00:00:00|7200
21.0|1795545700|00:30:00|3600
21.1|1795545809|1-02:03:04|3600
21.2|1795545810|00:00.250|16
21.3|1795545811|00:00:00|128
21.4|Unknown|00:09:00|128
"""


def test_sacct_says_what_the_steps_of_a_job_have_used_since_a_calculation_began():
    since = datetime.fromtimestamp(1795545809.7, UTC)
    used = (26 * 60 + 3) * 60 + 4 + 0.25 + 128
    assert parse_step_costs(STEPS, since=since) == pytest.approx(used)
    # tasks of arrays too
    assert parse_step_costs("9_4.0|1795545809|00:10.000|5\n", since=since) == pytest.approx(10.0)
    assert parse_step_costs("sacct: error\n|||\n", since=since) == 0.0


def test_squeue_is_read_and_an_unknown_word_is_no_answer():
    states = parse_squeue(SQUEUE)
    assert {key: state.phase for key, state in states.items()} == {
        "2": "ended",
        "4": "pending",
        "6": "pending",
        "5": "running",
        "7": "running",
    }
    assert states["2"].ending == "cancelled"
    assert states["2"].ended == datetime.fromtimestamp(1795545811, UTC)
    assert (states["4"].restarts, states["6"].started, states["5"].time_limit_s) == (1, None, 60.0)
    assert states["7"].is_ending
    assert states["5"].directory == "/tmp/slr"


def test_sacct_and_jobcomp_say_how_a_job_ended():
    endings = {key: state.ending for key, state in parse_sacct(SACCT, SACCT_FIELDS, source="sacct").items()}
    assert endings == {"11": "cancelled", "12": "out_of_memory", "13": "timeout", "14": "node_fail"}
    memory = parse_sacct(SACCT, SACCT_FIELDS, source="sacct")["11"]
    assert (memory.memory_mb, memory.memory_per) == (2000.0, "node")
    kept = parse_sacct(JOBCOMP, JOBCOMP_FIELDS, source="sacct -c")
    assert {key: state.phase for key, state in kept.items()} == {"1": "ended", "3": "ended", "4": "pending"}
    assert kept["3"].exit_code == "0:9"


def test_scontrol_says_whose_memory_was_asked_for():
    (state,) = parse_scontrol(SCONTROL).values()
    assert (state.phase, state.ending, state.restarts) == ("ended", "failed", 2)
    assert (state.memory_mb, state.memory_per, state.time_limit_s) == (256.0, "cpu", 300.0)


def test_qstat_of_the_torque_wrapper_and_of_pbs_pro():
    states = parse_qstat(TORQUE_WRAPPER)
    assert (states["2"].phase, states["2"].ending, states["6"].phase) == ("ended", None, "pending")
    (state,) = parse_qstat(PBS_PRO).values()
    assert (state.job_id, state.ending, state.memory_mb, state.restarts) == ("1234", "timeout", 4096.0, 0)
    assert state.directory == "/scratch/runs/launcher_5"


def test_other_answers():
    config = parse_config("AuthType = auth/munge\nClusterName             = mini\nMinJobAge   = 300 sec\nEpilog  = \n")
    assert (config["ClusterName"], config["MinJobAge"], config["Epilog"]) == ("mini", "300 sec", "")
    assert parse_federation(FEDERATION) == {"east", "west"}
    assert parse_federation("No federation\n") == set()
    assert parse_time_limits("cpu|1:00:00\nlong|1-00:00:00\nfree|infinite\n") == {
        "cpu": 3600.0,
        "long": 86400.0,
        "free": None,
    }
    assert [megabytes(text) for text in ("256M", "4G", "1000", "0", "N/A")] == [256.0, 4096.0, 1000.0, None, None]


@given(st.integers(min_value=0, max_value=10**7))
def test_times_that_are_asked_for_are_those_that_slurm_reads(time_s):
    from campaign.attempts.escalation import clock

    assert seconds(clock(time_s)) == time_s


@given(st.text())
def test_nonsense_is_no_answer(text):
    for states in (
        parse_squeue(text),
        parse_sacct(text, SACCT_FIELDS, source="sacct"),
        parse_scontrol(text),
        parse_qstat(text),
    ):
        assert states == {}


@pytest.mark.parametrize(
    "script", ["exit 1", "exit 0", "sleep 60", "echo slurm_load_jobs error: Invalid job id; exit 1"]
)
def test_commands_that_fail_are_silent_or_hang_say_nothing_of_a_job(script, tmp_path, monkeypatch):
    for name in ("squeue", "sacct", "scontrol"):
        command = Path(tmp_path, name)
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert Slurm(timeout_s=0.5).states(["1", "2"]) == {}


FEDERATION = """\
Federation: lab
Self:       east:192.0.2.1:6817 ID:1 FedState:ACTIVE Features:
Sibling:    west:192.0.2.2:6817 ID:2 FedState:ACTIVE Features: PersistConnSend/Recv:Yes/Yes Synced:Yes
"""
GONE = "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Function that puts shell scripts in the place of SLURM's commands; a script absent fails."""

    def write(**scripts):
        for name in ("squeue", "sacct", "scontrol"):
            path = tmp_path / name
            path.write_text(f"#!/bin/sh\n{scripts.get(name, 'exit 1')}\n")
            path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return write


def scontrol(*, federation="No federation", private="none"):
    config = f"printf 'ClusterName = east\\nMinJobAge = 300 sec\\nPrivateData = {private}\\n'"
    return f"case \"$*\" in *config*) {config};; *federation*) printf '%s' '{federation}';; *) {GONE};; esac"


def test_tasks_of_arrays_and_parts_of_heterogeneous_jobs_are_asked_for_by_their_own_ids(commands):
    rows = "|TIMEOUT|0:0|1796060000|1796063600|01:00:00|cpu|/home/u/runs|4G|1"
    raw, shown = (f"printf '%s{rows}\\n' {ids}" for ids in ("127 200 201", "123_4 200+0 200+1"))
    commands(
        squeue=GONE,
        scontrol=scontrol(),
        sacct=f"case \"$*\" in *' -c '*) exit 0;; *jobidraw*) {raw};; *) {shown};; esac",
    )
    states = Slurm().states(["127", "200", "201"])
    assert {job_id: state.ending for job_id, state in states.items()} == dict.fromkeys(("127", "200", "201"), "timeout")


def test_a_federated_job_that_another_cluster_runs_has_not_ended(commands):
    row = "67108870 |{}|0|1795545809|N/A|5:00|0|cpu|/tmp/slr|"
    revoked, running = (f"echo '{row.format(word)}'" for word in ("REVOKED", "RUNNING"))
    commands(
        squeue=f'{revoked}; case "$*" in *--federation*) {running}; {revoked};; esac',
        scontrol=scontrol(federation=FEDERATION),
    )
    assert Slurm().states(["67108870"])["67108870"].phase == "running"
    there = Job(scheduler="slurm", cluster="west", job_id="67108870", began=datetime(2026, 11, 1, tzinfo=UTC))
    assert job_states([there])[there].phase == "running"
    commands(squeue=revoked, scontrol=scontrol())
    assert Slurm().states(["67108870"]) == {}


def test_a_job_that_its_own_controller_has_forgotten_has_ended(commands):
    def is_ended(**changes):
        began = datetime.now(UTC) - timedelta(seconds=changes.pop("age_s", 3600))
        job = Job(**{"scheduler": "slurm", "cluster": "east", "job_id": "7", "began": began} | changes)
        return {state.phase for state in job_states([job]).values()} == {"ended"}

    commands(squeue=GONE, scontrol=scontrol())
    assert is_ended()
    # the controller would say the same of these
    assert not is_ended(age_s=60)
    assert not is_ended(began=None)
    assert not is_ended(cluster=None)
    assert not is_ended(cluster="elsewhere")
    commands(squeue=GONE, scontrol=scontrol(private="jobs,usage"))
    assert not is_ended()
    commands(squeue=GONE, scontrol=scontrol(federation=FEDERATION))
    assert not is_ended()
    commands(
        squeue="exit 1", scontrol=scontrol().replace(GONE, "echo 'Unable to contact slurm controller' >&2; exit 1")
    )
    assert not is_ended()


def test_a_process_outside_a_job_announces_none():
    assert this_job({}) == {}
    inside = {"SLURM_JOB_ID": "7", "SLURM_CLUSTER_NAME": "mini", "SLURM_RESTART_COUNT": "2"}
    assert this_job(inside) == {"scheduler": "slurm", "cluster": "mini", "job_id": "7", "restarts": 2}
    assert this_job({"PBS_JOBID": "12[3].pbs01.site"})["job_id"] == "12[3]"

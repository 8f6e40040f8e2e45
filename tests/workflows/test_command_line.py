"""Command lines of VASP as custodian starts them: without a shell, with variables in front, one for each kind."""

import subprocess

import pytest
from potcar_files import write_potcars
from pymatgen.core import SETTINGS, Lattice, Structure

from workflows.command_line import CommandLineError, command_words, missing_programs
from workflows.engine import EngineError, engine_command, engine_environment
from workflows.settings import DftSettings
from workflows.vasp import static_maker


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Make programs in a folder that is PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("srun", "mpirun", "vasp_std", "vasp_gam", "env"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    for name in ("ATOMATE2_VASP_CMD", "ATOMATE2_VASP_GAMMA_CMD", "ATOMATE2_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("srun vasp_std", ["srun", "vasp_std"]),
        ("OMP_NUM_THREADS=1 srun vasp_std", ["env", "OMP_NUM_THREADS=1", "srun", "vasp_std"]),
        ("A=1 B='two words' mpirun -np 4 vasp_std", ["env", "A=1", "B=two words", "mpirun", "-np", "4", "vasp_std"]),
        ("mpirun -np $RANKS vasp_std", ["mpirun", "-np", "8", "vasp_std"]),
        ("A=${RANKS} vasp_std", ["env", "A=8", "vasp_std"]),
        ("bash -c 'ulimit -s unlimited; vasp_std > log'", ["bash", "-c", "ulimit -s unlimited; vasp_std > log"]),
        ("srun --cpu-bind=map_cpu:0,1 vasp_std", ["srun", "--cpu-bind=map_cpu:0,1", "vasp_std"]),
    ],
)
def test_a_command_line_is_started_as_it_was_meant(command, words, monkeypatch):
    monkeypatch.setenv("RANKS", "8")
    assert command_words(command) == words


def test_variables_in_front_reach_the_program():
    words = command_words("""FIRST=1 SECOND='a b' sh -c 'echo "$FIRST-$SECOND"'""")
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "1-a b\n"


@pytest.mark.parametrize(
    "command",
    [
        "srun vasp_std > log",
        "srun vasp_std 2>&1",
        "cd /x && vasp_std",
        "vasp_std | tee log",
        "module load vasp; srun vasp_std",
        "mpirun -np $(nproc) vasp_std",
        'mpirun -np "$(nproc)" vasp_std',
        "mpirun -np `nproc` vasp_std",
        "mpirun -np ${RANKS:-4} vasp_std",
        "ulimit -s unlimited",
        "vasp_std &",
    ],
)
def test_what_needs_a_shell_is_refused_with_the_reason(command):
    with pytest.raises(CommandLineError, match=r"shell.*VASP is started without a shell; right: one program"):
        command_words(command)


@pytest.mark.parametrize(("command", "said"), [("'unclosed", "No closing quotation"), ("A=1", "no program is named")])
def test_what_is_no_command_is_refused(command, said):
    with pytest.raises(CommandLineError, match=said):
        command_words(command)


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("OMP_NUM_THREADS=1 srun -n 4 vasp_std", None),
        ("env A=1 -u B srun vasp_std", None),
        ("OMP_NUM_THREADS=1 srun -n 4 no_vasp", "'no_vasp'"),
        ("no_srun vasp_std", "'no_srun'"),
        ("mpirun -np $NOT_SET_ON_A_LOGIN_NODE vasp_std", None),
        ("$NOT_SET_ANYWHERE/vasp_std", r"\$NOT_SET_ANYWHERE not set on this machine"),
        ("./vasp_std", "relative path"),
        ("PATH=/nowhere vasp_std", "'vasp_std'"),
    ],
)
@pytest.mark.usefixtures("programs")
def test_programs_are_looked_for_behind_what_starts_them(command, missing):
    found = list(missing_programs(command))
    if missing is None:
        assert found == []
    else:
        with pytest.raises(AssertionError, match=missing):
            raise AssertionError(" ".join(found))


def test_each_kind_of_calculation_has_its_command_and_gamma_its_own():
    settings = DftSettings(
        engine="vasp",
        vasp_command={"dos": "A=1 vasp_std", "relaxation": "srun vasp_std"},
        vasp_gamma_command={"dos": "A=1 vasp_gam", "relaxation": None},
    )
    dos, relaxation = engine_command(settings, "dos"), engine_command(settings, "relaxation")
    assert (dos.standard, dos.gamma) == ("env A=1 vasp_std", "env A=1 vasp_gam")
    assert (relaxation.standard, relaxation.gamma) == ("srun vasp_std", "srun vasp_std")
    one = engine_command(DftSettings(engine="vasp", vasp_command="vasp_std"), "dos")
    assert (one.standard, one.gamma) == ("vasp_std", "vasp_std")


@pytest.mark.usefixtures("programs")
def test_without_a_command_the_node_says_it(monkeypatch, tmp_path):
    settings = DftSettings(engine="vasp")
    assert engine_command(settings, "dos").standard == "vasp_std"
    assert engine_command(settings, "dos").gamma == "vasp_std", "atomate2's vasp_gam would lack the node's srun"
    file = tmp_path / "atomate2.yaml"
    file.write_text("VASP_CMD: srun vasp_std\nVASP_GAMMA_CMD: srun vasp_gam\n")
    monkeypatch.setenv("ATOMATE2_CONFIG_FILE", str(file))
    assert engine_command(settings, "dos").gamma == "srun vasp_gam"
    monkeypatch.setenv("ATOMATE2_VASP_CMD", "OMP_NUM_THREADS=1 srun vasp_std")
    assert engine_command(settings, "relaxation").standard == "env OMP_NUM_THREADS=1 srun vasp_std"


def test_a_variable_that_the_node_lacks_ends_the_job_before_vasp_starts():
    with pytest.raises(EngineError, match=r"\$NOT_SET_ON_THIS_NODE not set on this machine"):
        engine_command(DftSettings(engine="vasp", vasp_command="srun -n $NOT_SET_ON_THIS_NODE vasp_std"), "dos")


@pytest.mark.filterwarnings("ignore:POTCAR data with symbol")
@pytest.mark.parametrize(("length", "program"), [(1.0, "vasp_gam"), (30.0, "vasp_std")])
def test_custodian_starts_the_gamma_binary_for_gamma_alone(programs, tmp_path, monkeypatch, length, program):
    from atomate2.vasp.run import run_vasp
    from custodian.custodian import CustodianError

    log = tmp_path / "started"
    for name in ("vasp_std", "vasp_gam"):
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $THREADS" >> {log}\n')
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    (programs / "env").unlink()
    settings = DftSettings(
        engine="vasp", vasp_command="THREADS=3 vasp_std", vasp_gamma_command="THREADS=3 vasp_gam", kpoint_length=length
    )
    crystal = Structure(Lattice.cubic(3.0), ["Al", "Pd"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    maker = static_maker(crystal, settings, vasp_command=engine_command(settings, "dos"))
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(tmp_path / "potcars"))
    write_potcars(tmp_path / "potcars" / "potpaw_PBE", "Al Pd")
    run = tmp_path / "run"
    run.mkdir()
    monkeypatch.chdir(run)
    with engine_environment(settings):
        maker.input_set_generator.get_input_set(crystal).write_input(".")
    with pytest.raises(CustodianError):  # it writes no outputs
        run_vasp(**maker.run_vasp_kwargs | {"custodian_kwargs": {"polling_time_step": 0.01}})
    assert log.read_text().splitlines()[0] == f"{program} 3"

"""The program ``vasp_std``: one run in the working directory."""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path

from vasp_stand_in import recordings
from vasp_stand_in.computing import compute
from vasp_stand_in.control import Control
from vasp_stand_in.faults import FAULTS, Fault
from vasp_stand_in.inputs import InputError, Inputs, read_inputs
from vasp_stand_in.rewriting import as_vasp
from vasp_stand_in.versions import chosen_ranks, chosen_release

#: What is written from the beginning and grows; the others are written as a whole after an ionic step.
_GROWING = ("OUTCAR", "vasprun.xml")
_AT_THE_END = ("DOSCAR",)


def main() -> None:
    """Run; the exit code, or the signal, is that of the fault which was asked for."""
    folder = Path()
    control = Control.of_environment()
    try:
        inputs = read_inputs(folder)
    except InputError as error:
        sys.stderr.write(f"forrtl: No such file or directory\n{error}\n")
        raise SystemExit(29) from None
    kind = control.take_fault(inputs)
    fault = FAULTS[kind] if kind else Fault(written=1.0)
    # the numbers stay those of what was asked for: what changes is what the files say of it
    if fault.incar:
        _change_incar(folder, fault)
    changed = read_inputs(folder)
    genuine = control.genuine(inputs)
    control.log_start(changed, kind, "genuine" if genuine else "stand-in")
    if not fault.written:
        _end(fault)
    _say_start(inputs)
    files = read_genuine(genuine) if genuine else _replayed(control.recorded / inputs.key(), inputs, changed)
    said = files.pop("vasp.out", "") or files.get("OSZICAR", "")
    _write(files, folder, share=fault.written)
    sys.stdout.write(said if fault.written == 1.0 else said[: int(len(said) * fault.written)])
    if fault.written == 1.0:
        if inputs.stage == "relax":
            sys.stdout.write(" reached required accuracy - stopping structural energy minimisation\n")
        sys.stdout.write(" writing wavefunctions\n")
    _end(fault)


def _replayed(recorded: Path, inputs: Inputs, changed: Inputs) -> dict[str, str]:
    """Texts of the recorded outputs, computed now where there are none, as VASP writes them of the changed inputs."""
    if not recorded.is_dir():
        compute(inputs, recorded)
    return as_vasp(recordings.read(recorded), changed, chosen_release(), ranks=chosen_ranks())


def read_genuine(folder: Path) -> dict[str, str]:
    """Texts of a genuine run's outputs (``OUTCAR.gz`` ...).

    VASP leaves a CONTCAR and an OSZICAR, which custodian misses where a collection of runs has left them out: then the
    first is the POSCAR, and the second one of a single step.
    """
    files = {}
    for name in (*recordings.OUTPUTS, "vasp.out"):
        if (folder / f"{name}.gz").is_file():
            files[name] = gzip.decompress((folder / f"{name}.gz").read_bytes()).decode("latin-1")
        elif (folder / name).is_file():
            files[name] = (folder / name).read_text(encoding="latin-1")
    if "CONTCAR" not in files:
        files["CONTCAR"] = Path("POSCAR").read_text(encoding="utf-8")
    if "OSZICAR" not in files:
        files["OSZICAR"] = (
            "       N       E                     dE             d eps       ncg     rms          rms(c)\n"
            "DAV:   1    -0.100000000000E+02   -0.10000E+02   -0.10000E+02    10   0.100E+01\n"
            "   1 F= -.10000000E+02 E0= -.10000000E+02  d E =0.000000E+00\n"
        )
    return files


def _change_incar(folder: Path, fault: Fault) -> None:
    """Put tags into the INCAR, as a site's wrapper around VASP does."""
    names = {name for name, _ in fault.incar}
    path = folder / "INCAR"
    kept = [line for line in path.read_text().splitlines() if line.partition("=")[0].strip().upper() not in names]
    path.write_text("\n".join([*kept, *(f"{name} = {value}" for name, value in fault.incar)]) + "\n")


def _say_start(inputs: Inputs) -> None:
    release = chosen_release()
    sys.stdout.write(
        f"{release.division(chosen_ranks())}{release.banner}\n"
        f" POSCAR found type information on POSCAR {''.join(inputs.symbols)}\n"
        f" POSCAR found :{len(inputs.symbols):3d} types and {sum(inputs.counts):7d} ions\n"
        " LDA part: xc-table for Pade appr. of Perdew\n POSCAR, INCAR and KPOINTS ok, starting setup\n"
        " FFT: planning ...\n WAVECAR not read\n entering main loop\n"
    )
    sys.stdout.flush()


def _write(files: dict[str, str], folder: Path, *, share: float) -> None:
    for name, text in files.items():
        if share < 1.0 and name in _AT_THE_END:
            continue
        size = int(len(text) * share) if name in _GROWING else len(text)
        (folder / name).write_text(text[:size], encoding="latin-1")


def _end(fault: Fault) -> None:
    sys.stdout.write(fault.stdout)
    sys.stderr.write(fault.stderr.replace("{folder}", os.getcwd()))
    sys.stdout.flush()
    sys.stderr.flush()
    if fault.signal is not None:
        os.kill(os.getpid(), fault.signal)
    # nothing of Python's end: VASP's has none either
    os._exit(fault.code)

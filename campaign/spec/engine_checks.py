"""Check that the engine can be started, from its command line and the programs on this machine."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

from campaign.config.yaml_file import CampaignFileError, FieldPath, Problem
from campaign.spec.reference_checks import Finding
from campaign.spec.sections.dft import CommandByKind, DftSection
from workflows.command_line import (
    CommandLineError,
    check_words,
    missing_gamma_program,
    missing_programs,
    unset_variables,
)
from workflows.engine import CalculationKind, EngineError, VaspCommand, node_settings, vasp_commands
from workflows.scratch import scratch_root
from workflows.settings import DftSettings

_KINDS: tuple[CalculationKind, ...] = ("dos", "relaxation")
_COMMANDS = ("vasp_command", "vasp_gamma_command")


def command_problems(dft: DftSection) -> Iterator[Finding]:
    """Yield problems of the command lines that do not depend on the machine."""
    for field in _COMMANDS:
        for path, command in _given(field, getattr(dft, field)):
            try:
                check_words(command)
            except CommandLineError as error:
                yield path, f"found {command!r}: {error}", None


def check_node_settings(*, file: Path | None = None) -> None:
    """Check that atomate2's settings on this machine can be read.

    Raises
    ------
    CampaignFileError
        Names atomate2's file and the problem.
    """
    try:
        node_settings()
    except EngineError as error:
        raise CampaignFileError([Problem("spec.campaign.dft.engine", str(error), file)]) from None


def program_problems(dft: DftSection) -> Iterator[tuple[FieldPath, str]]:
    """Yield the reasons why the engine cannot be started on this machine."""
    try:
        node_settings()
    except EngineError as error:
        yield ("dft", "engine"), str(error)
        return
    if dft.engine == "gpaw":
        yield from _gpaw_missing()
    else:
        yield from _vasp_missing(dft)
    try:
        if dft.scratch is None or not unset_variables(dft.scratch):  # otherwise only known on the node
            scratch_root(_settings(dft), make=False)
    except EngineError as error:
        yield ("dft", "scratch"), str(error)


def command_notes(dft: DftSection) -> Iterator[str]:
    """Yield notes on the VASP commands that will run, and where each is set."""
    settings = _settings(dft)
    if dft.scratch is not None and (unset := unset_variables(dft.scratch)):
        names = ", ".join(f"${name}" for name in unset)
        yield f"scratch: {dft.scratch}; {names} is not set here; it must be set on the compute nodes"
    of_dos, of_relaxations = (vasp_commands(settings, kind) for kind in _KINDS)
    for what, dos, relaxation in zip(("VASP", "VASP at Gamma only"), of_dos, of_relaxations, strict=True):
        if dos == relaxation:
            yield f"{what}: {dos.text} ({dos.origin})"
        else:
            yield (
                f"{what}: {dos.text} ({dos.origin}) for the DOS, {relaxation.text} ({relaxation.origin}) for "
                "relaxations"
            )


def elsewhere_note(dft: DftSection, *, file: Path, has_scorer: bool) -> str:
    """Return the note on what was not looked for, because the engine is on other machines."""
    scorer = " and the scorer's packages" if has_scorer else ""
    if dft.engine != "vasp":
        return f"--engine-elsewhere: {dft.engine}{scorer} not looked for on this machine"
    given = dft.vasp_command
    lines = [] if given is None else dict.fromkeys(line for line in (given.dos, given.relaxation) if line)
    command = f"vasp_command ({', '.join(map(repr, lines))})" if lines else "the nodes' own command line of VASP"
    return (
        f"--engine-elsewhere: {command}, the POTCARs{scorer} not looked for on this machine; "
        f"`campaign cluster check --submit --campaign {file}` looks for VASP and POTCARs on the nodes"
    )


def _settings(dft: DftSection) -> DftSettings:
    return DftSettings(**dft.model_dump())


def _given(field: str, commands: CommandByKind | None) -> Iterator[tuple[FieldPath, str]]:
    """Yield each distinct command line in the file, with its path."""
    if commands is None:
        return
    if commands.dos is not None and commands.dos == commands.relaxation:
        yield ("dft", field), commands.dos
        return
    for kind in _KINDS:
        command = getattr(commands, kind)
        if command is not None:
            yield ("dft", field, kind), command


def _gpaw_missing() -> Iterator[tuple[FieldPath, str]]:
    missing = [name for name in ("gpaw", "gpaw_data") if importlib.util.find_spec(name) is None]
    if missing:
        message = (
            f"found 'gpaw', but {' and '.join(missing)} cannot be imported on this machine; install the extra "
            'with: pip install "esnet-campaign[gpaw]" (make quickstart does it)'
        )
        yield ("dft", "engine"), message


def _vasp_missing(dft: DftSection) -> Iterator[tuple[FieldPath, str]]:
    settings = _settings(dft)
    found: dict[tuple[str, VaspCommand], list[str]] = {}
    for kind in _KINDS:
        for field, command in zip(_COMMANDS, vasp_commands(settings, kind), strict=True):
            found.setdefault((field, command), []).append(kind)
    for (field, command), kinds in found.items():
        if field == "vasp_gamma_command" and any(command == other for name, other in found if name == "vasp_command"):
            continue  # falls back to vasp_command, which is reported
        path: FieldPath = ("dft", field) if len(kinds) == len(_KINDS) else ("dft", field, kinds[0])
        for message in _wrong(command, field):
            yield path, message


def _wrong(command: VaspCommand, field: str) -> Iterator[str]:
    is_named = command.origin.startswith("dft.")
    origin = "" if is_named else f" (the field is null; {command.origin})"
    remedy = (
        ""
        if is_named
        else "; or name the command line of VASP here, in ATOMATE2_VASP_CMD or as VASP_CMD in "
        "~/.atomate2.yaml; if only the compute nodes have it: --engine-elsewhere"
    )
    try:
        missing = list(missing_programs(command.text))
        if not missing and field == "vasp_gamma_command" and (gamma := missing_gamma_program(command.text)):
            missing = [gamma]
    except CommandLineError as error:
        missing = [str(error)]
    for message in missing:
        yield f"found {command.text!r}{origin}: {message}{remedy}"

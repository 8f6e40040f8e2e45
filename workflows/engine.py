"""The program that computes, on the machine where a job runs."""

from __future__ import annotations

import os
import shlex
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pymatgen.core import SETTINGS
from pymatgen.io.vasp.inputs import UnknownPotcarWarning
from pymatgen.io.vasp.sets import BadInputSetWarning
from ruamel.yaml.error import YAMLError

from workflows.command_line import CommandLineError, command_words
from workflows.gpaw_vasp.potcars import header_potcar_tree
from workflows.inputs.outside_settings import fixed_settings
from workflows.potcars.library import library_subfolders
from workflows.settings import DftSettings

if TYPE_CHECKING:
    from atomate2.settings import Atomate2Settings

CalculationKind = Literal["dos", "relaxation"]


class EngineError(RuntimeError):
    """The program that should compute is missing, or another one produced the output."""

    #: Cause recorded for an attempt that it ends (`campaign.attempts.causes`).
    cause = "not_found"


@dataclass(frozen=True, kw_only=True)
class EngineCommand:
    """How calculations of one kind are run on this machine.

    Attributes
    ----------
    standard, gamma
        Command lines of the engine, for general and for Gamma-only meshes.
    scratch
        Folder on this machine in which they run. If None, the launch folder.
    """

    standard: str
    gamma: str
    scratch: str | None = None


def engine_command(settings: DftSettings, kind: CalculationKind, *, scratch: str | None = None) -> EngineCommand:
    """Return how the engine is started on this machine for one kind of calculation.

    ``gpaw`` runs with this very Python, so that a worker that lost its PATH (``bash -l``) still finds it. Unset
    commands are taken from the node (`node_command`).

    Raises
    ------
    EngineError
        If a command needs a shell or an unset variable.
    """
    if settings.engine == "gpaw":
        command = shlex.join([sys.executable, "-m", "workflows.gpaw_vasp"])
        return EngineCommand(standard=command, gamma=command, scratch=scratch)
    standard, gamma = vasp_commands(settings, kind)
    return EngineCommand(standard=_started(standard.text), gamma=_started(gamma.text), scratch=scratch)


@dataclass(frozen=True)
class VaspCommand:
    """A command line of VASP, and its origin."""

    text: str
    origin: str


def vasp_commands(settings: DftSettings, kind: CalculationKind) -> tuple[VaspCommand, VaspCommand]:
    """Return VASP's unexpanded command lines for one kind of calculation: for general and for Gamma-only meshes.

    Without a Gamma-only command, both are the same; the node's counts only if the campaign sets no command.
    """
    given, gamma = (_of_kind(value, kind) for value in (settings.vasp_command, settings.vasp_gamma_command))
    standard = node_command("VASP_CMD") if given is None else VaspCommand(given, "dft.vasp_command")
    assert standard is not None, "atomate2 has a default"
    if gamma is not None:
        return standard, VaspCommand(gamma, "dft.vasp_gamma_command")
    of_node = node_command("VASP_GAMMA_CMD", said_only=True) if given is None else None
    return standard, of_node or standard


def node_command(name: str, *, said_only: bool = False) -> VaspCommand | None:
    """Return the command line set on this machine, in the environment or in atomate2's file, or atomate2's default.

    Parameters
    ----------
    name
        VASP_CMD or VASP_GAMMA_CMD.
    said_only
        Return None instead of the default.
    """
    settings = node_settings()
    text = str(getattr(settings, name))
    variable = next((key for key in os.environ if key.upper() == f"ATOMATE2_{name}"), None)
    if variable is not None:
        return VaspCommand(text, f"{variable} in the environment")
    if name in settings.model_fields_set:
        return VaspCommand(text, f"{name} in {settings.CONFIG_FILE}")
    return None if said_only else VaspCommand(text, "atomate2's default, since nothing names another")


def node_settings() -> Atomate2Settings:
    """Return atomate2's settings on this machine, from the environment and its file.

    Raises
    ------
    EngineError
        If the file cannot be read, or a value has the wrong type.
    """
    try:
        from atomate2.settings import Atomate2Settings

        return Atomate2Settings()
    except (OSError, SyntaxError, TypeError, ValueError, YAMLError) as error:
        file = os.environ.get("ATOMATE2_CONFIG_FILE", "~/.atomate2.yaml")
        text = " ".join(str(error).split())
        raise EngineError(f"atomate2's settings ({file}, or ATOMATE2_... in the environment): {text}") from None


def _of_kind(value: str | Mapping[str, str | None] | None, kind: CalculationKind) -> str | None:
    return value.get(kind) if isinstance(value, Mapping) else value


def _started(command: str) -> str:
    try:
        return shlex.join(command_words(command))
    except CommandLineError as error:
        raise EngineError(f"the command line of VASP, {command!r}: {error}") from None


@contextmanager
def engine_environment(settings: DftSettings) -> Iterator[None]:
    """Let pymatgen find the engine's POTCARs, and atomate2 the campaign's settings, while a job runs.

    VASP's own folders (``potpaw_PBE.54/Fe_pv``) are found like those made by ``pmg config -p``. GPAW has its own data
    sets; header-only POTCAR files with their names pass through pymatgen. Their TITEL contains GPAW, and they are never
    in a folder used by a real VASP.
    """
    if settings.engine != "gpaw":
        with fixed_settings(), _settings(PMG_VASP_PSP_SUB_DIRS=library_subfolders(settings.potcar_functional)):
            yield
        return
    # the user's folder names belong to another library
    ours = _settings(PMG_VASP_PSP_DIR=str(header_potcar_tree()), PMG_VASP_PSP_SUB_DIRS={})
    with fixed_settings(), ours, warnings.catch_warnings():
        # pymatgen does not know these files, which contain no VASP data
        warnings.simplefilter("ignore", UnknownPotcarWarning)
        warnings.simplefilter("ignore", BadInputSetWarning)
        yield


@contextmanager
def _settings(**values: object) -> Iterator[None]:
    """Change settings of pymatgen temporarily."""
    previous = {name: SETTINGS[name] for name in values if name in SETTINGS}
    SETTINGS.update(values)
    try:
        yield
    finally:
        for name in values:
            SETTINGS.pop(name, None)
        SETTINGS.update(previous)


def check_engine_version(vasp_version: str, settings: DftSettings) -> None:
    """Refuse results of another engine: energies of two engines are never combined in one hull.

    Raises
    ------
    EngineError
        If the version in the output does not belong to ``settings.engine``.
    """
    is_gpaw = "gpaw" in vasp_version.lower()
    if is_gpaw != (settings.engine == "gpaw"):
        raise EngineError(
            f"the output says that it was written by version {vasp_version!r}, but this campaign computes with "
            f"{settings.engine!r}; check the command line of VASP on this worker"
        )

"""The command line of VASP, interpreted as custodian starts it: without a shell."""

import os
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

#: Programs that start VASP; the last word of such a command line is VASP.
_LAUNCHERS = frozenset({"mpirun", "mpiexec", "mpiexec.hydra", "srun", "aprun", "jsrun", "ibrun", "orterun", "prun"})
#: Programs that modify how the rest of the line runs, like ``env``; the last word is VASP here too.
_WRAPPERS = frozenset({"nice", "numactl", "taskset", "time", "stdbuf"})
_SHELLS = frozenset({"bash", "sh", "dash", "ksh", "zsh"})
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_OPERATOR = re.compile(r"[|&;<>()]+")
_NO_SHELL = (
    "VASP is started without a shell; right: one program with its arguments, e.g. srun vasp_std, variables in front of "
    "it (OMP_NUM_THREADS=1 srun vasp_std), or the absolute path of a script for anything more"
)


class CommandLineError(ValueError):
    """The command line cannot be started."""


def check_words(command: str) -> None:
    """Refuse words that need a shell, wherever the command will run.

    Raises
    ------
    CommandLineError
        If there are such words; names them and what would be right.
    """
    try:
        lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;<>()")
        lexer.whitespace_split, lexer.commenters = True, ""
        tokens = list(lexer)
    except ValueError as error:
        raise CommandLineError(f"{error}; right: a command line, e.g. srun vasp_std") from None
    words = _without_assignments(tokens)
    if not words:
        raise CommandLineError("no program is named; right: a command line, e.g. srun vasp_std")
    for token in tokens:
        if _OPERATOR.fullmatch(token):
            raise CommandLineError(f"{token!r} is for a shell, and {_NO_SHELL}")
    if not any(Path(word).name in _SHELLS for word in words):
        for token in tokens:
            # uses of $ that are not plain variables: $(...), ${A:-b}; and `...`
            if "`" in token or "$(" in token or re.search(r"\$\{\w*[^\w}]", token):
                raise CommandLineError(f"{token!r} is for a shell, and {_NO_SHELL}")
    if words[0] in ("export", "source", ".", "module", "cd", "exec", "ulimit"):
        raise CommandLineError(f"{words[0]!r} is a command of a shell, and {_NO_SHELL}")


def command_words(command: str, *, strict: bool = True) -> list[str]:
    """Return the words of a command line as started on this machine.

    Variables and ``~/`` are expanded, and leading ``NAME=value`` words become arguments of ``env``.

    Parameters
    ----------
    strict
        Refuse unset variables; if False they are kept, for a machine that only checks.

    Raises
    ------
    CommandLineError
        If it needs a shell or an unset variable.
    """
    check_words(command)
    words = shlex.split(command)
    for_shell = any(Path(word).name in _SHELLS for word in words)  # which has its own variables
    if strict and not for_shell and (unset := unset_variables(command)):
        raise CommandLineError(unset_message(unset))
    words = [os.path.expanduser(os.path.expandvars(word)) for word in words]
    return ["env", *words] if _ASSIGNMENT.match(words[0]) else words


def missing_programs(command: str) -> Iterator[str]:
    """Yield the programs of a command line that cannot be started on this machine, with the remedy.

    Raises
    ------
    CommandLineError
        As raised by `command_words`.
    """
    path, names = programs(command)
    for program in names:
        if unset := unset_variables(program):
            yield unset_message(unset)
        elif "/" in program and not Path(program).is_absolute():
            yield (
                f"{program!r} is a relative path, but each calculation starts in its own folder; right: its absolute "
                f"path, e.g. {Path(program).absolute()}"
            )
        elif shutil.which(program, path=path) is None:
            yield (
                f"the executable {program!r} is not on PATH of this machine; right: a program that can be started "
                "here, e.g. after module load, or its absolute path"
            )


def programs(command: str) -> tuple[str | None, list[str]]:
    """Return the PATH that a command line sets, if any, and the programs that it starts, each through the previous one.

    Raises
    ------
    CommandLineError
        As raised by `command_words`; unset variables are kept.
    """
    words = command_words(command, strict=False)
    path = next((word[5:] for word in reversed(_assignments(words)) if word.startswith("PATH=")), None)
    return path, _programs(words)


def missing_gamma_program(command: str) -> str | None:
    """Return why custodian would not use the Gamma-only command, whose last word it looks up on PATH; None if
    it would.
    """
    last = command_words(command, strict=False)[-1]
    if shutil.which(last) is not None:
        return None
    return (
        f"its last word {last!r} is not a program on PATH on this machine, and custodian uses a Gamma-only command "
        "only if it is; right: a command line that ends with the program, e.g. srun vasp_gam"
    )


def unset_variables(text: str) -> list[str]:
    """Return the variables in a text (``$SCRATCH/vasp``) that are not set on this machine."""
    return [name for name in re.findall(r"\$\{?(\w+)", text) if name not in os.environ]


def unset_message(names: Sequence[str]) -> str:
    """Return the message about variables that are not set here."""
    return (
        f"{', '.join(f'${name}' for name in names)} not set on this machine; right: a variable that is set where the "
        "job runs, or the value itself"
    )


def _assignments(words: list[str]) -> list[str]:
    rest = words[1:] if words[0] == "env" else words
    return rest[: len(rest) - len(_without_assignments(rest))]


def _without_assignments(words: list[str]) -> list[str]:
    place = 0
    while place < len(words) and _ASSIGNMENT.match(words[place]):
        place += 1
    return words[place:]


def _programs(words: list[str]) -> list[str]:
    """Return the started program, and the program that it starts in turn."""
    programs: list[str] = []
    while words:
        program, words = words[0], words[1:]
        name = Path(program).name
        if name == "env":  # available on every machine, outside the PATH that it may set
            while words and (words[0].startswith("-") or _ASSIGNMENT.match(words[0])):
                words = words[2:] if words[0] in ("-u", "--unset", "-C", "--chdir") else words[1:]
            continue
        programs.append(program)
        if name in _LAUNCHERS | _WRAPPERS and words:
            words = words[-1:] if not words[-1].startswith("-") else []
        else:
            break
    return list(dict.fromkeys(programs))

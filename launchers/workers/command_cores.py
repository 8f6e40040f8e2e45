"""Number of cores used by a command line: MPI ranks times the cores of each."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_MPIRUN = frozenset(
    {"mpirun", "mpiexec", "mpiexec.hydra", "mpirun_rsh", "mpiexec.mpich", "mpiexec.openmpi", "orterun", "prterun"}
)
#: Options for the number of ranks, and of cores per rank, by launcher.
_RANKS = {
    **dict.fromkeys(_MPIRUN, ("-n", "-np", "-c", "--n", "--np")),
    "srun": ("-n", "--ntasks"),
    "aprun": ("-n", "--pes"),
    "ibrun": ("-n", "-np"),
    "jsrun": ("-n", "--nrs", "-p", "--np"),
}
_CORES = {"srun": ("-c", "--cpus-per-task"), "aprun": ("-d", "--cc-depth"), "jsrun": ("-c", "--cpu_per_rs")}
_NODES = ("-N", "--nodes")
_PER_NODE = ("--ntasks-per-node",)
#: Options of MPI launchers that set an environment variable for the ranks: ``-x A=1``, ``-genv A 1``.
_SETS = ("-x", "-genv", "-env", "--env", "--export")
_THREADS = "OMP_NUM_THREADS"
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class CommandCores:
    """Cores needed by a command line.

    Attributes
    ----------
    ranks
        Number of MPI processes; None if left to the launcher.
    per_rank
        Cores per process.
    why
        The words of the command that determine this.
    """

    ranks: int | None
    per_rank: int
    why: str

    @property
    def cores(self) -> int | None:
        """Cores of one calculation; None if left to the launcher."""
        return None if self.ranks is None else self.ranks * self.per_rank


def command_cores(command: str, environment: Mapping[str, str]) -> CommandCores:
    """Determine from a command line how many cores it uses.

    Parameters
    ----------
    command
        For example ``OMP_NUM_THREADS=2 mpirun -np 16 vasp_std``. Variables in it ($NAME) are taken from the
        environment.
    environment
        Environment in which it is started.
    """
    words = _words(command, environment)
    own, words = _assignments(words)
    place = next((index for index, word in enumerate(words) if Path(word).name in _RANKS), None)
    if place is None:
        return _with_threads(1, "it has no MPI launcher: one rank", {}, {**environment, **own})
    launcher = Path(words[place]).name
    options = words[place + 1 :]
    ranks, why = _ranks(launcher, options, environment)
    per_rank, depth = _number(options, _CORES.get(launcher, ()))
    if per_rank is not None:
        return CommandCores(ranks=ranks, per_rank=per_rank, why=f"{why}, {depth}")
    return _with_threads(ranks, why, dict(_set_by_launcher(options)), {**environment, **own})


def _words(command: str, environment: Mapping[str, str]) -> list[str]:
    def value(found: re.Match[str]) -> str:
        return environment.get(found.group(1) or found.group(2), found.group())

    try:
        return shlex.split(re.sub(r"\$(?:(\w+)|\{(\w+)\})", value, command))
    except ValueError:
        return command.split()


def _assignments(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Split leading ``VAR=value`` words, with or without ``env``, from the command."""
    left = [word for word in words[:1] if Path(word).name != "env"] + list(words[1:])
    own: dict[str, str] = {}
    while left and _ASSIGNMENT.fullmatch(left[0]):
        name, _, value = left.pop(0).partition("=")
        own[name] = value
    return own, left


def _ranks(launcher: str, options: Sequence[str], environment: Mapping[str, str]) -> tuple[int | None, str]:
    ranks, why = _number(options, _RANKS[launcher])
    if ranks is not None:
        return ranks, f"{launcher} {why}"
    if launcher == "srun":
        each, per_node = _number(options, _PER_NODE)
        if each is not None:
            nodes, on = _number(options, _NODES)
            return each * (nodes or 1), " ".join(word for word in (launcher, on, per_node) if word)
        if (inherited := environment.get("SLURM_NTASKS", "")).isdigit():
            return int(inherited), f"srun in a job with SLURM_NTASKS={inherited}"
        return 1, "srun without -n: one rank"
    return None, f"{launcher} without -n uses all available cores"


def _with_threads(
    ranks: int | None, why: str, by_launcher: Mapping[str, str], environment: Mapping[str, str]
) -> CommandCores:
    # a list of numbers is for nested loops; the first one counts
    threads = by_launcher.get(_THREADS, environment.get(_THREADS, "")).split(",")[0].strip()
    if not threads.isdigit() or int(threads) < 1:
        return CommandCores(ranks=ranks, per_rank=1, why=why)
    return CommandCores(ranks=ranks, per_rank=int(threads), why=f"{why}, {_THREADS}={threads}")


def _number(options: Sequence[str], names: Sequence[str]) -> tuple[int | None, str]:
    """Return the value of the first of some options (``-n 8``, ``-n8``, ``--n=8``) before the program, and its
    words.
    """
    index = 0
    while index < len(options):
        word, following = options[index], options[index + 1] if index + 1 < len(options) else ""
        name, sign, value = word.partition("=")
        if name in names and (value if sign else following).isdigit():
            return int(value if sign else following), word if sign else f"{word} {following}"
        short = re.fullmatch(r"(-[A-Za-z])(\d+)", word)
        if short and short.group(1) in names:
            return int(short.group(2)), word
        if Path(word).name.lower().startswith("vasp"):
            break
        index += 1
    return None, ""


def _set_by_launcher(options: Sequence[str]) -> Iterator[tuple[str, str]]:
    for index, word in enumerate(options[:-1]):
        if word in _SETS:
            name, sign, value = options[index + 1].partition("=")
            yield name, value if sign else (options[index + 2] if index + 2 < len(options) else "")

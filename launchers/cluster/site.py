"""Description of a cluster: `cluster.yaml`, from which the launch files of all queues are made."""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from launchers.cluster import walltime as times
from launchers.cluster.errors import ClusterError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

FILE_NAME = "cluster.yaml"
#: Categories of a campaign's fireworks; those that others wait for come first.
CATEGORIES = ("train", "screen", "relax", "dos")
#: Categories that come before the others of their queue, regardless of weights.
URGENT = ("train", "screen")

Scheduler = Literal["slurm", "pbs"]
Lines = Annotated[list[str], Field(max_length=100)]


def _no_dollars(lines: list[str]) -> list[str]:
    for line in lines:
        if "$$" in line or re.search(r"[\n\r]", line):
            raise ValueError(f"found {line!r}; it must be one line, and $$ is for FireWorks' templates")
    return lines


ShellLines = Annotated[Lines, AfterValidator(_no_dollars)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class QueueSettings(_Section):
    """Jobs of one category."""

    queue: str = Field(min_length=1, description="partition (SLURM) or queue (PBS)")
    walltime: str = Field(default="04:00:00", description="time limit of a job, HH:MM:SS")
    nodes: int = Field(default=1, ge=1, description="nodes per job")
    ntasks: int = Field(default=1, ge=1, description="MPI processes per job, over all its nodes")
    cpus_per_task: int = Field(default=1, ge=1, description="cores per MPI process")
    memory: str | None = Field(
        default=None, pattern=r"^\d+[MG]$", description="memory per node, e.g. 16G; null: the queue's default"
    )
    gpus: int = Field(default=0, ge=0, description="GPUs per node")
    gpu_type: str | None = Field(default=None, description="type of GPU, if the site requires it, e.g. a100 (SLURM)")
    max_jobs: int = Field(
        default=20, ge=1, description="maximum number of your jobs in that queue, waiting and running"
    )
    weight: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="relative share of jobs, where relax and dos share a queue and both have work",
    )
    jobs_per_allocation: int = Field(
        default=1, ge=1, description="calculations that share one job, one after the other, as long as its time allows"
    )
    side_by_side: int = Field(
        default=1, ge=1, description="how many of these calculations run at the same time, sharing the job's GPUs"
    )
    estimate: str = Field(default="00:10:00", description="expected time of one calculation, HH:MM:SS")
    environment: ShellLines = Field(
        default=[], description="shell lines for this category, after those for all categories"
    )
    adapter: dict[str, str | int] = Field(
        default={}, description="additional keys of the FireWorks queue adapter, e.g. qos"
    )

    @field_validator("walltime", "estimate")
    @classmethod
    def _time(cls, value: str) -> str:
        times.seconds(value)
        return value

    @model_validator(mode="after")
    def _together(self) -> QueueSettings:
        if self.ntasks % self.nodes:
            raise ValueError(f"ntasks is {self.ntasks} and nodes {self.nodes}: each node must get as many")
        if self.side_by_side > self.jobs_per_allocation:
            raise ValueError(
                f"side_by_side is {self.side_by_side}, more than jobs_per_allocation ({self.jobs_per_allocation})"
            )
        return self

    @property
    def is_packed(self) -> bool:
        """Whether several calculations share a job."""
        return self.jobs_per_allocation > 1


class SiteSettings(_Section):
    """A cluster, and the queue of each category."""

    name: str = Field(default="cluster", pattern=r"^[\w-]{1,40}$", description="name of its workers in FireWorks")
    scheduler: Scheduler = Field(description="slurm | pbs")
    account: str | None = Field(default=None, description="account or project to charge")
    launchpad: Path = Field(description="absolute path of my_launchpad.yaml")
    launch_directory: Path = Field(
        description="folder in which calculations run, visible to all nodes under the same path"
    )
    python: Path = Field(description="absolute path of the Python interpreter in which the jobs run")
    modules: Lines = Field(default=[], description="modules that each job loads")
    environment: ShellLines = Field(
        default=[], description="shell lines that each job runs after that; keep the activation"
    )
    vasp_command: str | None = Field(
        default=None, description="command line of VASP, e.g. srun vasp_std; null: no VASP"
    )
    close_s: int = Field(
        default=60, ge=10, le=3600, description="seconds before its time limit at which a job stops its firework"
    )
    pbs_resources: Literal["nodes", "select"] = Field(
        default="nodes",
        description="syntax of resource requests in PBS: nodes=1:ppn=8 (Torque) or select=1:ncpus=8 (PBS Pro, OpenPBS)",
    )
    queues: dict[str, QueueSettings] = Field(description="queue of each category")

    @field_validator("launchpad", "launch_directory", "python", mode="before")
    @classmethod
    def _absolute(cls, value: Any) -> Path:
        if not isinstance(value, str | Path) or not Path(value).is_absolute():
            raise ValueError(f"found {str(value)!r}, should be an absolute path: jobs start in other folders")
        return Path(value)

    @field_validator("queues")
    @classmethod
    def _each_category(cls, value: dict[str, QueueSettings]) -> dict[str, QueueSettings]:
        if set(value) != set(CATEGORIES):
            raise ValueError(f"found {', '.join(sorted(value)) or 'none'}; should be {', '.join(sorted(CATEGORIES))}")
        return value

    @property
    def rlaunch(self) -> Path:
        """Path of FireWorks' rlaunch in the same environment."""
        return self.python.parent / "rlaunch"

    def worker_name(self, category: str) -> str:
        """Return the name of a category's FireWorker."""
        return f"{self.name}-{category}"

    def shell_lines(self, category: str) -> list[str]:
        """Return the first lines of each job of a category: settings that a login or plain shell may lack."""
        lines = [f"module load {module}" for module in self.modules]
        lines += [*self.environment, *self.queues[category].environment]
        if self.vasp_command is not None:
            # used if a campaign file has no dft.vasp_command; atomate2 reads it when a job starts
            quoted = "'" + self.vasp_command.replace("'", "'\\''") + "'"
            lines.append(f"export ATOMATE2_VASP_CMD={quoted}")
        return lines

    @classmethod
    def from_file(cls, folder: Path) -> SiteSettings:
        """Read `cluster.yaml`.

        Raises
        ------
        ClusterError
            Names the file, each field, what was found and what would be right.
        """
        path = folder / FILE_NAME
        try:
            content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ClusterError(f"{path}: there is no such file; `campaign cluster init {folder}` creates it") from None
        except (OSError, ValueError, YAMLError) as error:
            raise ClusterError(f"{path}: cannot be read as YAML: {error}") from None
        except RecursionError:
            raise ClusterError(f"{path}: cannot be read as YAML: it is nested too deeply") from None
        return cls.from_dict(content, origin=str(path))

    @classmethod
    def from_dict(cls, content: object, *, origin: str) -> SiteSettings:
        """Validate settings; `origin` is the file or command named in errors."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            found: dict[tuple[str, str], list[str]] = {}
            for problem in error.errors():
                *where, last = map(str, problem["loc"] or ["the whole"])
                # a problem common to all queues is reported once
                found.setdefault((_format_problem(problem, last), last), []).append(".".join([*where, last]))
            texts = [f"{_together(names)}: {text}" for (text, _), names in found.items()]
            raise ClusterError(f"{origin}: " + "; ".join(texts)) from None

    def to_yaml(self) -> str:
        """Return the commented file."""
        head = [
            "# The cluster on which campaigns run. After a change, `campaign cluster init DIR --again` regenerates",
            "# the files for FireWorks (my_fworker_*, my_qadapter_*); `campaign cluster check DIR --submit` tests "
            "them.",
        ]
        lines = [*head, *_commented(self, skip="queues", indent="")]
        lines += ["", "# One queue for each category of fireworks; several categories may share one.", "queues:"]
        for category in CATEGORIES:
            lines += [f"  {category}:  # {_WHAT[category]}", *_commented(self.queues[category], skip="", indent="    ")]
        return "\n".join(lines) + "\n"


_WHAT = {
    "train": "trains ESNet on what was computed (no job where the campaign file names a model)",
    "screen": "predicts with ESNet and decides; also starts and ends a campaign",
    "relax": "DFT relaxations; each job also records its result",
    "dos": "DOS single points; each job also records its result",
}


def _commented(section: _Section, *, skip: str, indent: str) -> list[str]:
    lines = []
    for name, field in type(section).model_fields.items():
        if name == skip:
            continue
        value = getattr(section, name)
        plain = str(value) if isinstance(value, Path) else value
        # JSON is valid YAML and always quotes where necessary
        lines.append(f"{indent}{name}: {json.dumps(plain, ensure_ascii=False)}  # {field.description}")
    return lines


def _format_problem(problem: ErrorDetails, name: str) -> str:
    """Return pydantic's finding as a sentence for the author of the file."""
    found = f"found {problem['input']!r}"
    if problem["type"] == "extra_forbidden":
        known = [*SiteSettings.model_fields, *QueueSettings.model_fields]
        near = difflib.get_close_matches(name, known, 1)
        return "no such setting" + (f"; did you mean {near[0]}?" if near else "")
    if problem["type"] == "string_pattern_mismatch" and name == "memory":
        return f"{found}, should be a whole number with M or G, e.g. 16G"
    said = problem["msg"].removeprefix("Value error, ")
    return said if problem["type"] in ("missing", "value_error") else f"{said}, {found}"


def _together(names: list[str]) -> str:
    """Return one name for the same field of all queues."""
    field = names[0].rpartition(".")[2]
    everywhere = [f"queues.{category}.{field}" for category in CATEGORIES]
    return f"{field} of all queues" if sorted(names) == sorted(everywhere) else ", ".join(names)

"""Report on the use of the runs in a folder."""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from esnet.dataset.sample import DatasetError
from esnet.files.errors import UserError

logger = logging.getLogger(__name__)

_NAMED = 5
#: Explanations of outcomes that are not self-explanatory.
_MEANING = "energy only: the DOS is taken from another run; structure only: neither energy nor DOS is used"


class VaspFolderError(DatasetError):
    """A folder of VASP runs contains no usable run or, in strict mode, one run cannot be used."""


@dataclass
class FolderReport:
    """Outcome of a folder's runs, filled while the samples are read.

    Attributes
    ----------
    n_runs
        Number of runs found.
    n_samples
        Number of runs that gave a sample.
    problems
        Name and reason for each run that gave no sample, and for each table entry that matches no run.
    references
        Element -> reference energy (eV/atom) of the formation energies and its file; empty with a table.
    outcomes
        Kind of run -> outcome -> number of runs.
    reasons
        Short reason for leaving out runs -> the runs.
    notes
        Doubts about runs that were used.
    without_sample
        Runs that were used, but not for their DOS, and their use.
    passed_over
        Folders that look like those of VASP runs but contain no output to read, or one already read elsewhere.
    """

    n_runs: int = 0
    n_samples: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    references: dict[str, tuple[float, str]] = field(default_factory=dict)
    outcomes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    reasons: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    without_sample: list[tuple[str, str]] = field(default_factory=list)
    passed_over: list[tuple[str, str]] = field(default_factory=list)

    def lines(self, *, verbose: bool = False) -> Iterator[str]:
        """Yield the report as lines of text.

        Parameters
        ----------
        verbose
            Whether to name every run without a sample, rather than the first few for each reason.
        """
        yield f"{self.n_samples} of {self.n_runs} runs gave a sample"
        for kind, outcomes in sorted(self.outcomes.items()):
            became = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
            yield f"  {kind} {outcomes.total()}: {became}"
        if verbose:
            yield from (f"  {file}: {used_as}" for file, used_as in self.without_sample)
        elif self.without_sample:
            yield f"  {_MEANING}; --verbose names them"
        for element, (energy, file) in self.references.items():
            yield f"  reference {element}: {energy:.4f} eV/atom ({file})"
        whys = dict(self.problems)
        for reason, files in self.reasons.items():
            yield f"left out, {reason}: {len(files)}"
            yield from _named([(file, whys[file]) for file in files], verbose)
        if self.passed_over:
            yield f"folders without output that can be read: {len(self.passed_over)}"
            yield from _named(self.passed_over, verbose)
        yield from (f"note: {note}" for note in self.notes)


def _named(which: list[tuple[str, str]], verbose: bool) -> Iterator[str]:
    shown = which if verbose else which[:_NAMED]
    yield from (f"  {name}: {why}" for name, why in shown)
    if len(shown) < len(which):
        yield f"  ... and {len(which) - len(shown)} more (--verbose names all)"


@dataclass
class Problems:
    """Handler of problems, which reports omitted runs or, if ``strict``, raises an error."""

    folder: Path
    strict: bool
    report: FolderReport | None
    found: FolderReport = field(init=False)

    def __post_init__(self) -> None:
        self.found = self.report if self.report is not None else FolderReport()

    def add(self, file: Path, reason: str, why: str, *, error: type[UserError] = VaspFolderError) -> None:
        """Report a run as left out.

        Raises
        ------
        UserError
            With ``strict``: an instance of ``error`` that names the file.
        """
        why = why.removeprefix(f"{self.folder / file}: ")
        if self.strict:
            raise error(f"{self.folder / file}: {why}")
        why = why.replace(f"{self.folder}/", "")
        if self.report is None:
            logger.warning("left out: %s: %s", file.as_posix(), why)
        self.found.problems.append((file.as_posix(), why))
        self.found.reasons.setdefault(reason, []).append(file.as_posix())

    def note(self, text: str) -> None:
        """Report doubts about data that are used."""
        if self.report is None:
            logger.warning("%s", text)
        self.found.notes.append(text)

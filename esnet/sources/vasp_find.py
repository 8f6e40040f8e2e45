"""Search for VASP runs in a folder."""

import fnmatch
import os
import re
from collections.abc import Iterator
from pathlib import Path

from esnet.sources.vasp_report import FolderReport, VaspFolderError
from esnet.sources.vasprun import OUTPUT_NAMES

_COMPRESSED = r"(\.gz|\.bz2|\.xz|\.lzma|\.zst)?"
# vasprun.xml.relax1 and vasprun.relax2.xml.gz belong to the steps of a double relaxation
_STEP = re.compile(rf"(vasprun|vaspout)(\.relax(\d+))?(\.xml|\.h5)(\.relax(\d+))?{_COMPRESSED}(\.relax(\d+))?")
_LOOKS_LIKE_VASP = re.compile(r"OUTCAR|vasprun|vaspout", re.IGNORECASE)


def find_runs(folder: Path, *, pattern: str = "*", report: FolderReport | None = None) -> list[Path]:
    """Return the output files of all runs in a folder, sorted, as paths relative to it.

    Links are followed; a run reachable in two ways is found once, under the path without links. The steps of a double
    relaxation in one folder are separate runs.

    Parameters
    ----------
    folder
        Folder to search, with all folders below it.
    pattern
        Pattern that the path of a run inside the folder must match.
    report
        Report whose ``passed_over`` is filled.

    Raises
    ------
    VaspFolderError
        If the folder does not exist or contains no run.
    """
    if not folder.is_dir():
        raise VaspFolderError(f"{folder}: there is no such folder")
    files: list[Path] = []
    passed_over: list[tuple[str, str]] = []
    known: dict[str, Path] = {}
    for place, names in _folders(folder):
        inside = place.relative_to(folder)
        outputs = [inside / name for name in _outputs(names)]
        for output in outputs:
            first = known.setdefault(os.path.realpath(folder / output), output)
            if first == output:
                files.append(output)
            else:
                passed_over.append((output.as_posix(), f"is the same file as {first.as_posix()}"))
        traces = [name for name in names if _LOOKS_LIKE_VASP.match(name)]
        if traces and not outputs and fnmatch.fnmatchcase((inside / traces[0]).as_posix(), pattern):
            passed_over.append((inside.as_posix(), f"has {', '.join(traces[:3])}, but no vasprun.xml or vaspout.h5"))
    chosen = sorted(file for file in files if fnmatch.fnmatchcase(file.as_posix(), pattern))
    if report is not None:
        report.passed_over = sorted(passed_over)
    if not chosen:
        traces_only = (
            f"; {len(passed_over)} folders look like VASP runs, e.g. {passed_over[0][0]}" if passed_over else ""
        )
        raise VaspFolderError(
            f"{folder}: no run found: no {OUTPUT_NAMES[0]} or vaspout.h5 (plain, .gz, .bz2, .xz, .lzma or .zst) "
            + (f"whose path matches {pattern!r} ({len(files)} others)" if files else "in any folder below it")
            + traces_only
        )
    return chosen


def _folders(top: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield each folder once with the names of its files: real folders first, then the targets of links."""
    waiting, known = [top], set[str]()
    while waiting:
        for place, folders, names in os.walk(waiting.pop(0), onerror=_refuse_unreadable):
            real = os.path.realpath(place)
            if real in known:
                folders.clear()
                continue
            known.add(real)
            folders.sort()
            waiting += [Path(place, folder) for folder in folders if Path(place, folder).is_symlink()]
            yield Path(place), sorted(names)


def _refuse_unreadable(error: OSError) -> None:
    raise VaspFolderError(f"{error.filename}: the folder cannot be read ({error.strerror})") from error


def _outputs(names: list[str]) -> list[str]:
    """Return the output files in one folder: one per run, and one per step of a double relaxation."""
    steps: dict[int, str] = {}
    for name in sorted(names, key=lambda name: (not name.startswith("vasprun"), len(name))):
        if found := _STEP.fullmatch(name):
            numbers = [int(number) for number in found.group(3, 6, 9) if number]
            steps.setdefault(numbers[0] if numbers else 0, name)
    if plain := next((name for name in OUTPUT_NAMES if name in names), None):
        steps[0] = plain
    return list(steps.values())

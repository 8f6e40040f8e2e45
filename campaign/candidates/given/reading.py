"""Read all crystals used as given: in several processes, in a fixed order, once per process.

Measured by benchmarks/as_given.py, see docs/reference/structure-sources.md.
"""

import hashlib
import logging
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from campaign.candidates.given.crystals import GivenCrystal, LeftOut, ReadItem, read_items
from campaign.candidates.given.items import Item, items_of
from campaign.candidates.given.source_files import Source, find_source
from campaign.candidates.structure_text import Reason
from esnet.files.atomic import sha256_of

logger = logging.getLogger(__name__)

OnProgress = Callable[[str, int, int | None], None]
"""Callback with the current activity (reading, comparing), the number done, and the total if known."""

_CHUNK = 50
"""Items given to a process at a time."""
_ALONE = 200
"""Number of items up to which one process is faster than starting more."""
_MOST_PROCESSES = 8


@dataclass(frozen=True, kw_only=True)
class GivenSettings:
    """Settings that determine which crystals are read and how, from the section ``candidates``."""

    paths: tuple[Path, ...]
    column: str | None = None
    rescale: bool = False
    max_atoms: int = 500


@dataclass(frozen=True, kw_only=True)
class SourceRecord:
    """A path of ``as_given`` at the time it was read.

    Attributes
    ----------
    path
        The path.
    sha256
        Checksum of its files and those that they name.
    n_files, n_read, n_left_out
        Number of files, of crystals read, and of those that cannot be used.
    """

    path: Path
    sha256: str
    n_files: int
    n_read: int
    n_left_out: int


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Content of all sources."""

    crystals: tuple[GivenCrystal, ...]
    left_out: tuple[LeftOut, ...]
    sources: tuple[SourceRecord, ...]
    unused: dict[Path, tuple[str, ...]] = field(default_factory=dict)

    @property
    def elements(self) -> list[str]:
        """Symbols of the crystals' elements in alphabetical order."""
        return sorted({symbol for each in self.crystals for symbol in each.crystal.composition()})


_latest: tuple[object, Reading] | None = None
"""The latest reading with its settings; checks, preview and start of a campaign need the same one."""


def read_given(settings: GivenSettings, *, on_progress: OnProgress | None = None) -> Reading:
    """Read all crystals in the order of the sources; the latest result is reused unless a file has changed.

    Raises
    ------
    StructureFileError
        If a source does not exist or as a whole cannot be read.
    """
    global _latest
    sources = [find_source(path) for path in settings.paths]
    stamp = (settings, tuple(_stamps(sources)))
    if _latest is None or _latest[0] != stamp:
        _latest = None
        _latest = (stamp, _read(sources, settings, on_progress))
    return _latest[1]


def forget_reading() -> None:
    """Free the memory of the latest reading."""
    global _latest
    _latest = None


def _stamps(sources: Sequence[Source]) -> Iterator[tuple[str, int, int]]:
    """Yield path, size and modification time of all files; files named in a table are only known once it is read."""
    for source in sources:
        for path in {source.path if source.path.is_file() else None, *(file.path for file in source.files)} - {None}:
            assert path is not None
            found = path.stat()
            yield str(path), found.st_size, found.st_mtime_ns


def _read(sources: Sequence[Source], settings: GivenSettings, on_progress: OnProgress | None) -> Reading:
    crystals: list[GivenCrystal] = []
    left_out: list[LeftOut] = []
    records: list[SourceRecord] = []
    # files with one crystal each, so their number is known
    total = sum(len(source.files) for source in sources)
    is_known = all(file.kind == "crystal" for source in sources for file in source.files)
    done = 0
    with _Reader(settings) as reader:
        for source in sources:
            digest = hashlib.sha256()
            before = len(crystals), len(left_out)
            left_out += [
                LeftOut(name=name, file=str(source.path), reason=Reason.UNREADABLE, detail=detail)
                for name, detail in source.missing
            ]
            if source.path.is_file():
                digest.update(bytes.fromhex(sha256_of(source.path)))
            for read in reader.read(_items(source, settings.column, digest)):
                crystals += [found for found in read.found if isinstance(found, GivenCrystal)]
                left_out += [found for found in read.found if isinstance(found, LeftOut)]
                digest.update((read.sha256 or "").encode())
                done += 1
                if on_progress is not None:
                    on_progress("reading", done, total if is_known else None)
            n_bad = len(left_out) - before[1]
            records.append(
                SourceRecord(
                    path=source.path,
                    sha256=digest.hexdigest(),
                    n_files=len(source.files),
                    n_read=len(crystals) - before[0] + n_bad,
                    n_left_out=n_bad,
                )
            )
    return Reading(
        crystals=tuple(crystals),
        left_out=tuple(left_out),
        sources=tuple(records),
        unused={source.path: source.unused for source in sources if source.unused},
    )


def _items(source: Source, column: str | None, digest: "hashlib._Hash") -> Iterator[Item]:
    for file in source.files:
        digest.update(file.name.encode())
        if file.kind != "crystal" and file.path != source.path:
            digest.update(bytes.fromhex(sha256_of(file.path)))
        yield from items_of(file, column=column)


class _Reader:
    """Reads items in order: the first ones in this process, then in one process per core."""

    def __init__(self, settings: GivenSettings) -> None:
        self._read_items = partial(read_items, rescale=settings.rescale, max_atoms=settings.max_atoms)
        self._pool: ProcessPoolExecutor | None = None
        self._alone = usable_processes() == 1
        self._n_read = 0

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def read(self, items: Iterator[Item]) -> Iterator[ReadItem]:
        """Yield the result of each item in order; few items wait in memory."""
        waiting: deque[tuple[list[Item], Future[list[ReadItem]] | None]] = deque()
        processes = usable_processes()
        for chunk in _chunks(items):
            self._n_read += len(chunk)
            waiting.append((chunk, self._submit(chunk, processes)))
            if waiting[0][1] is None or len(waiting) > 3 * processes:
                yield from self._result(*waiting.popleft())
        while waiting:
            yield from self._result(*waiting.popleft())

    def _submit(self, chunk: list[Item], processes: int) -> "Future[list[ReadItem]] | None":
        """Pass a chunk to another process; None if this process is to read it in its turn."""
        if self._alone or self._n_read <= _ALONE:
            return None
        try:
            if self._pool is None:
                self._pool = make_pool(processes)
            return self._pool.submit(self._read_items, chunk)
        except BrokenProcessPool:
            self._note_end()
            return None

    def _result(self, chunk: list[Item], future: "Future[list[ReadItem]] | None") -> list[ReadItem]:
        try:
            return self._read_items(chunk) if future is None else future.result()
        except BrokenProcessPool:
            self._note_end()
            return self._read_items(chunk)

    def _note_end(self) -> None:
        """Handle the end of a process: killed for lack of memory, or by a script that starts processes when
        imported.
        """
        if not self._alone:
            logger.warning("a process that read structures has ended; this one reads the others alone")
        self._alone = True


def usable_processes() -> int:
    """Return the number of processes that may work on structures at the same time."""
    if multiprocessing.current_process().daemon:
        return 1  # a daemon may have no children
    return min(len(os.sched_getaffinity(0)), _MOST_PROCESSES)


def make_pool(processes: int) -> ProcessPoolExecutor:
    """Create processes that share nothing with this one, which may have threads and connections."""
    return ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))


def _chunks(items: Iterator[Item]) -> Iterator[list[Item]]:
    chunk: list[Item] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk

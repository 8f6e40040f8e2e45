"""Extract the parts of a vasprun.xml that the features need, while streaming the file.

By far the largest part of a vasprun.xml is eigenvalues and their projections, which the features do not need. The file
is read in pieces: its header, the last ionic steps and the densities of states are kept, the rest is dropped unparsed.
"""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from esnet.files.errors import require
from esnet.sources.vasp_dos import VaspReadError

PIECE = 1 << 18
LARGEST_PART = 1 << 31
"""Largest plausible header, ionic step or DOS in bytes; larger ones are not from VASP (500 atoms: 0.2 GB of DOS)."""

_STEP, _DOS, _DOS_END = b"<calculation", b"<dos", b"</dos>"
_STEP_ENDS = (b"<eigenvalues", _DOS, _STEP, b"</calculation>")
_OVERLAP = max(map(len, (*_STEP_ENDS, _DOS_END)))


@dataclass(frozen=True)
class VasprunParts:
    """Text of a vasprun.xml, cut out but not parsed.

    Attributes
    ----------
    header
        Text from the beginning to the first ionic step.
    step
        The last ionic step, from ``<calculation>`` to its eigenvalues: electronic steps, structure, forces, energy.
    n_steps
        Number of ionic steps.
    previous
        The two ionic steps before the last one, latest first.
    dos
        The last ``<dos>`` that is not one of KPOINTS_OPT, with both tags; None if there is none.
    """

    header: bytes
    step: bytes
    n_steps: int
    previous: tuple[bytes, ...]
    dos: bytes | None


def read_parts(path: Path) -> VasprunParts:
    """Split a vasprun.xml, compressed or not, into its parts.

    Raises
    ------
    VaspReadError
        If the file cannot be opened or decompressed, is not a vasprun.xml, or ends before its last tag.
    """
    with _open_compressed(path) as file:
        return _Cutter(file, path).parts()


@contextmanager
def _open_compressed(path: Path) -> Iterator[BinaryIO]:
    """Open a file, recognising compression with gzip, bzip2, xz, lzma or zstandard from its first bytes.

    Raises
    ------
    VaspReadError
        If the file does not exist, or its compressed data are truncated or damaged.
    """
    try:
        with path.open("rb") as raw:
            start = raw.read(6)
            raw.seek(0)
            with _decompressed(raw, start) as file:
                yield file
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise VaspReadError(f"{path}: the compressed file is truncated or damaged ({error})") from error
    except OSError as error:
        raise VaspReadError(f"{path}: cannot be read ({error.strerror or error})") from error


def _decompressed(raw: BinaryIO, start: bytes) -> BinaryIO:
    if start.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw, mode="rb"))
    if start.startswith(b"BZh"):
        return cast(BinaryIO, bz2.BZ2File(raw))
    if start.startswith((b"\xfd7zXZ\x00", b"]\x00\x00")):
        return cast(BinaryIO, lzma.LZMAFile(raw))
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        # Python's standard library has zstandard from 3.14 on; pyarrow comes with mp-api and Ray Tune
        return cast(BinaryIO, require("pyarrow", extra="mp").CompressedInputStream(raw, "zstd"))
    return raw


class _Cutter:
    """Incremental reader of a file; ``text`` is the input that is neither kept nor dropped yet."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.file = file
        self.path = path
        self.text = b""
        self.tail = b""

    def parts(self) -> VasprunParts:
        self.text = self._read()
        if not self.text.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<?xml", b"<modeling")):
            raise self._not_vasprun(f"it begins with {self.text[:40]!r}")
        header = self._up_to((_STEP,))
        if header is None:
            raise self._not_vasprun("it has no ionic step")
        step, n_steps, dos = b"", 0, None
        previous: tuple[bytes, ...] = ()
        while self._skip_to((_STEP, _DOS)):
            if self.text.startswith(_STEP):
                n_steps += 1
                previous = (step, *previous[:1]) if step else ()
                step = self._required(_STEP_ENDS, "an ionic step", past=len(_STEP))
            else:
                text = self._required((_DOS_END,), "the densities of states", past=0) + _DOS_END
                if b"kpoints_opt" not in text[: text.find(b">")]:
                    dos = text
        if not self.tail.rstrip().endswith(b"</modeling>"):
            raise VaspReadError(
                f"{self.path}: ends before </modeling>: the run was cut off, or the file truncated; "
                f"its last characters are {self.tail.rstrip()[-30:]!r}"
            )
        return VasprunParts(header=header, step=step, n_steps=n_steps, previous=previous, dos=dos)

    def _read(self) -> bytes:
        piece = self.file.read(PIECE)
        self.tail = (self.tail + piece)[-64:]
        return piece

    def _skip_to(self, tags: tuple[bytes, ...]) -> bool:
        """Drop everything before the first of the tags; return False at the end of the file."""
        while True:
            place = self._first(tags, 0)
            if place >= 0:
                self.text = self.text[place:]
                return True
            self.text = self.text[-_OVERLAP:]
            piece = self._read()
            if not piece:
                return False
            self.text += piece

    def _up_to(self, tags: tuple[bytes, ...], *, past: int = 0) -> bytes | None:
        """Return the text before the first of the tags, searching from ``past`` on; None if there is no tag."""
        pieces, size, past_now = [], 0, past
        while True:
            place = self._first(tags, past_now)
            if place >= 0:
                pieces.append(self.text[:place])
                self.text = self.text[place:]
                return b"".join(pieces)
            keep = max(len(self.text) - _OVERLAP, past_now)
            pieces.append(self.text[:keep])
            size += keep
            self.text, past_now = self.text[keep:], 0
            piece = self._read()
            if not piece or size > LARGEST_PART:
                return None
            self.text += piece

    def _first(self, tags: tuple[bytes, ...], start: int) -> int:
        """Return the position of the first of the tags, or -1 if absent."""
        # searching backwards is two to three times faster in CPython, and few pieces contain a tag
        found = [tag for tag in tags if self.text.rfind(tag, start) >= 0]
        return min((self.text.find(tag, start) for tag in found), default=-1)

    def _required(self, tags: tuple[bytes, ...], what: str, *, past: int) -> bytes:
        found = self._up_to(tags, past=past)
        if found is None:
            raise VaspReadError(f"{self.path}: ends inside {what}: the run was cut off, or the file truncated")
        return found

    def _not_vasprun(self, why: str) -> VaspReadError:
        return VaspReadError(f"{self.path}: is not a complete vasprun.xml: {why}")


def is_plain(path: Path) -> bool:
    """Return whether a file is uncompressed; raise VaspReadError if it cannot be opened."""
    with _open_compressed(path) as file:
        # plain if the opened stream is the file itself, without a decompressor in between
        return isinstance(file, io.BufferedReader)


def read_all(path: Path) -> io.BytesIO:
    """Return the decompressed content of a file."""
    with _open_compressed(path) as file:
        return io.BytesIO(file.read())

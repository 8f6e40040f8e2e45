"""The file of an exported campaign: a ZIP archive of BSON parts, each with its SHA-256, written and read as a stream.

A part holds the documents of one collection in sequence, as MongoDB stores them (`mongodump`'s format, readable by
`bsondump`), so dates, ids and binary data are preserved exactly. The manifest is the last member, and the archive's
comment is the SHA-256 of the file with 64 zeros in its place. Nothing is unpacked into a folder, so member names cannot
lead outside it.
"""

import errno
import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

from campaign.store.transfer.manifest import (
    COLLECTIONS,
    DIGEST_LENGTH,
    LARGEST_DOCUMENT,
    LARGEST_MANIFEST,
    MANIFEST,
    NO_DIGEST,
    STORED,
    ArchiveError,
    Manifest,
    Part,
    part_name,
)
from esnet.files.atomic import whole_file

_PIECE = 1024**2
_SMALLEST_DOCUMENT = 5
_LENGTH = struct.Struct("<i")
#: Documents are long lists of numbers: a higher level takes several times as long and saves a few per cent.
_EFFORT = 1
#: Errors from reading a damaged archive.
_DAMAGED = (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, LookupError, struct.error)


class ArchiveWriter:
    """An archive being written.

    Attributes
    ----------
    parts
        Parts written so far, by collection.
    """

    def __init__(self, archive: ZipFile) -> None:
        self.parts: dict[str, Part] = {}
        self._archive = archive

    @contextmanager
    def part(self, collection: str) -> Iterator[Callable[[bytes], None]]:
        """Write the documents of a collection; the context yields a function that takes them one by one, as BSON."""
        digest, documents, size = hashlib.sha256(), 0, 0
        # with ZIP's earliest date, so that equal content gives an equal part
        info = ZipInfo(part_name(collection))
        info.compress_type = ZIP_STORED if collection in STORED else ZIP_DEFLATED
        info._compresslevel = _EFFORT  # type: ignore[attr-defined]  # public (compress_level) since Python 3.13
        with self._archive.open(info, "w", force_zip64=True) as member:

            def write(document: bytes) -> None:
                nonlocal documents, size
                digest.update(document)
                documents, size = documents + 1, size + len(document)
                member.write(document)

            yield write
        self.parts[collection] = Part(documents=documents, bytes=size, sha256=digest.hexdigest())

    def close(self, manifest: Manifest) -> None:
        """Write the manifest, as the last member."""
        self._archive.writestr(ZipInfo(MANIFEST), manifest.to_json(), ZIP_DEFLATED)


@contextmanager
def write_archive(path: Path) -> Iterator[ArchiveWriter]:
    """Write an archive; the file gets its name if the context ends without error after `ArchiveWriter.close`."""
    with whole_file(path) as temporary:
        with temporary.open("wb") as file:
            hashing = _Hashing(file)
            with ZipFile(hashing, "w") as archive:  # type: ignore[call-overload]  # a stream that cannot seek
                archive.comment = NO_DIGEST
                yield ArchiveWriter(archive)
        with temporary.open("r+b") as file:
            file.seek(-DIGEST_LENGTH, 2)
            file.write(hashing.digest.hexdigest().encode())


class _Hashing:
    """A write-only stream that computes the SHA-256 of its content."""

    def __init__(self, file: BinaryIO) -> None:
        self.digest = hashlib.sha256()
        self._file = file

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        return self._file.write(content)

    def flush(self) -> None:
        self._file.flush()


class Archive:
    """An exported campaign's file, opened for reading; no more is read than the manifest states.

    Attributes
    ----------
    path
        The file.
    manifest
        Its description.
    sha256
        Its checksum, stored at its end and verified by `check`.
    """

    def __init__(self, path: Path) -> None:
        """Open a file and read its manifest.

        Raises
        ------
        ArchiveError
            If it is not such a file, is truncated, has an altered directory or manifest, or is of a newer version.
        """
        self.path = path
        if not path.is_file():
            raise ArchiveError(f"{path}: there is no such file; right: one written by `campaign export`")
        with self._sentences(f"{path} is not an exported campaign, or was truncated"):
            self._archive = ZipFile(path)
        with ExitStack() as failed:  # the file is closed on any error
            failed.callback(self.close)
            self._members = self._read_directory()
            self.sha256 = self._archive.comment.decode("ascii", "replace")
            with self._sentences(f"{path}: {MANIFEST} is damaged"), self._archive.open(MANIFEST) as member:
                content = member.read(LARGEST_MANIFEST + 1)
            self.manifest = Manifest.from_json(content, source=str(path))
            failed.pop_all()

    def _read_directory(self) -> dict[str, ZipInfo]:
        members = {info.filename: info for info in self._archive.infolist()}
        if MANIFEST not in members or members[MANIFEST].file_size > LARGEST_MANIFEST:
            raise ArchiveError(
                f"{self.path} is not an exported campaign: it has no {MANIFEST}, or one that is far too large"
            )
        wrong = sorted({MANIFEST, *map(part_name, COLLECTIONS)} ^ members.keys())
        if len(self._archive.infolist()) != len(members):
            wrong = ["a part that occurs twice"]
        if wrong:
            named = ", ".join(map(repr, wrong[:5]))
            raise ArchiveError(f"{self.path}: its parts are not those of an exported campaign: {named}")
        return members

    def __enter__(self) -> "Archive":
        """Return the archive itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._archive.close()

    def check(self) -> None:
        """Read the whole file and verify its checksums.

        Raises
        ------
        ArchiveError
            Names the part that differs.
        """
        for collection, part in self.manifest.parts.items():
            digest = hashlib.sha256()
            documents = sum(1 for _ in self._read(collection, digest.update))
            if digest.hexdigest() != part.sha256 or documents != part.documents:
                raise self._altered(collection, "its SHA-256 is not that of the manifest")
        if _digest_of(self.path) != self.sha256:
            raise ArchiveError(f"{self.path} was altered outside its parts: it does not match the checksum at its end")

    def documents(self, collection: str) -> Iterator[RawBSONDocument]:
        """Yield the documents of a part, undecoded."""
        for content in self._read(collection, lambda _: None):
            try:
                document = RawBSONDocument(content)
                document.get("_id")  # decoded on first access
            except (BSONError, ValueError) as error:
                raise self._altered(collection, f"a document cannot be decoded: {error}") from error
            yield document

    def _read(self, collection: str, update: Callable[[bytes], Any]) -> Iterator[bytes]:
        """Yield the documents of a part as bytes, at most as many as the manifest states."""
        name, left = part_name(collection), self.manifest.parts[collection].bytes
        if (size := self._members[name].file_size) != left:
            raise self._altered(collection, f"it has {size} bytes, right: {left}")
        with self._sentences(f"{self.path}: {name} was altered"), self._archive.open(name) as member:
            while left:
                head = _exactly(member, _LENGTH.size)
                length = _LENGTH.unpack(head)[0]
                if not _SMALLEST_DOCUMENT <= length <= min(LARGEST_DOCUMENT, left):
                    raise self._altered(collection, f"a document has {length} bytes")
                content = head + _exactly(member, length - _LENGTH.size)
                left -= length
                update(content)
                yield content
            member.read(1)  # verifies the archive's own checksum, and finds data after the last document

    def _altered(self, collection: str, why: str) -> ArchiveError:
        return ArchiveError(f"{self.path}: {part_name(collection)} was altered: {why}; copy the file again")

    @contextmanager
    def _sentences(self, what: str) -> Iterator[None]:
        """Convert any error from a damaged archive into an ArchiveError."""
        try:
            yield
        except ArchiveError:
            raise
        except (*_DAMAGED, OSError) as error:
            # EINVAL: a damaged directory names a place outside the file; other errors are the disk's
            if isinstance(error, OSError) and error.errno != errno.EINVAL:
                raise
            raise ArchiveError(f"{what}: {error or type(error).__name__}; copy the file again") from error


def _exactly(member: IO[bytes], number: int) -> bytes:
    content = member.read(number)
    if len(content) != number:
        raise EOFError("it ends inside a document")
    return content


def _digest_of(path: Path) -> str:
    """Return the SHA-256 of a file with 64 zeros in place of its last 64 bytes."""
    digest, left = hashlib.sha256(), path.stat().st_size - DIGEST_LENGTH
    with path.open("rb") as file:
        while left > 0:
            piece = file.read(min(_PIECE, left))
            if not piece:
                break
            digest.update(piece)
            left -= len(piece)
    digest.update(NO_DIGEST)
    return digest.hexdigest()

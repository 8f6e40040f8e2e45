"""Text of a structure file: unpacked, decoded and limited in size."""

import bz2
import codecs
import gzip
import lzma
import zlib
from enum import StrEnum
from pathlib import Path
from typing import IO, cast

from esnet.files.errors import UserError

LARGEST_FILE = 16 << 20
"""Bytes, unpacked. Larger files are refused unread; `MAX_SITES` atoms take about a hundredth of this."""
MAX_SITES = 2000
"""Largest number of atoms in a cell that is read; DFT relaxes a few hundred."""
FARTHEST = 1e4
"""Largest fractional coordinate: the search for neighbours slows down with the distance of atoms from the cell."""

HYDROGEN_ISOTOPES = {"D": "deuterium", "T": "tritium"}
_PACKED = (".gz", ".bz2", ".xz")


class Reason(StrEnum):
    """Why a crystal cannot be a candidate, as worded in counts."""

    UNREADABLE = "not readable"
    DISORDERED = "disordered"
    TOO_CLOSE = "atoms too close"
    CELL = "impossible cell"
    TOO_LARGE = "too many atoms"
    ELEMENT = "no element that can be treated"
    F_BLOCK = "f-block element"
    NOT_CALCULABLE = "element without reference, PAW data set or scorer"
    DUPLICATE = "duplicate"
    BEYOND = "beyond max_candidates"


class StructureFileError(UserError, ValueError):
    """A folder or file of crystal structures cannot be used.

    Parameters
    ----------
    message
        What was found and what would be right.
    reason
        The reason in a word, for counting.
    """

    def __init__(self, message: str, *, reason: Reason = Reason.UNREADABLE) -> None:
        super().__init__(message)
        self.reason = reason


def unpacked_name(path: Path) -> str:
    """Return a file's name without the ending of a compressed file."""
    return path.stem if path.suffix.lower() in _PACKED else path.name


def read_text(path: Path) -> str:
    """Read a text file, compressed or not, with line feeds as line ends.

    Raises
    ------
    StructureFileError
        If it cannot be read or unpacked, is larger than `LARGEST_FILE`, or is not text.
    """
    try:
        with open_packed(path) as file:
            content = file.read(LARGEST_FILE + 1)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise StructureFileError(f"cannot be unpacked: {error}; right: a whole {path.suffix} file") from error
    except OSError as error:
        raise StructureFileError(f"cannot be read: {error.strerror or error}") from error
    if len(content) > LARGEST_FILE:
        raise StructureFileError(f"has more than {LARGEST_FILE >> 20} MiB; right: {MAX_SITES} atoms at most")
    if not content.strip():
        raise StructureFileError("is empty")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = content.decode("utf-16", errors="replace")
    else:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("latin-1")  # authors' names in files that predate Unicode
    if "\0" in text:
        raise StructureFileError("is not text; right: a CIF or POSCAR file")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def open_packed(path: Path) -> IO[bytes]:
    """Open a file, compressed or not, for reading bytes."""
    if path.suffix.lower() == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    if path.suffix.lower() == ".bz2":
        return bz2.open(path, "rb")
    return lzma.open(path, "rb") if path.suffix.lower() == ".xz" else path.open("rb")


def isotope_note(symbol: str) -> str:
    """Return the note about a symbol that begins with that of an isotope."""
    return f"{symbol} ({HYDROGEN_ISOTOPES[symbol[0]]}) is read as hydrogen"


def read_number(text: str, what: str) -> float:
    """Parse a finite number as written in VASP and CIF files: ``1.5``, ``3.0d0``, ``5.43(2)``.

    Raises
    ------
    StructureFileError
        Names what it should have been.
    """
    plain = text.partition("(")[0].lower().replace("d", "e")
    try:
        value = float(plain)
    except ValueError:
        raise StructureFileError(f"{what} is {text!r}; right: a number") from None
    if not abs(value) < 1e12:  # also excludes NaN
        raise StructureFileError(f"{what} is {text!r}; right: a finite number")
    return value

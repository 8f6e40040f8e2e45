"""Fast reader (about tenfold) for rows of numbers in vasprun.xml, ``<r>  -38.2675  0.0000 ... </r>``.

Fortran writes fixed-point numbers into columns of fixed width, so a block of rows is a matrix of characters. Each
number is read as an integer, which is exact in float64, and divided by a power of ten, which is correctly rounded. The
values therefore equal those of ``float`` to the last bit. A block with another layout is read number by number.
"""

import re

import numpy as np
from numpy.typing import NDArray

_ROW = re.compile(rb"<r>([^<>]*)</r>")
_MOST_DIGITS = 15  # an integer with this many digits is exact in float64
_WIDEST = 40
_SPACE, _MINUS, _POINT, _ZERO = b" -.0"


class RowsError(ValueError):
    """The text does not consist of rows of numbers."""


def read_rows(text: bytes, n_columns: int) -> NDArray[np.float64]:
    """Read the content of a ``<set>``.

    Parameters
    ----------
    text
        Rows ``<r> ... </r>`` and white space, nothing else.
    n_columns
        Number of values in each row.

    Returns
    -------
    ndarray
        Values, float64, shape (rows, n_columns), in Fortran order (each column is contiguous). A number that overflowed
        its column (``*******``) is NaN.

    Raises
    ------
    RowsError
        If there is anything other than such rows, or a row has another number of values.
    """
    fixed = _read_fixed_width(text, n_columns)
    return fixed if fixed is not None else _read_any(text, n_columns)


def _read_any(text: bytes, n_columns: int) -> NDArray[np.float64]:
    rest = _ROW.sub(b"", text).strip()
    if rest:
        raise RowsError(f"{rest[:40]!r} among rows of numbers")
    rows = [row.split() for row in _ROW.findall(text)]
    if wrong := {len(row) for row in rows} - {n_columns}:
        raise RowsError(f"a row of {min(wrong)} numbers where {n_columns} are named")
    values = [[_number(word) for word in row] for row in rows]
    return np.asfortranarray(np.array(values, dtype=np.float64).reshape(len(rows), n_columns))


def _number(word: bytes) -> float:
    if b"*" in word:
        return float("nan")
    try:
        return float(word)
    except ValueError:
        raise RowsError(f"{word[:40]!r} is not a number") from None


def _read_fixed_width(text: bytes, n_columns: int) -> NDArray[np.float64] | None:
    """Return the numbers, or None if the text is not laid out in columns."""
    lines = _as_matrix(text)
    if lines is None:
        return None
    first = lines[0]
    points = np.flatnonzero(first == _POINT)
    if len(points) != n_columns:
        return None
    decimals = _digits_after(first, int(points[-1]))
    width = int(points[1] - points[0]) if n_columns > 1 else int(points[0]) + 1 + decimals
    start = int(points[0]) + 1 + decimals - width
    stop = start + width * n_columns
    if start < 0 or not 0 < decimals < width - 1 or width > _WIDEST or not (np.diff(points) == width).all():
        return None
    if (lines[:, :start] != _SPACE).any() or (lines[:, stop:] != _SPACE).any():
        return None
    # each character position is contiguous over all rows, so the following operations run along the rows
    cells = np.ascontiguousarray(lines[:, start:stop].T).reshape(n_columns, width, len(lines))
    return _values(cells, decimals) if _are_fixed_point(cells, decimals) else None


def _as_matrix(text: bytes) -> NDArray[np.uint8] | None:
    """Return the characters between ``<r>`` and ``</r>`` row by row, if all lines have the layout of the first."""
    first = text.find(b"<r>")
    line = text.rfind(b"\n", 0, first) + 1
    length = text.find(b"\n", first) + 1 - line
    end = text.find(b"</r>", first)
    if first < 0 or length <= 0 or not first < end < line + length:
        return None
    n_rows = (len(text) - line) // length
    if text[:first].strip() or text[end + 4 : line + length].strip() or text[line + n_rows * length :].strip():
        return None
    characters = np.frombuffer(text, dtype=np.uint8, count=n_rows * length, offset=line).reshape(n_rows, length)
    left, right = first + 3 - line, end - line
    if any((part != part[0]).any() for part in (characters[:, :left], characters[:, right:])):
        return None
    return characters[:, left:right]


def _digits_after(row: NDArray[np.uint8], point: int) -> int:
    is_digit = (row[point + 1 :] - _ZERO) < 10
    return int(np.argmin(is_digit)) if not is_digit.all() else len(is_digit)


def _are_fixed_point(cells: NDArray[np.uint8], decimals: int) -> bool:
    """Return whether each number consists of blanks, an optional minus, digits, a point and ``decimals`` digits."""
    point = cells.shape[1] - decimals - 1
    whole, after = cells[:, :point], cells[:, point + 1 :]
    is_digit, is_blank = (whole - _ZERO) < 10, whole == _SPACE
    is_start = is_blank | (whole == _MINUS)
    # a blank or a minus is preceded only by blanks
    ordered = is_digit[:, 1:] | (is_start[:, 1:] & is_blank[:, :-1])
    return bool(
        ((after - _ZERO) < 10).all()
        and (cells[:, point] == _POINT).all()
        and is_digit[:, -1].all()
        and (is_digit[:, 0] | is_start[:, 0]).all()
        and ordered.all()
    )


def _values(cells: NDArray[np.uint8], decimals: int) -> NDArray[np.float64] | None:
    n_columns, width, n_rows = cells.shape
    point = width - decimals - 1
    digits = cells - _ZERO
    digits *= digits < 10  # blanks and minus count as 0
    used = np.flatnonzero(digits[:, :point].any(axis=(0, 2)))
    indices = [*range(int(used[0]) if len(used) else point, point), *range(point + 1, width)]
    if len(indices) > _MOST_DIGITS:
        return None
    values = np.zeros((n_columns, n_rows))
    if len(indices) % 2:
        values += digits[:, indices.pop(0)]
    for tens, ones in zip(indices[::2], indices[1::2], strict=True):
        values *= 100.0
        values += digits[:, tens] * np.uint8(10) + digits[:, ones]
    values /= 10.0**decimals
    negative = (cells[:, :point] == _MINUS).any(axis=1)
    np.negative(values, out=values, where=negative)
    return values.T

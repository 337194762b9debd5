"""Streams CSV files with a header and the columns `pixel1` to `pixel784`, such as Kaggle's copy of the dataset."""

import csv
import itertools
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.image_rows import MOST_ROWS, ImageRows, divide_rows
from fmnist.domain.model.data.images import CLASS_NAMES, PIXELS, SIDE
from fmnist.domain.model.errors import InvalidImages

_PIXELS = tuple(f"pixel{number}" for number in range(1, PIXELS + 1))
_LABEL = "label"
_LONGEST = 100_000  # bytes of a line; 784 pixels take at most 3135
_LINES_AT_ONCE = 50  # their numbers stay in the processor's cache, which is twice as fast as 1000 lines
_COMMA = ord(",")
_PIXEL = {f"{value:0{width}}".encode(): value for width in (1, 2, 3) for value in range(256)}  # what `_numbers` reads
_CLASS = {text: value for text, value in _PIXEL.items() if value < len(CLASS_NAMES)}


def header(start: bytes) -> tuple[str, ...] | None:
    """Return the names of the columns if a file that starts so has all pixels side by side, or else None."""
    line = start.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].decode(errors="replace").rstrip("\r")
    names = tuple(name.strip() for name in _fields(line))
    first = names.index(_PIXELS[0]) if _PIXELS[0] in names else len(names)
    return names if names[first : first + PIXELS] == _PIXELS else None


def open_csv(file: BinaryIO) -> Iterator[ImageRows]:
    """Open the file."""
    names = header(file.readline(_LONGEST))
    if names is None:
        raise InvalidImages(f"a CSV file needs the columns {_PIXELS[0]} to {_PIXELS[-1]}, side by side and in order")
    if repeated := sorted(name for name in set(names) if names.count(name) > 1):
        raise InvalidImages(f"several columns {repeated[0]!r}, expected different names")
    return _rows(file, names)


def _rows(file: BinaryIO, names: Sequence[str]) -> Iterator[ImageRows]:
    before = names.index(_PIXELS[0])
    after = len(names) - before - PIXELS
    others = [*names[:before], *names[before + PIXELS :]]
    lines = _lines(file)
    for start in itertools.count(0, MOST_ROWS):
        batch = list(itertools.islice(lines, MOST_ROWS))
        if not batch:
            return
        faults, values = dict[int, str](), list[list[bytes]]()
        for row, line in enumerate(batch):
            cut, found = _cut(line, before, after)
            if found != len(names):
                faults[row] = f"{found} values, expected {len(names)}"
                cut = [b""] * before + [b",".join([b"0"] * PIXELS)] + [b""] * after
            values.append(cut)
        images = _images([cut.pop(before) for cut in values], faults)
        columns = {name: [cut[place] for cut in values] for place, name in enumerate(others)}
        labels = _labels(columns.pop(_LABEL), faults) if _LABEL in columns else None
        ids = {name: [text.decode(errors="replace") for text in column] for name, column in columns.items()}
        yield divide_rows(start, images, faults, labels, ids=ids)


def _cut(line: bytes, before: int, after: int) -> tuple[list[bytes], int]:
    """Return the values of a line, with all pixels as one of them, and the number of values."""
    if b'"' in line:
        fields = [field.encode() for field in _fields(line.decode(errors="replace"))]
        end = before + PIXELS
        return [*fields[:before], b",".join(fields[before:end]), *fields[end:]], len(fields)
    cut = line.split(b",", before)
    return [*cut[:-1], *cut[-1].rsplit(b",", after)], line.count(b",") + 1


def _fields(line: str) -> list[str]:
    try:
        return next(csv.reader([line], skipinitialspace=True), [])
    except csv.Error:  # a line end within the line
        return []


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(_LONGEST):
        if len(line) == _LONGEST:
            raise InvalidImages(f"a line of at least {_LONGEST} bytes")
        if line := line.rstrip(b"\r\n"):
            yield line


def _labels(texts: Sequence[bytes], faults: dict[int, str]) -> npt.NDArray[np.int64]:
    for row, text in enumerate(texts):
        if text.strip() not in _CLASS:
            faults.setdefault(row, f"label {text[:20].decode(errors='replace')!r}: expected 0-{len(CLASS_NAMES) - 1}")
    return np.array([_CLASS.get(text.strip(), 0) for text in texts])


def _images(texts: Sequence[bytes], faults: dict[int, str]) -> npt.NDArray[np.uint8]:
    """Return the pixels of rows, each as 784 numbers with commas between them. Bad rows are added to `faults`."""
    images = np.zeros((len(texts), PIXELS), np.uint8)
    for start in range(0, len(texts), _LINES_AT_ONCE):
        some = texts[start : start + _LINES_AT_ONCE]
        if (pixels := _numbers(b",".join(some) + b",")) is not None:
            images[start : start + len(some)] = pixels.reshape(-1, PIXELS)
            continue
        for row, text in enumerate(some, start):
            fields = [field.strip() for field in text.split(b",")]
            if (bad := next((place for place, field in enumerate(fields) if field not in _PIXEL), None)) is not None:
                found = fields[bad][:20].decode(errors="replace")
                faults.setdefault(row, f"{_PIXELS[bad]} is {found!r}: expected an integer 0-255")
            else:
                images[row] = [_PIXEL[field] for field in fields]
    return images.reshape(-1, SIDE, SIDE)


def _numbers(text: bytes) -> npt.NDArray[np.uint8] | None:
    """Return integers 0-255, each followed by a comma; None if there is anything else. Numpy has nothing as fast."""
    characters = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(characters == _COMMA)
    digits = characters - ord("0")  # wraps around, so that all others are above 9
    lengths = np.diff(ends, prepend=-1) - 1
    if np.count_nonzero(digits <= 9) != len(text) - len(ends) or lengths.min() < 1 or lengths.max() > 3:
        return None
    values = digits[ends - 1].astype(np.uint16)
    values += 10 * digits[ends - 2] * (lengths > 1)
    values += 100 * digits[ends - 3].astype(np.uint16) * (lengths > 2)
    return values.astype(np.uint8) if values.max() <= 255 else None

"""Finds the parts of an input, and reads their rows. Content tells the kind of a file, except for `.png` and `.jpg`."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from fmnist.adapters.inputs.arrays import GZIP, IDX_IMAGES, IDX_LABELS, NPY, open_idx, open_npy
from fmnist.adapters.inputs.csv_file import header, open_csv
from fmnist.adapters.inputs.places import Found, Place, place_of, reported
from fmnist.adapters.parquet.image_rows import MAGIC as PARQUET
from fmnist.adapters.parquet.image_rows import open_parquet
from fmnist.adapters.parquet.storage import S3Settings
from fmnist.adapters.pillow.files import JPEG, MOST_PICTURE_BYTES, MOST_PIXELS, PNG, decode_picture
from fmnist.domain.model.data.image_rows import (
    MOST_PICTURES,
    MOST_ROWS,
    ImageRows,
    InputPart,
    divide_rows,
    read_one_by_one,
)
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.errors import InvalidImages
from fmnist.ports.image_source import ImageSource

_PICTURE_NAMES = (".png", ".jpg", ".jpeg")  # these are not opened before they are read: there may be millions
_IMAGES_NAME, _LABELS_NAME = "images-idx3", "labels-idx1"
_START = 1 << 16  # holds the header of a CSV file
_KNOWN = "Parquet, IDX, .npy, PNG, JPEG or CSV with the columns pixel1 to pixel784"


@dataclass(frozen=True, slots=True)
class FileImageSource(ImageSource):
    """Reads files on a disk and in S3. It holds only plain settings, so it is picklable."""

    s3: S3Settings = field(default_factory=S3Settings)

    def parts(self, inputs: Sequence[str]) -> tuple[InputPart, ...]:
        found = [each for text in inputs for each in self._found(text)]
        uris = [file.uri for _, _, file in found]
        _refuse_repeated(uris)
        root = os.path.commonpath([_key(base) for _, base, _ in found])
        there, parts, pictures = set(uris), dict[str, InputPart | None](), dict[str, list[Found]]()
        for place, base, file in found:
            twin = _twin(file.uri, _LABELS_NAME, _IMAGES_NAME)
            if twin != file.uri and twin in there:
                continue
            with reported(file.uri, self.s3):
                part = self._file(place, file, root)
            if part is None:
                pictures.setdefault(base, []).append(file)
            parts[file.uri if part else base] = part
        made = [
            each for uri, part in parts.items() for each in ((part,) if part else _pictures(uri, pictures[uri], root))
        ]
        _refuse_repeated([part.name for part in made])
        return tuple(made)

    def read(self, part: InputPart) -> Iterator[ImageRows]:
        with reported(part.uri, self.s3), ExitStack() as opened:
            place = place_of(part.uri, self.s3)
            if part.pictures:
                yield from _picture_rows(place, part)
            elif (file := _open(place, part.uri, opened)) is None:
                raise InvalidImages("it has become a picture")
            else:
                yield from file[1]

    def _found(self, text: str) -> list[tuple[Place, str, Found]]:
        if not text:
            raise InvalidImages("the input '' is empty: expected a file, a folder, a pattern or an s3:// URI")
        with reported(text, self.s3):
            place = place_of(text, self.s3)
            base, files = place.find(text)
            if not files:
                raise InvalidImages("no file is there")
            for file in files:
                if not _is_text(file.uri):
                    raise InvalidImages(f"the file name {file.uri!r} is not valid Unicode")
            return [(place, base, file) for file in files]

    def _file(self, place: Place, file: Found, root: str) -> InputPart | None:
        """Return the part of a file, or None for a picture."""
        if file.uri.lower().endswith(_PICTURE_NAMES):
            return None
        with ExitStack() as opened:
            content = _open(place, file.uri, opened)
        if content is None:
            return None
        labels = _labels(place, file.uri)
        stamp = " ".join([file.stamp, *([labels.stamp] if labels else [])])
        return InputPart(_below(file.uri, root), file.uri, stamp, rows=content[0])


def _open(place: Place, uri: str, opened: ExitStack) -> tuple[int | None, Iterator[ImageRows]] | None:
    """Open a file of a known kind, as long as `opened` lasts: its number of rows, if known, and its rows.

    None is a picture.
    """
    file = opened.enter_context(place.open(uri))
    start = file.read(_START)
    file.seek(0)
    if start.startswith((PNG, JPEG)):
        return None
    if start.startswith(PARQUET):
        return open_parquet(file)
    if start.startswith(NPY):
        return open_npy(file)
    if start.startswith((GZIP, IDX_IMAGES)):
        labels = _labels(place, uri)
        return open_idx(file, opened.enter_context(place.open(labels.uri)) if labels else None)
    if header(start):
        return None, open_csv(file)  # the number of lines is not known
    if start.startswith(IDX_LABELS):
        raise InvalidImages("a file of labels: give the file of its images")
    raise InvalidImages(f"not a file of a known kind: expected {_KNOWN}")


def _labels(place: Place, uri: str) -> Found | None:
    if (name := _twin(uri, _IMAGES_NAME, _LABELS_NAME)) == uri:
        return None
    try:
        return place.stat(name)
    except FileNotFoundError:
        return None


def _twin(uri: str, name: str, other: str) -> str:
    folder, slash, file = uri.rpartition("/")
    return folder + slash + file.replace(name, other)


def _pictures(base: str, files: list[Found], root: str) -> Iterator[InputPart]:
    stem = _below(base, root) or PurePosixPath(base).name or "pictures"
    files = sorted(files, key=lambda file: file.uri)
    for number, start in enumerate(range(0, len(files), MOST_PICTURES)):
        some = files[start : start + MOST_PICTURES]
        names = tuple(file.uri.removeprefix(f"{base}/") for file in some)
        stamps = "\n".join(f"{file.uri} {file.stamp}" for file in some)
        fingerprint = hashlib.sha256(stamps.encode()).hexdigest()[:32]
        yield InputPart(f"{stem}-{number:05}", base, fingerprint, names, len(some))


def _picture_rows(place: Place, part: InputPart) -> Iterator[ImageRows]:
    contents = place.contents([f"{part.uri}/{name}" for name in part.pictures], MOST_PICTURE_BYTES)
    for start in range(0, len(part.pictures), MOST_ROWS):
        paths = part.pictures[start : start + MOST_ROWS]
        images, faults = read_one_by_one(len(paths), lambda _: _picture(next(contents)))
        yield divide_rows(start, images, faults, paths=paths)


def _picture(content: bytes | OSError) -> Images:
    if isinstance(content, OSError):
        raise InvalidImages(content.strerror or str(content)) from content
    return decode_picture(content, MOST_PIXELS)


def _key(uri: str) -> str:
    """Return a URI as an absolute path, so that URIs have a common root."""
    return f"/{uri}".replace("//", "/") if "://" in uri else uri or "/"


def _below(uri: str, root: str) -> str:
    return _key(uri).removeprefix(root).lstrip("/")


def _is_text(name: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _refuse_repeated(names: Sequence[str]) -> None:
    seen = set[str]()
    for name in names:
        if name in seen:
            raise InvalidImages(f"{name} is given twice")
        seen.add(name)

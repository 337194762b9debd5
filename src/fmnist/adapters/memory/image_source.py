"""`ImageSource` as a dict, for tests of code that reads input files."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fmnist.domain.model.data.dataset import Labels
from fmnist.domain.model.data.image_rows import MOST_ROWS, ImageRows, InputPart, divide_rows
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.errors import InvalidImages
from fmnist.ports.image_source import ImageSource


@dataclass(frozen=True, slots=True)
class MemoryFile:
    """An input file. `faults` has the reasons of its unreadable rows by row number."""

    images: Images
    labels: Labels | None = None
    faults: Mapping[int, str] = field(default_factory=dict)
    ids: Mapping[str, Sequence[object]] = field(default_factory=dict)
    paths: Sequence[str] | None = None


class MemoryImageSource(ImageSource):
    """Files by path; a folder is the beginning of a path. It knows no patterns, and gives `at_a_time` rows at a time.

    Example:
        >>> source = MemoryImageSource()
        >>> source.files["in/a"] = MemoryFile(np.zeros((2, 28, 28), np.uint8))
        >>> [part.name for part in source.parts(["in"])]
        ['a']
    """

    def __init__(self, at_a_time: int = MOST_ROWS) -> None:
        self.files: dict[str, MemoryFile] = {}
        self._at_a_time = at_a_time

    def parts(self, inputs: Sequence[str]) -> tuple[InputPart, ...]:
        made = dict[str, InputPart]()
        for text in inputs:
            uris = sorted(uri for uri in self.files if uri == text or uri.startswith(f"{text}/"))
            if not uris:
                raise InvalidImages(f"{text}: No such file or directory")
            for uri in uris:
                if uri in made:
                    raise InvalidImages(f"{uri} is given twice")
                name = uri.removeprefix(text).lstrip("/") or uri.rpartition("/")[2]
                made[uri] = InputPart(name, uri, _fingerprint(self.files[uri]), rows=len(self.files[uri].images))
        return tuple(made.values())

    def read(self, part: InputPart) -> Iterator[ImageRows]:
        file = self.files[part.uri]
        for start in range(0, len(file.images), self._at_a_time):
            rows = slice(start, start + self._at_a_time)
            yield divide_rows(
                start,
                file.images[rows],
                {row - start: reason for row, reason in file.faults.items() if start <= row < start + self._at_a_time},
                None if file.labels is None else file.labels[rows],
                None if file.paths is None else file.paths[rows],
                {name: values[rows] for name, values in file.ids.items()},
            )


def _fingerprint(file: MemoryFile) -> str:
    content = hashlib.sha256(file.images.tobytes())
    content.update(repr((file.labels, file.faults, file.ids)).encode())
    return content.hexdigest()

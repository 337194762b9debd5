"""Input files that exist in memory only."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from fmnist.domain.model.data.image_rows import MOST_ROWS, ImageRows, InputPart
from fmnist.domain.model.errors import InvalidImages
from fmnist.ports.image_source import ImageSource


@dataclass(frozen=True, slots=True)
class MemoryImageSource(ImageSource):
    """An `ImageSource` over whole parts by name. It is picklable as long as its parts are.

    Attributes:
        files: the rows of each file.
        at_a_time: the most rows that `read` gives at a time.
    """

    files: dict[str, ImageRows] = field(default_factory=dict)
    at_a_time: int = MOST_ROWS

    def parts(self, inputs: Sequence[str]) -> tuple[InputPart, ...]:
        for name in inputs:
            if name not in self.files:
                raise InvalidImages(f"{name}: no such file")
        return tuple(self._part(name) for name in inputs)

    def read(self, part: InputPart) -> Iterator[ImageRows]:
        rows = self.files[part.name]
        # By position, because unreadable rows lie between the others.
        for start in range(0, len(rows) + len(rows.unreadable), self.at_a_time):
            stop = start + self.at_a_time
            low, high = (int(place) for place in rows.rows.searchsorted([start, stop]))
            yield replace(
                rows,
                images=rows.images[low:high],
                rows=rows.rows[low:high],
                paths=rows.paths and rows.paths[low:high],
                labels=None if rows.labels is None else rows.labels[low:high],
                ids={name: values[low:high] for name, values in rows.ids.items()},
                unreadable=tuple(each for each in rows.unreadable if start <= each.row < stop),
            )

    def _part(self, name: str) -> InputPart:
        rows = self.files[name]
        fingerprint = hashlib.sha256(rows.images.tobytes()).hexdigest()[:16]
        return InputPart(name, f"/memory/input/{name}", fingerprint, rows=len(rows) + len(rows.unreadable))

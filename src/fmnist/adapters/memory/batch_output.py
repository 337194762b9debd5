"""The output of a batch prediction as a dictionary."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.batch.answers import AnsweredRows
from fmnist.domain.model.batch.manifest import MANIFEST, AnsweringModel, Manifest, answer_file, unreadable_file
from fmnist.domain.model.data.dataset import Labels
from fmnist.domain.model.data.image_rows import InputPart, UnreadableRow
from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.ports.batch_output import BatchOutput


class MemoryBatchOutput(BatchOutput):
    """A `BatchOutput` without a disk. `files` has what each file holds; tests may look and change it."""

    def __init__(self) -> None:
        self.files: dict[str, object] = {}

    @property
    def place(self) -> str:
        return "/memory/answers"

    def manifest(self) -> Manifest | None:
        if not self.files:
            return None
        content = self.files.get(MANIFEST)
        if not isinstance(content, bytes):
            raise InvalidSetting(f"{self.place} is not empty, and has no {MANIFEST}: choose another directory")
        return Manifest.from_json(content).only(self.files)

    def record(self, manifest: Manifest) -> None:
        self.files[MANIFEST] = manifest.to_json().encode()

    def write_part(
        self, part: InputPart, model: AnsweringModel, class_names: Sequence[str], answers: Iterable[AnsweredRows]
    ) -> None:
        written = list(answers)
        unreadable = [each for answered in written for each in answered.unreadable]
        self.files.pop(unreadable_file(part.name), None)
        if unreadable:
            self.files[unreadable_file(part.name)] = unreadable
        self.files[answer_file(part.name)] = written

    def labeled_answers(self, part: str) -> Iterator[tuple[npt.NDArray[np.int64], Labels, Probabilities]]:
        for answered in self.answers(part):
            if answered.labels is not None:
                yield answered.rows, answered.labels, answered.probabilities

    def write_files(self, files: Mapping[str, bytes]) -> None:
        self.files.update(files)

    def answers(self, part: str) -> list[AnsweredRows]:
        """Return what was written of a part."""
        written = self.files[answer_file(part)]
        assert isinstance(written, list)
        return written

    def unreadable(self, part: str) -> list[UnreadableRow]:
        """Return the unreadable rows of a part."""
        listed = self.files.get(unreadable_file(part), [])
        assert isinstance(listed, list)
        return listed

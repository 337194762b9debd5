"""The place of a batch prediction's answers: a file for each part, and the manifest that says which are done."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.batch.answers import AnsweredRows
from fmnist.domain.model.batch.manifest import AnsweringModel, Manifest
from fmnist.domain.model.data.dataset import Labels
from fmnist.domain.model.data.image_rows import InputPart
from fmnist.domain.model.evaluation.metrics import Probabilities


class BatchOutput(Protocol):
    """A directory or a prefix of an object store. Each file appears whole or not at all, also after a crash of fmnist.

    Every method raises `StoreUnavailable` if the disk or store does not answer, or denies access.
    """

    @property
    @abstractmethod
    def place(self) -> str:
        """Absolute path or `s3://` URI of the directory."""

    @abstractmethod
    def manifest(self) -> Manifest | None:
        """Return what is done, or None if the directory is empty or absent. Parts whose file is gone are left out.

        Raises:
            InvalidSetting: it is no directory, or holds files of something else.
        """

    @abstractmethod
    def record(self, manifest: Manifest) -> None:
        """Write the manifest. The first call makes the directory, and removes what a killed process has left."""

    @abstractmethod
    def write_part(
        self, part: InputPart, model: AnsweringModel, class_names: Sequence[str], answers: Iterable[AnsweredRows]
    ) -> None:
        """Write the answers of a part to `answer_file`, and its unreadable rows to `unreadable_file` if there are any.

        If `answers` raises, or the written file has another number of rows, neither is written.

        Raises:
            CorruptData: the written file does not have as many rows as were answered.
        """

    @abstractmethod
    def labeled_answers(self, part: str) -> Iterator[tuple[npt.NDArray[np.int64], Labels, Probabilities]]:
        """Yield rows, labels and probabilities of a written part with labels, piece by piece."""

    @abstractmethod
    def write_files(self, files: Mapping[str, bytes]) -> None:
        """Write small files, by path relative to the directory."""

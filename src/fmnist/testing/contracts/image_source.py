"""The contract of every `ImageSource`. An adapter's tests subclass `ImageSourceContract` and supply its fixtures."""

import pickle
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import pytest

from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.domain.model.data.image_rows import MOST_ROWS
from fmnist.domain.model.errors import InvalidImages
from fmnist.ports.image_source import ImageSource
from fmnist.testing.data import toy_images

_MANY = toy_images(2 * MOST_ROWS + 500)


class ImageSourceContract(ABC):
    """The contract, as tests. Supply `source` and `folder` as fixtures, and `put` as a method."""

    @pytest.fixture
    @abstractmethod
    def source(self) -> ImageSource:
        """A source of input files."""

    @pytest.fixture
    @abstractmethod
    def folder(self) -> str:
        """An empty folder, as an input."""

    @abstractmethod
    def put(self, source: ImageSource, uri: str, data: LabeledImages, bad: Sequence[int] = ()) -> None:
        """Write a file of images, labels and a column `id` with 0, 1, ...; the images of the rows `bad` are unreadable.

        An earlier file is replaced.
        """

    def test_rows_come_in_order_a_part_of_them_at_a_time(self, source: ImageSource, folder: str) -> None:
        self.put(source, f"{folder}/many", _MANY)
        (part,) = source.parts([folder])
        assert part.rows in {len(_MANY), None}
        batches = list(source.read(part))
        assert max(map(len, batches)) <= MOST_ROWS
        np.testing.assert_array_equal(np.concatenate([batch.images for batch in batches]), _MANY.images)
        np.testing.assert_array_equal(np.concatenate([batch.labels for batch in batches]), _MANY.labels)
        np.testing.assert_array_equal(np.concatenate([batch.rows for batch in batches]), np.arange(len(_MANY)))
        assert [value for batch in batches for value in batch.ids["id"]] == list(range(len(_MANY)))
        assert batches[0].labels is not None
        assert batches[0].images.dtype == batches[0].labels.dtype == np.uint8

    def test_unreadable_rows_are_named_between_those_that_were_read(self, source: ImageSource, folder: str) -> None:
        data, bad = _MANY.rows(0, MOST_ROWS + 3), [0, 7, MOST_ROWS + 1]
        self.put(source, f"{folder}/bad", data, bad)
        batches = list(source.read(*source.parts([folder])))
        unreadable = [row for batch in batches for row in batch.unreadable]
        assert [row.row for row in unreadable] == bad
        assert all(row.reason for row in unreadable)
        kept = np.setdiff1d(np.arange(len(data)), bad)
        np.testing.assert_array_equal(np.concatenate([batch.rows for batch in batches]), kept)
        np.testing.assert_array_equal(np.concatenate([batch.images for batch in batches]), data.images[kept])
        np.testing.assert_array_equal(np.concatenate([batch.labels for batch in batches]), data.labels[kept])
        assert [value for batch in batches for value in batch.ids["id"]] == kept.tolist()

    def test_a_folder_has_its_files_by_name(self, source: ImageSource, folder: str) -> None:
        for name in ("b", "a/2", "a/1", "c"):
            self.put(source, f"{folder}/{name}", _MANY.rows(0, 3))
        parts = source.parts([folder])
        assert [part.name for part in parts] == ["a/1", "a/2", "b", "c"]
        assert [part.uri for part in source.parts([f"{folder}/c", f"{folder}/b"])] == [f"{folder}/c", f"{folder}/b"]

    def test_a_fingerprint_changes_with_the_content_only(self, source: ImageSource, folder: str) -> None:
        self.put(source, f"{folder}/a", _MANY.rows(0, 3))
        self.put(source, f"{folder}/b", _MANY.rows(0, 3))
        before = source.parts([folder])
        assert source.parts([folder]) == before
        self.put(source, f"{folder}/b", _MANY.rows(3, 7))
        after = source.parts([folder])
        assert after[0] == before[0]
        assert after[1].fingerprint != before[1].fingerprint

    def test_an_input_that_does_not_exist_is_refused_by_name(self, source: ImageSource, folder: str) -> None:
        with pytest.raises(InvalidImages, match=f"{folder}/absent: No such file"):
            source.parts([f"{folder}/absent"])

    def test_a_file_is_not_read_twice(self, source: ImageSource, folder: str) -> None:
        self.put(source, f"{folder}/a", _MANY.rows(0, 3))
        with pytest.raises(InvalidImages, match=f"{folder}/a is given twice"):
            source.parts([folder, f"{folder}/a"])

    def test_a_worker_reads_with_a_copy(self, source: ImageSource, folder: str) -> None:
        self.put(source, f"{folder}/a", _MANY.rows(0, 3))
        copy, part = pickle.loads(pickle.dumps((source, source.parts([folder])[0])))  # noqa: S301 - our own
        assert [len(batch) for batch in copy.read(part)] == [3]

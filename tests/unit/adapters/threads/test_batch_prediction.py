"""Batch prediction with threads of this process: it reads ahead, but only a little, and leaves no thread."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from fmnist.adapters.memory.image_source import MemoryImageSource
from fmnist.adapters.threads.batch_prediction import LocalBatchPrediction
from fmnist.domain.model.data.image_rows import ImageRows, InputPart
from fmnist.testing.contracts.batch_prediction import BatchPredictionContract, toy_classifier, toy_file


class TestLocalBatchPrediction(BatchPredictionContract):
    @pytest.fixture
    def prediction(self) -> LocalBatchPrediction:
        return LocalBatchPrediction()


class EndlessSource(MemoryImageSource):
    """Files without an end."""

    def read(self, part: InputPart) -> Iterator[ImageRows]:
        while True:
            reads.append(part.name)
            yield from super().read(part)


reads: list[str] = []


def test_it_reads_ahead_a_little_and_stops_with_its_caller() -> None:
    source = EndlessSource()
    source.files["a"] = toy_file(1)
    before = set(threading.enumerate())
    with closing(LocalBatchPrediction().answer(source.parts(["a"]), source, toy_classifier)) as answers:
        next(answers)
        next(answers)
        wait_for(lambda: len(reads) >= 6)
        assert len(reads) < 20
    wait_for(lambda: not set(threading.enumerate()) - before)


def wait_for(condition: object) -> None:
    deadline = time.monotonic() + 30
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)

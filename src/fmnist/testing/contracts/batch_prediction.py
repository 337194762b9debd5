"""The contract of every `BatchPrediction`, on any hardware."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing

import numpy as np
import pytest

from fmnist.adapters.memory.classifier import MeanClassifier
from fmnist.adapters.memory.image_source import MemoryFile, MemoryImageSource
from fmnist.domain.model.batch.answers import AnsweredRows
from fmnist.domain.model.data.image_rows import ImageRows, InputPart
from fmnist.domain.model.data.images import PIXELS
from fmnist.domain.model.errors import CorruptModel, InvalidImages
from fmnist.domain.services.prediction import Prediction
from fmnist.ports.batch_prediction import BatchPrediction
from fmnist.ports.model_store import Classifier
from fmnist.testing.data import toy_images, toy_info

SIZES = {"a": 95, "nothing": 0, "c": 1, "d": 40}
_FAULTS = {3: "damaged", 94: "no image"}


def toy_file(n: int, seed: int = 0, faults: Mapping[int, str] | None = None) -> MemoryFile:
    """Return a file of `n` rows with labels, paths and an id column."""
    data = toy_images(max(n, 1), seed)
    return MemoryFile(
        images=data.images[:n],
        labels=data.labels[:n],
        faults=faults or {},
        paths=[f"picture {row}.png" for row in range(n)],
        ids={"sku": [f"sku-{seed}-{row}" for row in range(n)]},
    )


def toy_source(source: MemoryImageSource | None = None) -> MemoryImageSource:
    """Add files of these `SIZES` to a source. Two rows of the first one are unreadable."""
    source = source or MemoryImageSource(at_a_time=10)
    for seed, (name, n) in enumerate(SIZES.items()):
        source.files[name] = toy_file(n, seed, _FAULTS if name == "a" else None)
    return source


def toy_classifier() -> Classifier:
    """Return a classifier that knows toy images well, but is not always right."""
    data, info = toy_images(100), toy_info()
    inputs = info.normalization.apply(data.images).reshape(-1, PIXELS)
    means = np.stack([inputs[data.labels == label].mean(axis=0) for label in range(10)])
    means[9] = means[8]  # the last class is never the answer
    return MeanClassifier(means, info, temperature=100)


class DamagedSource(MemoryImageSource):
    """A source whose last part breaks off after its first rows."""

    def read(self, part: InputPart) -> Iterator[ImageRows]:
        """Read a part; raise InvalidImages in the last one."""
        for rows in super().read(part):
            yield rows
            if part.name == "d":
                raise InvalidImages("d: the file is cut off")


def _broken_classifier() -> Classifier:
    raise CorruptModel("the golden batch differs")


class BatchPredictionContract:
    """Subclass it as `Test...` and supply the fixture. Its scope may be larger."""

    @pytest.fixture
    def prediction(self) -> BatchPrediction:
        """The prediction under test."""
        raise NotImplementedError

    def test_all_rows_are_answered_in_order_with_what_the_input_has_beside_images(
        self, prediction: BatchPrediction
    ) -> None:
        source = toy_source()
        answers = answers_of(prediction, source)
        assert list(answers) == list(SIZES)
        expected = Prediction(toy_classifier())
        for name, file in source.files.items():
            found, kept = answers[name], [row for row in range(SIZES[name]) if row not in file.faults]
            assert [each.is_last for each in found] == [False] * (len(found) - 1) + [True]
            assert [row for each in found for row in each.rows] == kept
            assert {row.row: row.reason for each in found for row in each.unreadable} == file.faults
            probabilities = np.concatenate([each.probabilities for each in found])
            assert probabilities.dtype == np.float32
            np.testing.assert_allclose(probabilities, expected.probabilities(file.images[kept]), atol=1e-6)
            assert file.paths is not None
            assert [path for each in found for path in each.paths or ()] == [file.paths[row] for row in kept]
            assert [sku for each in found for sku in each.ids.get("sku", ())] == [file.ids["sku"][row] for row in kept]
            assert file.labels is not None
            labels = [label for each in found if each.labels is not None for label in each.labels]
            assert labels == [file.labels[row] for row in kept]

    def test_part_that_cannot_be_read_is_an_error_after_the_parts_before_it(self, prediction: BatchPrediction) -> None:
        source = toy_source(DamagedSource(at_a_time=10))
        seen: list[AnsweredRows] = []
        with pytest.raises(InvalidImages, match="d: the file is cut off"):
            seen.extend(_answer(prediction, source))  # it keeps what came before the error
        assert [each.part for each in seen if each.is_last] == ["a", "nothing", "c"]

    def test_model_that_does_not_load_is_an_error(self, prediction: BatchPrediction) -> None:
        source = toy_source()
        with pytest.raises(CorruptModel, match="the golden batch differs"):
            list(prediction.answer(source.parts(["a"]), source, _broken_classifier))

    def test_work_that_is_stopped_can_be_begun_anew(self, prediction: BatchPrediction) -> None:
        source = toy_source()
        with closing(_answer(prediction, source)) as answers:
            next(answers)
        assert list(answers_of(prediction, source)) == list(SIZES)


def _answer(prediction: BatchPrediction, source: MemoryImageSource) -> Generator[AnsweredRows]:
    return prediction.answer(source.parts(list(source.files)), source, toy_classifier)


def answers_of(prediction: BatchPrediction, source: MemoryImageSource) -> dict[str, list[AnsweredRows]]:
    """Return the answers for all files of a source, by their names."""
    found: dict[str, list[AnsweredRows]] = {}
    for each in _answer(prediction, source):
        found.setdefault(each.part, []).append(each)
    return found

"""A batch prediction on fakes: a second run does what is missing, and refuses what does not fit."""

import itertools
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.adapters.memory.batch_output import MemoryBatchOutput
from fmnist.adapters.memory.batch_prediction import MemoryBatchPrediction
from fmnist.adapters.memory.classifier import save_means
from fmnist.adapters.memory.image_source import MemoryFile, MemoryImageSource
from fmnist.adapters.memory.model_store import MemoryModelStore
from fmnist.adapters.memory.tracker import MemoryTracker
from fmnist.adapters.threads.batch_prediction import LocalBatchPrediction
from fmnist.domain.model.batch.answers import AnsweredRows
from fmnist.domain.model.batch.manifest import Manifest
from fmnist.domain.model.data.image_rows import ImageRows, InputPart, UnreadableRow
from fmnist.domain.model.data.images import PIXELS
from fmnist.domain.model.errors import CorruptData, InvalidImages, InvalidSetting, ModelNotFound
from fmnist.domain.model.evaluation.report import ModelReport
from fmnist.domain.services.batch import run as run_module
from fmnist.domain.services.batch.report import BatchReport
from fmnist.domain.services.batch.run import BatchProgress, BatchResult, BatchRun
from fmnist.domain.services.prediction import Prediction
from fmnist.ports.batch_prediction import BatchPrediction
from fmnist.ports.image_source import ImageSource
from fmnist.ports.model_store import ClassifierFactory, TrainedWeights
from fmnist.testing.contracts.batch_prediction import toy_file
from fmnist.testing.data import toy_images, toy_info

URI = "models:/dev.toy/1"


@dataclass
class World:
    """A store with a model, three input files, and an output."""

    store: MemoryModelStore
    source: MemoryImageSource
    output: MemoryBatchOutput = field(default_factory=MemoryBatchOutput)
    prediction: BatchPrediction = field(default_factory=MemoryBatchPrediction)
    reports: list[tuple[str, ModelReport]] = field(default_factory=list)
    progress: list[BatchProgress] = field(default_factory=list)

    def run(self, *inputs: str, uri: str = URI) -> BatchResult:
        run = BatchRun(
            store=self.store,
            source=self.source,
            prediction=self.prediction,
            output=self.output,
            report=BatchReport(tracker=MemoryTracker(), render=self._render),
        )
        return run.run(inputs or tuple(self.source.files), uri, self.progress.append)

    def probabilities(self) -> np.ndarray:  # type: ignore[type-arg]
        """What is written, in the order of the input."""
        written = [self.output.answers(name) for name in self.source.files]
        return np.concatenate([each.probabilities for part in written for each in part])

    def _render(self, uri: str, report: ModelReport) -> Mapping[str, bytes]:
        self.reports.append((uri, report))
        return {"report.html": b"page"}


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> MemoryModelStore:
    return trained(MemoryModelStore(), tmp_path_factory.mktemp("weights") / "means.npz", 8)


def trained(store: MemoryModelStore, path: Path, known: int) -> MemoryModelStore:
    """Save a model that knows so many of the classes."""
    data, info = toy_images(100), toy_info()
    inputs = info.normalization.apply(data.images).reshape(-1, PIXELS)
    means = np.stack([inputs[data.labels == min(label, known)].mean(axis=0) for label in range(10)])
    save_means(path, means)
    store.save("", "dev.toy", TrainedWeights("cnn", str(path), 100.0), info, data.images[:1])
    return store


@pytest.fixture
def world(store: MemoryModelStore) -> World:
    return World(store, source_of({name: toy_file(n, n) for name, n in (("c", 25), ("a", 10), ("b", 7))}, 10))


def source_of(
    files: Mapping[str, MemoryFile], at_a_time: int = 1000, kind: type[MemoryImageSource] = MemoryImageSource
) -> MemoryImageSource:
    source = kind(at_a_time)
    source.files.update(files)
    return source


class Unsized(MemoryImageSource):
    """Does not know the number of rows."""

    def parts(self, inputs: Sequence[str]) -> tuple[InputPart, ...]:
        return tuple(replace(part, rows=None) for part in super().parts(inputs))


class Refusing(MemoryBatchPrediction):
    """Answers nothing: it must not be asked."""

    def answer(
        self, parts: Sequence[InputPart], source: ImageSource, classifier: ClassifierFactory
    ) -> Generator[AnsweredRows]:
        raise AssertionError


class Interrupted(MemoryBatchPrediction):
    """Is interrupted after this many pieces."""

    pieces = 4

    def answer(
        self, parts: Sequence[InputPart], source: ImageSource, classifier: ClassifierFactory
    ) -> Generator[AnsweredRows]:
        for number, each in enumerate(super().answer(parts, source, classifier)):
            if number == self.pieces:
                raise KeyboardInterrupt
            yield each


def test_all_parts_are_answered_and_recorded(world: World) -> None:
    result = world.run()
    assert (result.parts, result.new_parts, result.rows, result.new_rows, result.unreadable) == (3, 3, 42, 42, 0)
    manifest = world.output.manifest()
    assert manifest is not None
    assert {name: done.rows for name, done in manifest.parts.items()} == {"c": 25, "a": 10, "b": 7}
    assert manifest.model.uri == URI
    images = np.concatenate([file.images for file in world.source.files.values()])
    expected = Prediction(world.store.download(world.store.resolve(URI)).load()).probabilities(images)
    np.testing.assert_allclose(world.probabilities(), expected, atol=1e-6)


def test_interrupted_run_is_finished_by_a_second_one_that_does_what_is_missing(world: World) -> None:
    whole = World(world.store, world.source)
    whole.run()
    world.prediction = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        world.run()
    manifest = world.output.manifest()
    assert manifest is not None
    assert list(manifest.parts) == ["c", "a"], "three pieces and one"
    assert world.progress[-1].done == 2, "a part counts once its file is written"

    world.prediction = MemoryBatchPrediction()
    result = world.run()
    assert (result.parts, result.new_parts, result.rows, result.new_rows) == (3, 1, 42, 7)
    assert np.array_equal(world.probabilities(), whole.probabilities())
    assert len(world.reports) == 1

    world.prediction = Refusing()
    before = dict(world.output.files)
    assert world.run().new_parts == 0
    assert world.output.files == before


@pytest.mark.parametrize(("seconds", "times"), [(0.0, 4), (float("inf"), 1)])
def test_parts_are_recorded_from_time_to_time_and_at_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch, seconds: float, times: int
) -> None:
    recorded = []

    class Watched(MemoryBatchOutput):
        def record(self, manifest: Manifest) -> None:
            super().record(manifest)
            recorded.append(list(manifest.parts))

    monkeypatch.setattr(run_module, "_RECORD_SECONDS", seconds)
    world.output = Watched()
    world.run()
    first, *others, with_report = recorded
    assert first == []
    assert len(others) == times
    assert others[-1] == with_report == ["c", "a", "b"]


def test_further_input_is_added(world: World) -> None:
    assert world.run("a").new_parts == 1
    result = world.run()
    assert (result.parts, result.new_parts) == (3, 2)
    assert world.reports[-1][1].measured.images == 42


def test_answers_that_somebody_removed_are_missing(world: World) -> None:
    world.run()
    del world.output.files["a.parquet"]
    assert world.run().new_rows == 10


def test_another_model_is_refused_before_anything_is_written(world: World, tmp_path: Path) -> None:
    world.run("a")
    world.store = trained(trained(MemoryModelStore(), tmp_path / "1.npz", 8), tmp_path / "2.npz", 9)
    before = dict(world.output.files)
    for uri, said in ((URI, "artifact"), ("models:/dev.toy/2", r"found models:/dev\.toy/2")):
        with pytest.raises(InvalidSetting, match=said):
            world.run(uri=uri)
    assert world.output.files == before


def test_changed_input_is_refused(world: World) -> None:
    world.run()
    world.source.files["a"] = toy_file(10, seed=77)
    with pytest.raises(InvalidSetting, match="a has changed"):
        world.run()


@pytest.mark.parametrize("uri", ["models:/dev.toy/9", "models:/nobody/1"])
def test_nothing_is_written_without_a_model(world: World, uri: str) -> None:
    with pytest.raises(ModelNotFound):
        world.run(uri=uri)
    assert world.output.files == {}


def test_nothing_is_written_without_an_input(world: World) -> None:
    with pytest.raises(InvalidImages, match="absent: No such file"):
        world.run("a", "absent")
    assert world.output.files == {}


@pytest.mark.parametrize("around", ["/memory", "/", "/memory/answers", "/memory/", "/memory/answers/../../memory"])
def test_output_in_the_input_is_refused(world: World, around: str) -> None:
    with pytest.raises(InvalidSetting, match=f"the output /memory/answers is inside the input {around}:"):
        world.run(around)


def test_input_in_the_output_is_refused(world: World) -> None:
    world.source = source_of({"/memory/answers/a.parquet": toy_file(1)})
    with pytest.raises(InvalidSetting, match=r"the input /memory/answers/a\.parquet is inside the output"):
        world.run()
    assert world.output.files == {}


def test_parts_whose_answers_would_be_one_file_are_refused(world: World) -> None:
    world.source = source_of({"a": toy_file(1), "a.parquet": toy_file(1)})
    with pytest.raises(InvalidSetting, match="would be one file"):
        world.run()


def test_answers_outside_of_the_output_are_refused(world: World) -> None:
    world.source = source_of({"in/../a": toy_file(1)})
    with pytest.raises(InvalidSetting, match="would be outside of the output"):
        world.run("in")
    assert world.output.files == {}


def test_rows_that_get_lost_fail_the_run_and_the_part_stays_missing(world: World) -> None:
    class Losing(MemoryBatchPrediction):
        def answer(
            self, parts: Sequence[InputPart], source: ImageSource, classifier: ClassifierFactory
        ) -> Generator[AnsweredRows]:
            for each in super().answer(parts, source, classifier):
                yield replace(each, rows=each.rows[1:]) if each.part == "a" else each

    world.prediction = Losing()
    with pytest.raises(CorruptData, match="the answers for a are not its rows from 0 on"):
        world.run()
    manifest = world.output.manifest()
    assert manifest is not None
    assert list(manifest.parts) == ["c"]
    assert "a.parquet" not in world.output.files


def test_progress_counts_this_run_and_estimates_the_rest(world: World) -> None:
    world.run("a")
    world.progress.clear()
    world.run()
    assert [(each.done, each.rows, each.expected) for each in world.progress] == [
        (1, 10, 32),
        (1, 20, 32),
        (2, 25, 32),
        (3, 32, 32),
    ]


def test_progress_without_known_sizes_assumes_equal_parts(world: World) -> None:
    world.source = source_of(world.source.files, 10, Unsized)
    world.run()
    assert [(each.rows, each.expected) for each in world.progress] == [
        (10, None),
        (20, None),
        (25, 75),
        (35, 52),
        (42, 42),
    ]


def test_rows_of_an_unfinished_part_do_not_change_the_estimate(world: World) -> None:
    world.source = source_of(world.source.files, 10, Unsized)
    world.run("a", "c")
    assert [(each.rows, each.expected) for each in world.progress] == [(10, 20), (20, 20), (30, 30), (35, 35)]


def test_labels_give_the_report_that_an_evaluation_gives(world: World) -> None:
    result = world.run()
    assert result.report == "/memory/answers/report/report.html"
    assert world.output.files["report/report.html"] == b"page"
    ((uri, report),) = world.reports
    assert uri == URI
    assert report.measured.images == 42
    assert report.measured.evaluation.accuracy == pytest.approx(39 / 42), "the last class is never the answer"
    assert report.measured.data_version == "3 input files"
    for mistake in report.measured.mistakes:
        assert mistake.truth == 9
        assert mistake.part is not None
        assert np.array_equal(mistake.image, world.source.files[mistake.part].images[mistake.row])


def test_mistakes_that_are_gone_from_the_input_are_left_out(world: World) -> None:
    class Shorter(MemoryImageSource):
        reads = 0

        def read(self, part: InputPart) -> Iterator[ImageRows]:
            self.reads += 1
            yield from itertools.islice(super().read(part), 1 if self.reads > len(self.files) else None)

    world.source = source_of(world.source.files, 10, Shorter)
    world.run()
    ((_, report),) = world.reports
    assert {(mistake.part, mistake.row) for mistake in report.measured.mistakes} == {("c", 9), ("a", 9)}


def test_report_that_was_interrupted_is_made_by_the_second_run(world: World) -> None:
    def interrupted(_: Mapping[str, bytes]) -> None:
        raise KeyboardInterrupt

    world.output.write_files = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        world.run()
    del world.output.write_files
    world.prediction = Refusing()
    result = world.run()
    assert (result.new_parts, result.report) == (0, "/memory/answers/report/report.html")
    assert "report/report.html" in world.output.files


def test_report_covers_the_parts_of_the_last_run(world: World) -> None:
    for inputs in (("a",), ("b",), ("a",), ("a", "b"), ("a", "b")):
        world.run(*inputs)
    assert [report.measured.images for _, report in world.reports] == [10, 7, 10, 17]


def test_report_covers_the_parts_with_labels(world: World) -> None:
    world.source.files["b"] = replace(world.source.files["b"], labels=None)
    world.run()
    assert world.reports[0][1].measured.images == 35
    assert world.reports[0][1].measured.data_version == "2 input files"


def test_without_labels_there_is_no_report(world: World) -> None:
    for name, file in world.source.files.items():
        world.source.files[name] = replace(file, labels=None)
    assert world.run().report is None
    assert world.reports == []


def test_unreadable_rows_are_counted_and_listed(world: World) -> None:
    world.source.files["a"] = toy_file(10, faults={9: "damaged"})
    result = world.run()
    assert (result.rows, result.unreadable) == (42, 1)
    assert world.output.unreadable("a") == [UnreadableRow(9, "picture 9.png", "damaged")]


@given(st.integers(0, 60), st.lists(st.integers(0, 60), max_size=4), st.integers(1, 20), st.sets(st.integers(0, 59)))
def test_answers_do_not_depend_on_how_the_input_is_cut_into_files(
    store: MemoryModelStore, n: int, cuts: list[int], at_a_time: int, bad: set[int]
) -> None:
    file = toy_file(n, faults={row: f"fault of {row}" for row in bad if row < n})
    bounds = [0, *sorted(min(cut, n) for cut in cuts), n]
    files = {f"part-{number}": some(file, *ends) for number, ends in enumerate(pairwise(bounds))}
    whole, cut = World(store, source_of({"whole": file})), World(store, source_of(files, at_a_time))
    cut.prediction = LocalBatchPrediction()
    whole.run()
    cut.run()
    np.testing.assert_allclose(cut.probabilities(), whole.probabilities(), atol=1e-6)
    assert ids(cut) == ids(whole) == [sku for row, sku in enumerate(file.ids["sku"]) if row not in file.faults]
    assert reasons(cut) == reasons(whole)
    if len(file.faults) < n:
        ours, theirs = (each.reports[0][1].measured.evaluation for each in (cut, whole))
        assert np.array_equal(ours.confusion, theirs.confusion)
        assert ours.loss == pytest.approx(theirs.loss, abs=1e-6)


def some(file: MemoryFile, start: int, stop: int) -> MemoryFile:
    """These rows as a file of their own."""
    assert file.labels is not None
    return MemoryFile(
        images=file.images[start:stop],
        labels=file.labels[start:stop],
        faults={row - start: reason for row, reason in file.faults.items() if start <= row < stop},
        ids={"sku": file.ids["sku"][start:stop]},
    )


def ids(world: World) -> list[object]:
    answers = [each for name in world.source.files for each in world.output.answers(name)]
    return [sku for each in answers for sku in each.ids.get("sku", ())]


def reasons(world: World) -> list[str]:
    return [each.reason for name in world.source.files for each in world.output.unreadable(name)]

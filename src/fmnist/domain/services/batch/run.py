"""A batch prediction: a registered model answers all rows of many files. A second run does what is missing."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

from fmnist.domain.model.batch.answers import AnsweredRows, PartCount
from fmnist.domain.model.batch.manifest import AnsweringModel, FinishedPart, Manifest, answer_file
from fmnist.domain.model.data.image_rows import InputPart
from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.files import absolute
from fmnist.domain.services.batch.report import BatchReport
from fmnist.ports.batch_output import BatchOutput
from fmnist.ports.batch_prediction import BatchPrediction
from fmnist.ports.image_source import ImageSource
from fmnist.ports.model_store import ClassifierFactory, ModelStore

logger = logging.getLogger(__name__)

_RECORD_SECONDS = 1.0  # a manifest of 10,000 parts is 2.6 MB, so not after each part

REPORT = "report"
"""Folder of the evaluation report in an output."""


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far a run is.

    Attributes:
        done: parts whose answers are written, also by earlier runs.
        parts: all parts.
        rows: rows that this run has answered.
        expected: rows that this run will have answered in the end: exact, estimated from the parts so far, or None.
    """

    done: int
    parts: int
    rows: int
    expected: int | None


OnBatchProgress = Callable[[BatchProgress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What a run did, and what the output holds of its input.

    Attributes:
        parts, new_parts: all parts, and those of this run.
        rows, unreadable: rows of all parts, and how many of them could not be read.
        new_rows, seconds: rows of this run, and its time from the first row to the last.
        place: the output.
        report: place of the evaluation report; None if there are no labels.
    """

    model_uri: str
    parts: int
    new_parts: int
    rows: int
    unreadable: int
    new_rows: int
    seconds: float
    place: str
    report: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRun:
    """Answers inputs with a model of the store, and writes to one output."""

    store: ModelStore
    source: ImageSource
    prediction: BatchPrediction
    output: BatchOutput
    report: BatchReport

    def run(self, inputs: Sequence[str], uri: str, on_progress: OnBatchProgress) -> BatchResult:
        """Answer the rows of all inputs that have no answers yet, and report on them if they have labels.

        Raises:
            InvalidImages: an input cannot be read, or is of no known kind.
            InvalidSetting: the output is of something else or of another model, an input has changed since its answers
                were written, or the output is inside an input.
            ModelNotFound, CorruptModel: the model does not exist, or does not load.
            CorruptData: the counts of rows do not add up.
            StoreUnavailable: a disk, store or cluster does not answer.
        """
        _refuse_around(inputs, self.output.place)
        parts = self.source.parts(inputs)
        _refuse_within(parts, self.output.place)
        _check_names(parts)
        earlier = self.output.manifest()
        version = self.store.resolve(uri)
        package = self.store.download(version)
        model = AnsweringModel(version.uri, version.version, package.uuid)
        manifest, names = earlier or Manifest(model), {part.name for part in parts}
        missing = manifest.missing(model, parts)
        # The report covers the parts of one run: after a run with fewer parts, it does not cover all.
        manifest = replace(manifest, reported=manifest.reported and names >= manifest.parts.keys())
        info = package.load().info  # a damaged model fails before anything is written
        self.output.record(manifest)
        started = time.perf_counter()
        if missing:
            logger.info("answering %d of %d parts with %s", len(missing), len(parts), model.uri)
            course = _Course(missing, len(parts), on_progress)
            manifest = self._answer(manifest, missing, package.factory, info.class_names, course)
        seconds = time.perf_counter() - started
        labeled = any(manifest.parts[part.name].labeled for part in parts)
        if labeled and not manifest.reported:
            files = self.report.files(parts, manifest, self.output, self.source, version, info)
            self.output.write_files({f"{REPORT}/{path}": content for path, content in files.items()})
            self.output.record(replace(manifest, reported=names >= manifest.parts.keys()))
        done, new = ([manifest.parts[part.name] for part in some] for some in (parts, missing))
        return BatchResult(
            model_uri=model.uri,
            parts=len(parts),
            new_parts=len(missing),
            rows=sum(each.rows for each in done),
            unreadable=sum(each.unreadable for each in done),
            new_rows=sum(each.rows for each in new),
            seconds=seconds,
            place=self.output.place,
            report=f"{self.output.place}/{REPORT}/report.html" if labeled else None,
        )

    def _answer(
        self,
        manifest: Manifest,
        missing: Sequence[InputPart],
        classifier: ClassifierFactory,
        class_names: Sequence[str],
        course: "_Course",
    ) -> Manifest:
        recorded = time.perf_counter()
        try:
            with closing(self.prediction.answer(missing, self.source, classifier)) as answers:
                watched = course.watching(answers)
                for part in missing:
                    count, started = PartCount(part), time.perf_counter()
                    self.output.write_part(part, manifest.model, class_names, count.passing(watched))
                    seconds = time.perf_counter() - started
                    done = FinishedPart(
                        part.fingerprint, count.rows, count.unreadable, count.labeled, seconds, part.uri
                    )
                    manifest = manifest.with_part(part.name, done)
                    if time.perf_counter() - recorded >= _RECORD_SECONDS:
                        self.output.record(manifest)
                        recorded = time.perf_counter()
                    course.finish_part()
        finally:
            self.output.record(manifest)
        return manifest


def _refuse_around(inputs: Sequence[str], place: str) -> None:
    """Refuse inputs that hold the output: a second run would find answers among its input."""
    for text in filter(None, inputs):
        base = (text if "://" in text else absolute(text)).rstrip("/")
        if f"{place}/".startswith(f"{base}/"):
            raise InvalidSetting(f"the output {place} is inside the input {text}: write to another directory")


def _refuse_within(parts: Sequence[InputPart], place: str) -> None:
    """Refuse files of the output, which a pattern may find."""
    for part in parts:
        for uri in (part.uri, *(f"{part.uri}/{name}" for name in part.pictures)):
            if uri.startswith(f"{place}/"):
                raise InvalidSetting(f"the input {uri} is inside the output {place}: write to another directory")


def _check_names(parts: Sequence[InputPart]) -> None:
    taken = dict[str, str]()
    for part in parts:
        if ".." in part.name.split("/"):
            raise InvalidSetting(f"the answers for {part.uri} would be outside of the output: name it without '..'")
        if (other := taken.setdefault(answer_file(part.name), part.name)) != part.name:
            raise InvalidSetting(f"the answers for {part.name} and {other} would be one file: answer them separately")


@dataclass(slots=True)
class _Course:
    """Tells the progress of the answers that pass by."""

    missing: Sequence[InputPart]
    parts: int
    on_progress: OnBatchProgress
    done: int = 0
    rows: int = 0
    expected: int | None = field(init=False)
    _is_exact: bool = field(init=False)

    def __post_init__(self) -> None:
        known = [part.rows for part in self.missing if part.rows is not None]
        self.expected = sum(known) if len(known) == len(self.missing) else None
        self._is_exact = self.expected is not None

    def watching(self, answers: Iterable[AnsweredRows]) -> Iterator[AnsweredRows]:
        """Yield the answers, and tell of each after it was written, but not of the last ones of a part."""
        for answered in answers:
            self.rows += len(answered.rows) + len(answered.unreadable)
            yield answered
            if not answered.is_last:
                self._tell()

    def finish_part(self) -> None:
        """Tell that a part is done. Rows of unfinished parts would make the estimate too high."""
        self.done += 1
        if not self._is_exact:
            self.expected = self.rows * len(self.missing) // self.done
        self._tell()

    def _tell(self) -> None:
        expected = self.expected and max(self.expected, self.rows)
        done = self.parts - len(self.missing) + self.done
        self.on_progress(BatchProgress(done, self.parts, self.rows, expected))

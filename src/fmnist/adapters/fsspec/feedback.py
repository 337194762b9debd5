"""Feedback as objects in a directory or in S3. An object is written once, and never changed.

An object is one hand-over of answers, or the labels of one call: `MILLISECONDS-RANDOM.jsonl`. A line is a label, or
columns of up to 500 answers of one model. Objects of earlier releases have a line for each answer. The feedback is the
union of all objects, in any order. Past 200 objects, one with all that is kept replaces them.
"""

import json
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple
from itertools import chain, groupby, islice
from operator import attrgetter
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from fmnist.adapters.parquet.storage import S3Settings, s3_advice, s3_filesystem, unavailable
from fmnist.domain.model.address import without_credentials
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.text import words_of
from fmnist.domain.model.traffic.feedback import MOST_IMAGES, Answer, Label, Labelling, RealizedAccuracy, TrueClass
from fmnist.domain.model.traffic.feedback_book import FeedbackBook
from fmnist.ports.feedback import Feedback

_S3 = "s3://"
_NAME = re.compile(r"\d{13}-[0-9a-f]{16}\.jsonl")
_MOST_OBJECTS = 200
_MOST_ANSWERS = 500  # in a line
_ATTEMPTS = 2
_LISTINGS = 5
# Calls fail at once for so long after a failure. Otherwise they would queue up behind a store that hangs.
_PAUSE_SECONDS = 10.0


class ObjectFeedback(Feedback):
    """Feedback in a directory, or below `s3://bucket/prefix`. Many threads may call it.

    It opens nothing before a method is called. Several processes may share a place. Each then finds the answers of the
    others, and of labels that two take at the same time, the earlier one counts.

    Args:
        clock: seconds of any clock.
    """

    def __init__(
        self, place: str, s3: S3Settings, most: int = MOST_IMAGES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._is_s3 = place.startswith(_S3)
        self._place = place.rstrip("/")
        self._root = self._place.removeprefix(_S3)
        self._s3 = s3
        self._clock = clock
        self._opened: Any = None
        self._lock = threading.Lock()
        self._book = FeedbackBook(most)
        self._read: set[str] | None = None
        self._closed_until = -1.0

    def add(self, answers: Sequence[Answer]) -> None:
        with self._in_use():
            if self._read is None:
                self._catch_up()
            self._record(self._book.unknown(answers), [])

    def label(self, given: Sequence[TrueClass], milliseconds: int) -> Labelling:
        with self._in_use():
            self._catch_up()
            outcome, labels = self._book.decide(given, milliseconds)
            self._record([], labels)
            return outcome

    def accuracy(self, model_uri: str, since: int = 0) -> RealizedAccuracy | None:
        with self._in_use():
            self._catch_up()
            return self._book.accuracy(model_uri, since)

    def _catch_up(self) -> None:
        """Read new objects of other processes. At the start, these are all objects of earlier ones."""
        there, contents = self._new_objects()
        answers: list[Answer] = []
        labels: list[Label] = []
        for path, content in contents.items():
            if isinstance(content, Exception):
                raise content
            try:
                _read(content, answers, labels)
            except (ValueError, TypeError) as error:
                raise ValueError(f"{path} is damaged, remove it: {words_of(error)}") from error
        # All answers before all labels, so that the order of the objects does not matter.
        self._book.merge(answers, labels)
        self._read = there

    def _new_objects(self) -> tuple[set[str], dict[str, Any]]:
        """Return the names of all objects, and the contents or errors of the new ones by path."""
        for _ in range(_LISTINGS):
            there = {name for name in self._names() if _NAME.fullmatch(name)}
            new = [f"{self._root}/{name}" for name in sorted(there - (self._read or set()))]
            found = self._store().cat_ranges(new, None, None, on_error="return")
            # Otherwise another process has just replaced an object, and the others alone would not be the whole.
            if not any(isinstance(content, FileNotFoundError) for content in found):
                return there, dict(zip(new, found, strict=True))
        raise ValueError("its objects are replaced faster than they can be read")

    def _record(self, answers: Iterable[Answer], labels: Iterable[Label]) -> None:
        """Write what is new, and only then let it count."""
        if not (answers or labels):
            return
        assert self._read is not None
        self._read.add(self._write(answers, labels))
        self._book.merge(answers, labels)
        if len(self._read) > _MOST_OBJECTS:
            replaced, self._read = self._read, {self._write(*self._book.content())}
            for name in replaced:
                with suppress(FileNotFoundError):
                    self._store().rm_file(f"{self._root}/{name}")

    def _write(self, answers: Iterable[Answer], labels: Iterable[Label]) -> str:
        name = f"{int(1000 * time.time()):013}-{secrets.token_hex(8)}.jsonl"
        # Line by line, because one call for all of them would stop the threads that answer for half a second.
        lines = (json.dumps(line) for line in chain(_columns(answers), (["label", *astuple(each)] for each in labels)))
        content = "".join(f"{line}\n" for line in lines)
        if self._is_s3:
            self._store().pipe_file(f"{self._root}/{name}", content.encode())
            return name
        folder = Path(self._root)
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f".{name}"
        with unfinished.open("wb") as file:
            file.write(content.encode())
            file.flush()
            os.fsync(file.fileno())  # otherwise the name may be on the disk before the content
        unfinished.replace(folder / name)
        return name

    def _names(self) -> Iterable[str]:
        # Not fsspec's `walk`, which takes a folder that cannot be read for an empty one.
        if self._is_s3:
            return [path.removeprefix(f"{self._root}/") for path in self._store().find(self._root)]
        with suppress(FileNotFoundError):
            return [path.name for path in Path(self._root).iterdir()]
        return []

    def _store(self) -> Any:
        if self._opened is None:
            self._opened = s3_filesystem(self._s3, _ATTEMPTS) if self._is_s3 else LocalFileSystem()
        return self._opened

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """Let one thread use the place inside of the block, and translate errors of the disk or store."""
        with self._lock:
            if self._clock() < self._closed_until:
                raise StoreUnavailable(f"the feedback at {self._shown} did not answer a moment ago")
            try:
                yield
            except _failures() as error:
                self._closed_until = self._clock() + _PAUSE_SECONDS
                words = without_credentials(words_of(error))
                raise StoreUnavailable(
                    f"the feedback at {self._shown} is out of reach: {words}; {self._advice(error)}"
                ) from error

    def _advice(self, error: Exception) -> str:
        if not self._is_s3:
            return "check its permissions and the free space"
        if isinstance(error, FileNotFoundError):
            return "create the bucket, or correct its name"
        return s3_advice(self._s3, error)

    @property
    def _shown(self) -> str:
        return without_credentials(self._place)


def _read(content: bytes, answers: list[Answer], labels: list[Label]) -> None:
    for line in content.splitlines():
        kind, *values = json.loads(line)
        if kind == "label":
            labels.append(Label(*values))
        elif kind == "answers":
            answers.extend(_of_columns(*values))
        elif kind == "answer":
            answers.append(_of_earlier_release(*values))
        else:
            raise ValueError(f"{kind!r} is no kind of line")


def _columns(answers: Iterable[Answer]) -> Iterator[list[Any]]:
    for model_uri, own in groupby(answers, attrgetter("model_uri")):
        while some := list(islice(own, _MOST_ANSWERS)):
            when, request_ids, _, classes, confidences = zip(*some, strict=True)
            yield ["answers", model_uri, when, request_ids, classes, confidences]


def _of_columns(model_uri: str, *columns: Any) -> Iterator[Answer]:
    whens, request_ids, classes, confidences = columns
    rows = zip(whens, request_ids, map(tuple, classes), map(tuple, confidences), strict=True)
    return (Answer(when, request_id, model_uri, *lists) for when, request_id, *lists in rows)


def _of_earlier_release(when: int, request_id: str, model_uri: str, *lists: Any) -> Answer:
    classes, confidences = map(tuple, lists)
    return Answer(when, request_id, model_uri, classes, confidences)


def _failures() -> tuple[type[Exception], ...]:
    return *unavailable(), ValueError

"""The output of a batch prediction as Parquet files, in a directory or in S3.

A file is written under a temporary name on this machine's disk. Then it is renamed, or uploaded at once.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from fmnist.adapters.parquet.answer_table import AnswerFile, labeled_columns
from fmnist.adapters.parquet.storage import S3Settings, s3_advice, s3_filesystem, unavailable
from fmnist.domain.model.address import without_credentials
from fmnist.domain.model.batch.answers import AnsweredRows
from fmnist.domain.model.batch.manifest import MANIFEST, AnsweringModel, Manifest, answer_file, unreadable_file
from fmnist.domain.model.data.dataset import Labels
from fmnist.domain.model.data.image_rows import InputPart
from fmnist.domain.model.errors import CorruptData, InvalidSetting, StoreUnavailable
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.model.files import absolute
from fmnist.domain.model.text import words_of
from fmnist.ports.batch_output import BatchOutput

_S3 = "s3://"
_ATTEMPTS = 6  # about 15 s of waiting in all, so that no work is lost while a store restarts
_UNFINISHED = ".unfinished"  # folder of temporary files, on the disk of the output


class ParquetBatchOutput(BatchOutput):
    """A directory, or an `s3://bucket/prefix`. It opens nothing before a method is called.

    Raises:
        InvalidSetting: it is another kind of URI, or names no bucket.
    """

    def __init__(self, place: str, s3: S3Settings) -> None:
        self._in_s3 = place.startswith(_S3)
        if "://" in place and (not self._in_s3 or place.removeprefix(_S3)[:1] in {"", "/"}):
            raise InvalidSetting(f"the output {without_credentials(place)}: expected a path or {_S3}BUCKET/PATH")
        self._place = place.rstrip("/") if self._in_s3 else absolute(place)
        self._root = self._place.removeprefix(_S3)
        self._s3 = s3

    @property
    def place(self) -> str:
        return self._place

    def manifest(self) -> Manifest | None:
        with self._in_use("read", ValueError):  # boto raises ValueError for an invalid URL
            store = self._store()
            if not self._in_s3 and Path(self._root).exists() and not Path(self._root).is_dir():
                raise InvalidSetting(f"the output {self._place} is a file: name a directory")
            files = {path.removeprefix(f"{self._root}/") for path in store.find(self._root)}
            # An earlier process may have been killed before it wrote the manifest.
            if not [name for name in files if not name.startswith(f"{_UNFINISHED}/")]:
                return None
            if MANIFEST not in files:
                raise InvalidSetting(
                    f"the output {self._place} is not empty, and has no {MANIFEST} of predict-batch: name an empty or "
                    "new directory"
                )
            try:
                return Manifest.from_json(store.cat_file(self._path(MANIFEST))).only(files)
            except InvalidSetting as error:
                raise InvalidSetting(f"the output {self._place}: {error}") from error

    def record(self, manifest: Manifest) -> None:
        with self._in_use("written"):
            self._write(MANIFEST, manifest.to_json().encode())

    def write_part(
        self, part: InputPart, model: AnsweringModel, class_names: Sequence[str], answers: Iterable[AnsweredRows]
    ) -> None:
        with self._in_use("written"), self._unfinished() as folder:
            rows, temporary, listed = 0, folder / "answers", folder / "unreadable"
            with AnswerFile(temporary, part, model, class_names) as file, listed.open("w", encoding="utf-8") as bad:
                for answered in answers:
                    file.add(answered)
                    rows += len(answered.rows)
                    bad.writelines(json.dumps(asdict(each)) + "\n" for each in answered.unreadable)
            if (found := pq.read_metadata(temporary).num_rows) != rows:
                raise CorruptData(
                    f"the answers for {part.uri} are {rows} rows, but {found} were written: the counts must add up; "
                    f"check the disk of {folder}"
                )
            if listed.stat().st_size:
                self._publish(listed, unreadable_file(part.name))
            elif (store := self._store()).exists(stale := self._path(unreadable_file(part.name))):
                store.rm_file(stale)  # of an earlier process that was killed
            self._publish(temporary, answer_file(part.name))

    def labeled_answers(self, part: str) -> Iterator[tuple[npt.NDArray[np.int64], Labels, Probabilities]]:
        with self._in_use("read"), self._store().open(self._path(answer_file(part))) as file:
            yield from labeled_columns(pq.ParquetFile(file))

    def write_files(self, files: Mapping[str, bytes]) -> None:
        with self._in_use("written"):
            for name, content in files.items():
                self._write(name, content)

    def _write(self, name: str, content: bytes) -> None:
        with self._unfinished() as folder:
            (folder / "file").write_bytes(content)
            self._publish(folder / "file", name)

    def _publish(self, file: Path, name: str) -> None:
        if self._in_s3:
            self._store().put_file(str(file), self._path(name))
            return
        target = Path(self._path(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        with file.open("rb") as written:
            os.fsync(written.fileno())  # otherwise the name may be on the disk before the content
        file.replace(target)

    @contextmanager
    def _unfinished(self) -> Iterator[Path]:
        """Make a new folder for temporary files, which is on the same disk as a local output."""
        if self._in_s3:
            with tempfile.TemporaryDirectory(prefix="fmnist-batch-") as folder:
                yield Path(folder)
            return
        place = Path(self._path(_UNFINISHED))
        shutil.rmtree(place, ignore_errors=True)  # of an earlier process that was killed
        place.mkdir(parents=True)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _store(self) -> Any:
        if not self._in_s3:
            return LocalFileSystem()
        return s3_filesystem(self._s3, _ATTEMPTS)

    @contextmanager
    def _in_use(self, what: str, *further: type[Exception]) -> Iterator[None]:
        """Translate errors of the disk or store, and `further` ones, inside of the block."""
        try:
            yield
        except (*unavailable(), *further) as error:
            place, words = without_credentials(self._place), without_credentials(words_of(error))
            raise StoreUnavailable(f"the output {place} cannot be {what}: {words}; {self._advice(error)}") from error

    def _advice(self, error: Exception) -> str:
        if not self._in_s3:
            return "check its permissions and the free space"
        if isinstance(error, FileNotFoundError):
            return "create the bucket, or correct its name"
        return s3_advice(self._s3, error)

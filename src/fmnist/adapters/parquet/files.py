"""Reads and writes the Parquet files of a split.

A reader holds only plain settings, so it can be sent to a Ray worker.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fmnist.adapters.parquet.schema import canonical, to_labeled_images, to_table
from fmnist.adapters.parquet.storage import Storage
from fmnist.domain.model.data.dataset import LabeledImages, SplitFile
from fmnist.domain.model.errors import CorruptData


@dataclass(frozen=True, slots=True)
class SplitReader:
    """Reads split files. It is picklable, and opens nothing before it is called."""

    storage: Storage = field(default_factory=Storage)

    def __call__(self, files: Sequence[SplitFile]) -> LabeledImages:
        """Return the images and labels of a split's files, checked, in the order of the files.

        Raises:
            CorruptData: a file does not exist, or has wrong bytes, columns, dtypes or labels. The message names split
                and URI.
            StoreUnavailable: the disk or store does not answer, or denies access.
        """
        return LabeledImages.joined(to_labeled_images(self.table(file)) for file in files)

    def table(self, file: SplitFile) -> pa.Table:
        """Return one file as the canonical table (`schema.SCHEMA`). It raises what a call raises."""
        return parse_split(file.split, file.uri, self.storage.read(file))


def parse_split(split: str, uri: str, content: bytes) -> pa.Table:
    """Return the canonical table of a Parquet file's content. Errors name the split and the URI.

    Raises:
        CorruptData: it is not Parquet, or has wrong columns, dtypes or labels.
    """
    try:
        # Without threads: if a process ends while Arrow's thread pools still start, the C++ runtime aborts it
        # (pyarrow 25: 3 of 20 short runs on small files with the pools, 0 of 40 without).
        return canonical(pq.read_table(pa.BufferReader(content), use_threads=False, pre_buffer=False))
    except (pa.ArrowException, OSError) as error:
        raise CorruptData(f"split {split!r} at {uri} is not a readable Parquet file: {error}") from error
    except CorruptData as error:
        raise CorruptData(f"split {split!r} at {uri}: {error}") from error


def write_split(data: LabeledImages, path: Path) -> None:
    """Write the canonical table to `path`, and create its directory if needed.

    With one pyarrow version, the same rows give the same bytes and so the same hash.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A dictionary or statistics of whole images would cost time and be of no use.
    pq.write_table(to_table(data), path, compression="zstd", use_dictionary=False, write_statistics=["label"])

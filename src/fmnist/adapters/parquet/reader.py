"""From a split's URI and hash to its images. The reader is plain settings, so that it can travel to a Ray worker."""

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from fmnist.adapters.parquet.schema import canonical, to_labeled_images
from fmnist.adapters.parquet.storage import Storage
from fmnist.domain.model.data.dataset import LabeledImages, SplitFile
from fmnist.domain.model.errors import CorruptData


@dataclass(frozen=True, slots=True)
class SplitReader:
    """Reads split files. Picklable; opens nothing before it is called."""

    storage: Storage = field(default_factory=Storage)

    def __call__(self, file: SplitFile) -> LabeledImages:
        """Return the split's images and labels, checked.

        Raises:
            CorruptData: absent, or other bytes, columns, dtypes or labels than promised; names split and URI.
            StoreUnavailable: the disk or store does not answer, or does not let us read.
        """
        return to_labeled_images(self.table(file))

    def table(self, file: SplitFile) -> pa.Table:
        """Return the split as the canonical table (`schema.SCHEMA`), such as a block of a Ray Dataset holds.

        Raises:
            CorruptData: as above.
            StoreUnavailable: as above.
        """
        return parse_split(file.split, file.uri, self.storage.read(file))


def parse_split(split: str, uri: str, content: bytes) -> pa.Table:
    """Return the canonical table of a Parquet file's content; split and URI are what errors call it.

    Raises:
        CorruptData: no Parquet, or other columns, dtypes or labels than a split has.
    """
    try:
        # On this thread alone: a process that ends while Arrow's pools still start theirs is aborted by the C++ runtime
        # (pyarrow 25, 3 of 20 short runs on small files; none of 40 without the pools).
        return canonical(pq.read_table(pa.BufferReader(content), use_threads=False, pre_buffer=False))
    except (pa.ArrowException, OSError) as error:
        raise CorruptData(f"split {split!r} at {uri} is no readable Parquet file: {error}") from error
    except CorruptData as error:
        raise CorruptData(f"split {split!r} at {uri}: {error}") from error

"""Writes a split as Parquet. With one pyarrow version, the same rows give the same bytes and so the same hash."""

from pathlib import Path

import pyarrow.parquet as pq

from fmnist.adapters.parquet.schema import to_table
from fmnist.domain.model.data.dataset import LabeledImages


def write_split(data: LabeledImages, path: Path) -> None:
    """Write the canonical table to `path`. Create its directory if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A dictionary or statistics of whole images would cost time and be of no use.
    pq.write_table(to_table(data), path, compression="zstd", use_dictionary=False, write_statistics=["label"])

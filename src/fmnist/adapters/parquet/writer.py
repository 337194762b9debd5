"""Writes a split as Parquet. The same rows give the same bytes with the same pyarrow, and so the same version hash."""

from pathlib import Path

import pyarrow.parquet as pq

from fmnist.adapters.parquet.schema import to_table
from fmnist.domain.model.data.dataset import LabeledImages


def write_split(data: LabeledImages, path: Path) -> None:
    """Write the canonical table to `path`, making its directory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A dictionary or statistics of whole pictures cost time and say nothing.
    pq.write_table(to_table(data), path, compression="zstd", use_dictionary=False, write_statistics=["label"])

"""Splits as Ray Datasets: read once, in parallel, and verified. Each worker always gets the same part."""

from typing import Any

import pyarrow as pa
import ray
import ray.data
import ray.train

from fmnist.adapters.parquet.files import SplitReader
from fmnist.adapters.parquet.schema import to_labeled_images
from fmnist.adapters.ray.cluster import RETRIES
from fmnist.domain.model.data.dataset import LabeledImages, SplitFile
from fmnist.domain.model.training.run import check_share


def start_reading(reader: SplitReader, file: SplitFile, limit: int | None, parts: int, *, equal: bool) -> list[Any]:
    """Start a task that reads the first `limit` rows of a split and cuts them into `parts`; return their references.

    `equal` drops rows so that all parts are equally long, as data-parallel steps need.
    """
    # It needs no CPU, because it runs again if a node with parts is lost, while waiting workers hold all CPUs.
    task = ray.remote(num_returns=parts, num_cpus=0, max_retries=RETRIES)(_read_parts)
    references = task.remote(reader, file, limit, parts, equal=equal)
    return list(references) if parts > 1 else [references]


def to_dataset(references: list[Any]) -> ray.data.Dataset:
    """Wait for the parts, and return them as a dataset with one block each. Raise Ray's error if a part failed."""
    ray.wait(references, num_returns=len(references), fetch_local=False)
    ray.get(references[0])
    return ray.data.from_arrow_refs(references)


class PartPerWorker(ray.train.DataConfig):  # type: ignore[misc]  # ray is not typed here
    """Gives the worker of rank k the k-th block of each dataset, not the nearest one, so that runs are repeatable."""

    def configure(  # pragma: no cover - runs in a Ray worker
        self,
        datasets: dict[str, ray.data.Dataset],
        world_size: int,
        worker_handles: list[Any] | None,
        worker_node_ids: list[str] | None,
        **kwargs: object,
    ) -> list[dict[str, ray.data.DataIterator]]:
        parts = {name: dataset.split(world_size) for name, dataset in datasets.items()}
        return [{name: parts[name][rank].iterator() for name in parts} for rank in range(world_size)]


def own_part(name: str) -> LabeledImages:  # pragma: no cover - runs in a Ray worker
    """Return this worker's part of a split. Only a worker may call it."""
    shard = ray.train.get_dataset_shard(name)
    return to_labeled_images(pa.concat_tables(shard.iter_batches(batch_size=None, batch_format="pyarrow")))


def part_sizes(rows: int, parts: int, *, equal: bool) -> list[int]:
    """Return the number of rows of each part. If not `equal`, the first parts get one row more where needed."""
    size, longer = divmod(rows, parts)
    return [size + (0 if equal else int(rank < longer)) for rank in range(parts)]


def _read_parts(reader: SplitReader, file: SplitFile, limit: int | None, parts: int, *, equal: bool) -> Any:
    table = reader.table(file).slice(0, limit)
    check_share(table.num_rows, file.split, parts)
    tables, start = [], 0
    for size in part_sizes(table.num_rows, parts, equal=equal):
        tables.append(table.slice(start, size))
        start += size
    return tables if parts > 1 else tables[0]

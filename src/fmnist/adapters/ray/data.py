"""Splits in Ray's object store: Ray Data reads their files in parallel, and each worker takes its own rows."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import ray
import ray.data
from ray.data.block import BlockMetadata
from ray.data.exceptions import ExecutionTimeoutError
from ray.util.annotations import RayDeprecationWarning

from fmnist.adapters.parquet.files import SplitReader
from fmnist.adapters.parquet.schema import to_labeled_images
from fmnist.adapters.ray.cluster import RETRIES, node_cpus
from fmnist.domain.model.data.dataset import LabeledImages, SplitFile, part_rows
from fmnist.domain.model.errors import FmnistError, StoreUnavailable

_TASKS_PER_NODE = 2  # a task needs about four times the size of its file


@dataclass(frozen=True, slots=True)
class StoredSplit:
    """A split in the object store, in blocks of rows. Whoever has it can read it, on any node.

    Attributes:
        blocks: references to canonical tables, in the order of the split's rows.
        sizes: the number of rows of each block.
    """

    blocks: Sequence["ray.ObjectRef[Any]"]
    sizes: Sequence[int]

    def __len__(self) -> int:
        return sum(self.sizes)

    def part(self, part: int, parts: int, limit: int | None, *, equal: bool) -> LabeledImages:
        """Fetch one of `parts` consecutive parts of the first `limit` rows. Only the blocks with its rows are fetched.

        `equal` drops rows so that all parts are equally long, as data-parallel steps need.

        Raises:
            FmnistError: a lost block cannot be read again.
        """
        rows = len(self) if limit is None else min(limit, len(self))
        start, stop = part_rows(rows - rows % parts if equal else rows, parts, part)
        wanted, first = [], 0
        for block, size in zip(self.blocks, self.sizes, strict=True):
            low, high = max(start - first, 0), min(stop - first, size)
            if low < high:
                wanted.append((block, low, high - low))
            first += size
        with _own_errors():
            tables = ray.get([block for block, _, _ in wanted])
        return LabeledImages.joined(
            [to_labeled_images(table.slice(low, n)) for table, (_, low, n) in zip(tables, wanted, strict=True)]
        )


class _Calls(ray.data.Datasource):  # type: ignore[misc]  # ray is not typed here
    """Calls that return tables, as a source for Ray Data, one task for each."""

    def __init__(self, calls: Sequence[Callable[[], Iterable[Any]]]) -> None:
        super().__init__()
        self._calls = calls

    def estimate_inmemory_data_size(self) -> None:
        """Leave the size open: only the number of tasks would depend on it."""

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: object = None
    ) -> list[ray.data.ReadTask]:
        """Return a task for each call."""
        unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [ray.data.ReadTask(call, unknown) for call in self._calls]


@contextmanager
def quiet_and_in_order(**options: float) -> Iterator[None]:
    """Let Ray Data, inside of the block, keep the order of blocks, show no progress and have these further options."""
    context = ray.data.DataContext.get_current().copy()
    context.execution_options.preserve_order = True  # otherwise a block's place depends on when its task ends
    context.enable_progress_bars = False
    for name, value in options.items():
        setattr(context, name, value)
    with ray.data.DataContext.current(context), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated", RayDeprecationWarning)
        yield


def read_calls(calls: Sequence[Callable[[], Iterable[Any]]]) -> "ray.data.Dataset":
    """Return the tables of picklable calls, which are made on all nodes."""
    return ray.data.read_datasource(
        _Calls(calls),
        override_num_blocks=len(calls),
        # A task needs no CPU, because it runs, also again if a node with blocks is lost, while workers hold all CPUs.
        # So a limit keeps a machine from reading hundreds of files at once.
        num_cpus=0,
        concurrency=min(len(calls), _TASKS_PER_NODE * len(node_cpus())),
        # Ray Data's default is to try for ever. No other argument sets it.
        ray_remote_args={"max_retries": RETRIES},
    )


def read_split(reader: SplitReader, files: Sequence[SplitFile], limit: int | None = None) -> StoredSplit:
    """Read the files of a split in parallel, on all nodes, and wait for them. The rows never come to this process.

    Only the first `limit` rows of each file are kept.

    Raises:
        FmnistError: a file cannot be read, as `SplitReader` says.
        StoreUnavailable: no file was read for a long time (30 minutes, by Ray's default).
    """
    # By default, half: above that, tasks start one at a time. Nothing else fills the store before training.
    with quiet_and_in_order(override_object_store_memory_limit_fraction=1.0), _own_errors():
        # A task compares the hash of its file before it parses it.
        data = read_calls([partial(_tables, reader, file, limit) for file in files])
        bundles = list(data.materialize().iter_internal_ref_bundles())
    stored = [entry for bundle in bundles for entry in bundle.blocks]
    return StoredSplit([entry.ref for entry in stored], [entry.metadata.num_rows for entry in stored])


class _Failure(Exception):
    """Holds the error of a task. Ray Data appends its own advice to the text of an error, but not to what one holds."""


@contextmanager
def _own_errors() -> Iterator[None]:
    """Raise the error that a reading task held, in place of Ray's."""
    try:
        yield
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, _Failure):
            raise error.cause.args[0] from error
        raise
    except ExecutionTimeoutError as error:
        raise StoreUnavailable(f"the data cannot be read: {error}; check that the disk or store answers") from error


def _tables(  # pragma: no cover - runs in a Ray worker
    reader: SplitReader, file: SplitFile, limit: int | None
) -> Iterable[Any]:
    try:
        return [reader.table(file).slice(0, limit)]
    except FmnistError as error:
        raise _Failure(error) from error

"""Batch prediction on Ray Data: tasks read parts, a pool of actors answers, and the driver gets the answers in order.

Pieces travel as pickled bytes: a row of a Ray dataset is one piece of up to a thousand images. An error of ours travels
as a piece too, because Ray would retry a task that raises it, and wrap it into its own.
"""

import warnings
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import ray
import ray.data
from ray import cloudpickle
from ray.data.block import BlockMetadata
from ray.data.exceptions import ExecutionTimeoutError
from ray.util.annotations import RayDeprecationWarning

from fmnist.adapters.environment import set_defaults
from fmnist.adapters.ray.cluster import RETRIES, cluster_in_use, join_cluster, node_cpus
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.domain.model.batch.answers import AnsweredRows
from fmnist.domain.model.data.image_rows import InputPart
from fmnist.domain.model.errors import FmnistError, StoreUnavailable
from fmnist.domain.services.batch.answer import Answering, Piece, pieces
from fmnist.ports.batch_prediction import BatchPrediction
from fmnist.ports.image_source import ImageSource
from fmnist.ports.model_store import ClassifierFactory

_BLOCK_BYTES = 4 * 2**20  # five pieces of a thousand images
_READS_PER_NODE = 2


@dataclass(frozen=True, slots=True)
class RayBatchPrediction(BatchPrediction):
    """Answers on a cluster, with one actor for each GPU, or for each CPU if there are no GPUs."""

    cluster: ClusterSettings

    def answer(
        self, parts: Sequence[InputPart], source: ImageSource, classifier: ClassifierFactory
    ) -> Generator[AnsweredRows]:
        _join(self.cluster)
        with cluster_in_use(self.cluster):
            try:
                for row in _dataset(parts, source, classifier).iter_rows():
                    answered: AnsweredRows | FmnistError = cloudpickle.loads(row["piece"])
                    if isinstance(answered, FmnistError):
                        raise answered
                    yield answered
            except ExecutionTimeoutError as error:
                raise StoreUnavailable(f"no part was answered for a long time: {error}") from error


def has_gpus(cluster: ClusterSettings) -> bool:
    """Return whether the cluster, which this joins or starts, has GPUs."""
    _join(cluster)
    return _gpus() > 0


def _join(cluster: ClusterSettings) -> None:
    if not cluster.verbose:
        # Ray's core would warn on stderr that an actor's model cannot be sent again once this process has ended.
        set_defaults({"RAY_BACKEND_LOG_LEVEL": "fatal"})
    join_cluster(cluster)


def _gpus() -> int:
    return int(ray.cluster_resources().get("GPU", 0))


def _dataset(parts: Sequence[InputPart], source: ImageSource, classifier: ClassifierFactory) -> "ray.data.Dataset":
    context = ray.data.DataContext.get_current().copy()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.target_max_block_size = _BLOCK_BYTES
    nodes, gpus = node_cpus(), _gpus()
    with ray.data.DataContext.current(context), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated", RayDeprecationWarning)
        return ray.data.read_datasource(
            PartsSource(parts, source),
            override_num_blocks=len(parts),
            num_cpus=0,  # the actors may hold all CPUs
            concurrency=min(len(parts), _READS_PER_NODE * len(nodes)),
            ray_remote_args={"max_retries": RETRIES},
        ).map_batches(
            _Answers,
            batch_size=1,
            batch_format="pyarrow",
            fn_constructor_args=(classifier,),
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=gpus or max(1, int(sum(nodes)))),
            num_cpus=0 if gpus else 1,
            num_gpus=1 if gpus else 0,
        )


class PartsSource(ray.data.Datasource):  # type: ignore[misc]  # ray is not typed here
    """Parts as a source for Ray Data, one task for each."""

    def __init__(self, parts: Sequence[InputPart], source: ImageSource) -> None:
        super().__init__()
        self._parts = parts
        self._source = source

    def estimate_inmemory_data_size(self) -> None:
        """Leave the size open: only the number of tasks would depend on it."""

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: object = None
    ) -> list[ray.data.ReadTask]:
        """Return a task for each part."""
        unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [ray.data.ReadTask(partial(_read, self._source, part), unknown) for part in self._parts]


def _read(source: ImageSource, part: InputPart) -> Iterable[pa.Table]:  # pragma: no cover - runs in a Ray worker
    try:
        for piece in pieces(source, part):
            yield _block(piece)
    except FmnistError as error:
        yield _block(error)


class _Answers:  # pragma: no cover - runs in a Ray worker
    """An actor of the pool."""

    def __init__(self, classifier: ClassifierFactory) -> None:
        self._answering = Answering(classifier)

    def __call__(self, batch: pa.Table) -> pa.Table:
        piece: Piece | FmnistError = cloudpickle.loads(batch["piece"][0].as_py())
        if isinstance(piece, FmnistError):
            return _block(piece)
        try:
            return _block(self._answering(piece))
        except FmnistError as error:
            return _block(error)


def _block(thing: Any) -> pa.Table:  # pragma: no cover - runs in a Ray worker
    return pa.table({"piece": pa.array([cloudpickle.dumps(thing)], pa.large_binary())})

"""Batch prediction on Ray Data: tasks read parts, a pool of actors answers, and the driver gets the answers in order.

Pieces travel as pickled bytes: a row of a Ray dataset is one piece of up to a thousand images. An error of ours travels
as a piece too, because Ray would retry a task that raises it, and wrap it into its own.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import ray.data
from ray import cloudpickle
from ray.data.exceptions import ExecutionTimeoutError

from fmnist.adapters.environment import set_defaults
from fmnist.adapters.ray.cluster import cluster_gpus, cluster_in_use, join_cluster, node_cpus
from fmnist.adapters.ray.data import quiet_and_in_order, read_calls
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.domain.model.batch.answers import AnsweredRows
from fmnist.domain.model.data.image_rows import InputPart
from fmnist.domain.model.errors import FmnistError, StoreUnavailable
from fmnist.domain.services.batch.answer import Answering, Piece, pieces
from fmnist.ports.batch_prediction import BatchPrediction
from fmnist.ports.image_source import ImageSource
from fmnist.ports.model_store import ClassifierFactory

_BLOCK_BYTES = 4 * 2**20  # five pieces of a thousand images


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
    return cluster_gpus() >= 1


def _join(cluster: ClusterSettings) -> None:
    if not cluster.verbose:
        # Ray's core would warn on stderr that an actor's model cannot be sent again once this process has ended.
        set_defaults({"RAY_BACKEND_LOG_LEVEL": "fatal"})
    join_cluster(cluster)


def _dataset(parts: Sequence[InputPart], source: ImageSource, classifier: ClassifierFactory) -> "ray.data.Dataset":
    gpus = int(cluster_gpus())
    with quiet_and_in_order(target_max_block_size=_BLOCK_BYTES):
        return read_calls([partial(_read, source, part) for part in parts]).map_batches(
            _Answers,
            batch_size=1,
            batch_format="pyarrow",
            fn_constructor_args=(classifier,),
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=gpus or max(1, int(sum(node_cpus())))),
            num_cpus=0 if gpus else 1,
            num_gpus=1 if gpus else 0,
        )


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

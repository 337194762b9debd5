"""`Compute` on Ray: Ray Data reads, Ray Train and Lightning fit, and a task predicts."""

import logging
import math
import threading
import time
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import ray
import ray.train
from ray.train.torch import TorchConfig, TorchTrainer
from ray.util.queue import Empty, Queue
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from fmnist.adapters.lightning.checkpoint import BEST, History
from fmnist.adapters.parquet.reader import SplitReader
from fmnist.adapters.ray.cluster import (
    RETRIES,
    cluster_in_use,
    cpus_per_worker,
    free_cpus,
    join_cluster,
    node_cpus,
)
from fmnist.adapters.ray.data import PartPerWorker, start_reading, to_dataset
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.adapters.ray.storage import CheckpointStorage
from fmnist.adapters.ray.worker import WorkerTask, train
from fmnist.adapters.torch.weights import WeightsClassifier
from fmnist.domain.model.data.dataset import DatasetVersion, SplitFile
from fmnist.domain.model.data.metadata import split_sizes
from fmnist.domain.model.errors import FmnistError, InvalidSetting, StoreUnavailable, TrainingFailed
from fmnist.domain.model.training.run import Progress, TrainingSpec
from fmnist.domain.services.bounded_calls import settle
from fmnist.domain.services.prediction import answer
from fmnist.ports.compute import Compute, FitResult, OnProgress, SplitPredictions
from fmnist.ports.model_store import TrainedWeights

logger = logging.getLogger(__name__)

_END_SECONDS = 10  # for the training thread, once its controller was killed
_SILENCE_SECONDS = 60  # of workers that are to start, before the user is told what they may be waiting for


@dataclass(frozen=True, slots=True)
class RayCompute(Compute):
    """Trains with 1 to N workers on a Ray cluster.

    Args:
        reader: reads split files, on whichever node the task runs.
        storage: where checkpoints are kept, under the run's id.
    """

    cluster: ClusterSettings
    reader: SplitReader
    storage: CheckpointStorage

    def prepare(self, spec: TrainingSpec, dataset: DatasetVersion) -> None:
        spec.check_splits(split_sizes(dataset.metadata))
        self.storage.prepare()
        join_cluster(self.cluster)
        if self.cluster.address is None:
            check_gpus(spec, ray.cluster_resources().get("GPU", 0))

    def fit(self, spec: TrainingSpec, dataset: DatasetVersion, run_id: str, on_progress: OnProgress) -> FitResult:
        self.prepare(spec, dataset)
        with cluster_in_use(self.cluster):
            trainer = self._trainer(spec, dataset, run_id, progress := _progress_queue())
            # Not in this thread: Ray would take over the process's SIGINT for good.
            training: Future[ray.train.Result] = Future()
            threading.Thread(target=settle, args=(training, trainer.fit), name="ray-train", daemon=True).start()
            try:
                _pass_on(progress, on_progress, training)
            except BaseException as error:
                # A lost cluster takes the training along.
                _end(training, kill=not isinstance(error, ray.exceptions.RayError))
                ray.shutdown()
                raise
            progress.shutdown()
            return self._result(spec, training)

    def close(self) -> None:
        ray.shutdown()

    def predict(self, weights: TrainedWeights, dataset: DatasetVersion, split: str) -> SplitPredictions:
        file, classifier = dataset.file(split), WeightsClassifier.of(weights, dataset)
        join_cluster(self.cluster)
        # All of a cluster of our own; on one that others use, a node with all of its CPUs free may never come.
        cpus = 1 if self.cluster.address else max(1, int(max(node_cpus())))
        task = ray.remote(num_cpus=cpus, max_retries=RETRIES)(_predict)
        with cluster_in_use(self.cluster):
            predictions: SplitPredictions = ray.get(task.remote(classifier, self.reader, file))
        return predictions

    def _trainer(self, spec: TrainingSpec, dataset: DatasetVersion, run_id: str, progress: Queue) -> TorchTrainer:
        workers, gpus = spec.num_workers, spec.gpu_per_worker
        # Both reads run side by side. Materialized, since workers may reserve every CPU and starve a lazy dataset.
        reading = {
            "train": start_reading(self.reader, dataset.file("train"), spec.limit_train, workers, equal=True),
            "val": start_reading(self.reader, dataset.file("val"), spec.limit_val, workers, equal=False),
        }
        cpus = cpus_per_worker(free_cpus(), workers)
        task = WorkerTask(
            spec=spec,
            normalization=dataset.normalization,
            progress=progress,
            threads=max(1, int(cpus)),
            storage=self.storage,
        )
        return TorchTrainer(
            # Bound, not given as its config: that would travel by way of Ray's controller, which would have to import
            # all that a worker imports before it starts one.
            partial(train, task),
            # NCCL refuses two ranks on one GPU.
            torch_config=TorchConfig(backend="nccl" if gpus >= 1 else "gloo"),
            scaling_config=ray.train.ScalingConfig(
                num_workers=workers,
                use_gpu=gpus > 0,
                resources_per_worker={"CPU": cpus, **({"GPU": gpus} if gpus else {})},
            ),
            run_config=ray.train.RunConfig(
                name=run_id,
                storage_path=self.storage.path,
                storage_filesystem=self.storage.filesystem(),
                checkpoint_config=ray.train.CheckpointConfig(num_to_keep=1),  # the newest one holds the best weights
                failure_config=ray.train.FailureConfig(max_failures=RETRIES),
            ),
            datasets={split: to_dataset(parts) for split, parts in reading.items()},
            dataset_config=PartPerWorker(),
        )

    def _result(self, spec: TrainingSpec, training: "Future[ray.train.Result]") -> FitResult:
        try:
            # Here in the driver and in Ray's controller the storage's own errors are still to be translated.
            with self.storage.in_use("cannot be kept"):
                result = _unwrapped(training)
        except ray.train.WorkerGroupError as error:
            causes = list(error.worker_failures.values())
            if outages := [cause for cause in causes if isinstance(cause, StoreUnavailable)]:
                raise StoreUnavailable(f"training failed after {RETRIES} retries: {outages[0]}") from error
            raise TrainingFailed(f"training failed after {RETRIES} retries: {causes[0]}") from error
        except ray.train.TrainingFailedError as error:
            raise TrainingFailed(f"training failed: {error}") from error
        if isinstance(result.return_value, FmnistError):
            raise result.return_value
        checkpoint = result.checkpoint
        with self.storage.in_use("cannot be read"):
            directory = Path(checkpoint.to_directory() if self.storage.s3 else checkpoint.path)
        history = History.read(directory)
        weights = TrainedWeights(spec.recipe.architecture, str(directory / BEST))
        return FitResult(weights, history.epochs, history.seconds, history.device)


def check_gpus(spec: TrainingSpec, there: float) -> None:
    """See that this machine's GPUs take all workers: one that finds no place would keep the others waiting for ever."""
    each = spec.gpu_per_worker
    if each == 0:
        return
    # A fraction is of one GPU, not of two.
    places = there // each if each >= 1 else there * int(1 / each)
    if spec.num_workers > places:
        raise InvalidSetting(
            f"{spec.num_workers} workers with {each:g} GPUs each were asked for, and this machine has {there:g}: lower "
            "--gpu-per-worker"
        )


def _pass_on(progress: Queue, on_progress: OnProgress, training: "Future[ray.train.Result]") -> None:
    """Hand workers' progress to the caller, in the caller's thread, until training is over; raise what they send."""
    reached: tuple[int, int] | None = None
    patience_ends = time.monotonic() + _SILENCE_SECONDS
    while True:
        over = training.done()
        try:
            report: Progress | FmnistError = progress.get(timeout=0.1)
        except Empty:
            if over:
                return
            if reached is None and time.monotonic() > patience_ends:
                logger.warning("no worker has begun after %d s: %s", _SILENCE_SECONDS, _shares())
                patience_ends = math.inf
            continue
        except ray.exceptions.RayError:
            if over:
                return
            raise
        if isinstance(report, FmnistError):
            raise report
        if reached is not None and (report.epoch, report.step) < reached:
            logger.warning("a worker was lost; training goes on from the start of epoch %d", report.epoch + 1)
        reached = (report.epoch, report.step)
        on_progress(report)


def _end(training: "Future[ray.train.Result]", *, kill: bool) -> None:
    """Kill Ray Train's controller, whose workers end with it, and wait for the thread that waits for its answer.

    Ray must not be shut down before: a thread that is inside `ray.get` by then never comes back. It keeps a core busy,
    uses what Ray has freed, and can so end the process. Ray Train hands the controller to nobody, so it is looked up.
    """
    state, worker = ray._private.state, ray._private.worker.global_worker  # noqa: SLF001 - there is no public way
    ends, job = time.monotonic() + _END_SECONDS, ray.JobID.from_hex(ray.get_runtime_context().get_job_id())
    while not training.done() and time.monotonic() < ends:
        actors = state.actors(job_id=job, actor_state_name="ALIVE") if kill else {}
        for actor_id, actor in actors.items():
            if actor["ActorClassName"] == "TrainController":
                worker.core_worker.kill_actor(ray.ActorID.from_hex(actor_id), no_restart=True)
        wait([training], timeout=0.2)


def _shares() -> str:
    total, free = ray.cluster_resources(), ray.available_resources()
    shares = [f"{free.get(kind, 0):g} of {total[kind]:g} {kind}s" for kind in ("CPU", "GPU") if kind in total]
    return f"the cluster has {' and '.join(shares) or 'no CPUs'} free, and training waits for its own"


def _predict(classifier: WeightsClassifier, reader: SplitReader, file: SplitFile) -> SplitPredictions:
    return answer(classifier(), reader(file))


def _unwrapped(training: "Future[ray.train.Result]") -> ray.train.Result:
    """Return training's result, or raise what failed in Ray's controller."""
    try:
        return training.result()
    except ray.train.ControllerError as error:
        raise error.controller_failure from error


def _progress_queue() -> Queue:
    """Make the queue that workers report by; on the driver's node, since training survives the loss of any other."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})

"""`Compute` on Ray: Ray Data reads, Ray Train and Lightning fit, and a task predicts."""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import ray
import ray.train
from ray.train.torch import TorchConfig, TorchTrainer
from ray.util.queue import Empty, Queue
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from fmnist.adapters.lightning.checkpoint import BEST, History
from fmnist.adapters.parquet.files import SplitReader
from fmnist.adapters.ray.cluster import (
    RETRIES,
    cluster_gpus,
    cluster_in_use,
    cpus_per_worker,
    free_cpus,
    join_cluster,
    node_cpus,
)
from fmnist.adapters.ray.data import read_split
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.adapters.ray.storage import CheckpointStorage
from fmnist.adapters.ray.worker import WorkerTask, train_worker
from fmnist.adapters.torch.weights import WeightsClassifier
from fmnist.domain.model.data.dataset import DatasetVersion, SplitFile
from fmnist.domain.model.data.metadata import split_sizes
from fmnist.domain.model.errors import FmnistError, InvalidSetting, StoreUnavailable, TrainingFailed
from fmnist.domain.model.evaluation.report import SplitPredictions
from fmnist.domain.model.training.run import Progress, TrainingSpec
from fmnist.domain.services.bounded_calls import settle
from fmnist.domain.services.prediction import answer
from fmnist.ports.compute import Compute, FitResult, OnProgress
from fmnist.ports.model_store import TrainedWeights

logger = logging.getLogger(__name__)

_END_SECONDS = 10  # for the training thread to end after its controller was killed
SILENCE_SECONDS = 60  # if no worker starts within this time, a warning shows the free resources


@dataclass(frozen=True, slots=True)
class RayCompute(Compute):
    """Trains with 1 to N workers on a Ray cluster.

    Args:
        reader: reads split files, on the node that runs the task.
        storage: storage of the checkpoints, under the run's id.
    """

    cluster: ClusterSettings
    reader: SplitReader
    storage: CheckpointStorage

    def prepare(self, spec: TrainingSpec, dataset: DatasetVersion) -> None:
        spec.check_splits(split_sizes(dataset.metadata))
        self.storage.prepare()
        join_cluster(self.cluster)
        if self.cluster.address is None:
            check_gpus(spec, cluster_gpus())

    def fit(self, spec: TrainingSpec, dataset: DatasetVersion, run_id: str, on_progress: OnProgress) -> FitResult:
        self.prepare(spec, dataset)
        with cluster_in_use(self.cluster):
            trainer = self._trainer(spec, dataset, run_id, progress := _progress_queue())
            # In another thread, because in the main thread Ray would replace the SIGINT handler permanently.
            training: Future[ray.train.Result] = Future()
            train = partial(_train, trainer, progress)
            threading.Thread(target=settle, args=(training, train), name="ray-train", daemon=True).start()
            try:
                _pass_on(progress, on_progress, training)
            except BaseException as error:
                # Do not kill it if the cluster is lost: then the training is lost too.
                _end(training, kill=not isinstance(error, ray.exceptions.RayError))
                ray.shutdown()
                raise
            progress.shutdown()
            return self._result(spec, training)

    def close(self) -> None:
        ray.shutdown()

    def predict(self, weights: TrainedWeights, dataset: DatasetVersion, split: str) -> SplitPredictions:
        files, classifier = dataset.files(split), WeightsClassifier.of(weights, dataset)
        join_cluster(self.cluster)
        # On our own cluster, use all CPUs. On a shared one, a node may never have all of its CPUs free.
        cpus = 1 if self.cluster.address else max(1, int(max(node_cpus())))
        task = ray.remote(num_cpus=cpus, max_retries=RETRIES)(_predict)
        with cluster_in_use(self.cluster):
            predictions: SplitPredictions = ray.get(task.remote(classifier, self.reader, files))
        return predictions

    def _trainer(self, spec: TrainingSpec, dataset: DatasetVersion, run_id: str, progress: Queue) -> TorchTrainer:
        workers, gpus = spec.num_workers, spec.gpu_per_worker
        # They are read now, because workers may reserve all CPUs and block later reads.
        train = read_split(self.reader, dataset.files("train"), spec.limit_train)
        val = read_split(self.reader, dataset.files("val"), spec.limit_val)
        spec.check_splits({"train": len(train), "val": len(val)})
        cpus = cpus_per_worker(free_cpus(), workers)
        task = WorkerTask(
            spec=spec,
            normalization=dataset.normalization,
            progress=progress,
            threads=max(1, int(cpus)),
            storage=self.storage,
            train=train,
            val=val,
        )
        return TorchTrainer(
            # Bound with partial, not passed as its config: Ray's controller would unpickle a config, and would have to
            # import everything that a worker imports before it starts one.
            partial(train_worker, task),
            # NCCL does not support two ranks on one GPU.
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
        )

    def _result(self, spec: TrainingSpec, training: "Future[ray.train.Result]") -> FitResult:
        try:
            # Ray also uses the storage in the driver and in its controller, which do not translate errors.
            with self.storage.in_use("cannot be kept"):
                try:
                    result = training.result()
                except ray.train.ControllerError as error:
                    raise error.controller_failure from error
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
    """Check that all workers fit on this machine's GPUs. The others would wait for ever for one that does not."""
    each = spec.gpu_per_worker
    if each == 0:
        return
    # A fraction must lie on one GPU.
    places = there // each if each >= 1 else there * int(1 / each)
    if spec.num_workers > places:
        raise InvalidSetting(
            f"{spec.num_workers} workers with {each:g} GPUs each do not fit on the {there:g} GPUs of this machine: "
            "lower --gpu-per-worker"
        )


def _train(trainer: TorchTrainer, progress: Queue) -> "ray.train.Result":
    """Train, and end the queue of reports."""
    try:
        return trainer.fit()
    finally:
        with suppress(ray.exceptions.RayError):  # without a cluster, who waits for reports gets an error anyway
            progress.put(None)


def _pass_on(progress: Queue, on_progress: OnProgress, training: "Future[ray.train.Result]") -> None:
    """Pass workers' progress to the caller, in its thread, until the queue ends. Raise an error that they send."""
    reached: tuple[int, int] | None = None
    warned = False
    while True:
        try:
            report: Progress | FmnistError | None = progress.get(timeout=SILENCE_SECONDS)
        except Empty:
            if training.done():  # its last message was lost
                return
            if reached is None and not warned:
                logger.warning("no worker has started after %d s: %s", SILENCE_SECONDS, free_shares())
                warned = True
            continue
        if report is None:
            return
        if isinstance(report, FmnistError):
            raise report
        if reached is not None and (report.epoch, report.step) < reached:
            logger.warning("a worker was lost; training restarts from the beginning of epoch %d", report.epoch + 1)
        reached = (report.epoch, report.step)
        on_progress(report)


def _end(training: "Future[ray.train.Result]", *, kill: bool) -> None:
    """Kill Ray Train's controller, which ends its workers, and wait for the training thread.

    Ray must be shut down only after that: a thread that is still inside `ray.get` never returns. It keeps a core busy,
    uses freed memory of Ray, and can crash the process. Ray Train gives no handle of its controller, so look it up.
    """
    state, worker = ray._private.state, ray._private.worker.global_worker  # noqa: SLF001 - there is no public way
    ends, job = time.monotonic() + _END_SECONDS, ray.JobID.from_hex(ray.get_runtime_context().get_job_id())
    while not training.done() and time.monotonic() < ends:
        actors = state.actors(job_id=job, actor_state_name="ALIVE") if kill else {}
        for actor_id, actor in actors.items():
            if actor["ActorClassName"] == "TrainController":
                worker.core_worker.kill_actor(ray.ActorID.from_hex(actor_id), no_restart=True)
        wait([training], timeout=0.2)


def free_shares() -> str:
    """Return how much of the cluster is free, for a warning."""
    total, free = ray.cluster_resources(), ray.available_resources()
    shares = [f"{free.get(kind, 0):g} of {total[kind]:g} {kind}s" for kind in ("CPU", "GPU") if kind in total]
    return f"the cluster has {' and '.join(shares) or 'no CPUs'} free, and training waits for enough of them"


def _predict(  # pragma: no cover - runs in a Ray worker
    classifier: WeightsClassifier, reader: SplitReader, files: Sequence[SplitFile]
) -> SplitPredictions:
    return answer(classifier(), reader(files))


def _progress_queue() -> Queue:
    """Make the queue for workers' reports, on the driver's node: training survives the loss of any other node."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})

"""`Compute` for many trainings at a time: each one runs in one process of a Ray cluster, and Ray only executes them."""

import logging
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event
from typing import Any

import ray

from fmnist.adapters.lightning.compute import LocalCompute
from fmnist.adapters.ray.cluster import RETRIES, cluster_gpus, cluster_in_use
from fmnist.adapters.ray.compute import SILENCE_SECONDS, RayCompute, free_shares
from fmnist.domain.model.data.dataset import DatasetVersion, LabeledImages
from fmnist.domain.model.errors import FmnistError, StoreUnavailable, TrainingFailed
from fmnist.domain.model.evaluation.report import SplitPredictions
from fmnist.domain.model.training.run import Progress, TrainingSpec
from fmnist.ports.compute import FitResult, OnProgress
from fmnist.ports.model_store import TrainedWeights

logger = logging.getLogger(__name__)

_END_SECONDS = 5  # for a training to end at its next report, before its process is killed
_REPORT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RayTrials(RayCompute):
    """Trains with the in-process compute in processes with one CPU each, and one GPU if the cluster has GPUs.

    Threads may call `fit` at the same time. The processes stay for the next trainings. Checkpoints are in `storage`,
    which must be a directory. If nodes do not share it, a training that another node continues begins again.
    """

    _idle: list[Any] = field(default_factory=list, init=False, repr=False)
    _all: list[Any] = field(default_factory=list, init=False, repr=False)
    _splits: dict[str, tuple[Any, Any]] = field(default_factory=dict, init=False, repr=False)
    _closed: Event = field(default_factory=Event, init=False, repr=False)

    def places(self) -> int:
        """Return how many trainings fit on what is free of the cluster, which `prepare` has joined; at least one."""
        free, kinds = ray.available_resources(), ("CPU", "GPU") if cluster_gpus() else ("CPU",)
        return max(1, int(min(free.get(kind, 0) for kind in kinds)))

    def fit(self, spec: TrainingSpec, dataset: DatasetVersion, run_id: str, on_progress: OnProgress) -> FitResult:
        self._check_open()
        self.prepare(spec, dataset)
        with cluster_in_use(self.cluster):
            for _ in range(1 + RETRIES):
                with suppress(ray.exceptions.ActorDiedError):
                    answer = self._fit(spec, dataset, run_id, on_progress)
                    break
            else:
                raise TrainingFailed(f"training failed: its process was lost {1 + RETRIES} times")
        if isinstance(answer, FmnistError):
            raise answer
        return answer

    def predict(self, weights: TrainedWeights, dataset: DatasetVersion, split: str) -> SplitPredictions:
        # The task may need all CPUs, and idle processes hold some.
        while self._idle:
            self._all.remove(trainer := self._idle.pop())
            ray.kill(trainer)
        return RayCompute.predict(self, weights, dataset, split)

    def close(self) -> None:
        self._closed.set()
        # Kill them first: a thread that still waits for one would never return from a Ray that is shut down.
        for trainer in self._all:
            ray.kill(trainer)
        self._all.clear()
        self._idle.clear()
        self._splits.clear()
        ray.shutdown()

    def _fit(
        self, spec: TrainingSpec, dataset: DatasetVersion, run_id: str, on_progress: OnProgress
    ) -> FitResult | FmnistError:
        train, val = self._stored(dataset)
        trainer = self._trainer_for(run_id)
        training = trainer.fit.remote(spec, dataset, run_id, train, val)
        try:
            ended = False
            while not ended:
                ended = bool(ray.wait([training], timeout=0)[0])
                for heard, report in ray.get(trainer.reports.remote()):
                    if heard == run_id:  # and not of the training before, which was not wanted to its end
                        on_progress(report)
            answer: FitResult | FmnistError = ray.get(training)
        except BaseException:
            self._check_open()
            with suppress(ray.exceptions.RayError):
                ray.get(trainer.end.remote())
                if ray.wait([training], timeout=_END_SECONDS)[0]:
                    self._idle.append(trainer)
                else:
                    ray.kill(trainer)
            raise
        self._idle.append(trainer)
        return answer

    def _stored(self, dataset: DatasetVersion) -> tuple[Any, Any]:
        """Return references to `train` and `val` in the object store. They are read once."""
        if dataset.digest not in self._splits:
            train, val = (ray.put(self.reader(dataset.files(split))) for split in ("train", "val"))
            self._splits[dataset.digest] = train, val
        return self._splits[dataset.digest]

    def _check_open(self) -> None:
        """Raise StoreUnavailable after `close`. A call to Ray would start it again."""
        if self._closed.is_set():
            raise StoreUnavailable("the training ends, because its Ray cluster was left")

    def _trainer_for(self, run_id: str) -> Any:
        """Return an idle process, or a new one once the cluster has room for it."""
        with suppress(IndexError):
            return self._idle.pop()
        trainer = self._new_trainer()
        ready = trainer.__ray_ready__.remote()
        for seconds in count(1):
            started, _ = ray.wait([ready], timeout=1)
            self._check_open()
            if started:
                break
            if seconds == SILENCE_SECONDS:
                logger.warning("run %s has not started after %d s: %s", run_id, seconds, free_shares())
            if self._idle:  # other work may hold the rest of the cluster for ever
                self._all.remove(trainer)
                ray.kill(trainer)
                return self._trainer_for(run_id)
        return trainer

    def _new_trainer(self) -> Any:
        gpus = min(1, cluster_gpus())
        kind = ray.remote(num_cpus=1, num_gpus=gpus, max_concurrency=3)(_Trainer)  # for its three methods
        trainer = kind.remote(Path(self.storage.path))
        self._all.append(trainer)
        return trainer


class _Ended(Exception):
    """The driver wants no more of a training."""


class _Trainer:  # pragma: no cover - runs in a Ray worker
    """Trains in its own process. Its methods run in threads, so that the driver hears of the progress."""

    def __init__(self, checkpoints: Path) -> None:
        self._checkpoints = checkpoints
        self._reports = SimpleQueue[tuple[str, Progress]]()
        self._end = Event()

    def fit(
        self, spec: TrainingSpec, dataset: DatasetVersion, run_id: str, train: LabeledImages, val: LabeledImages
    ) -> FitResult | FmnistError | None:
        self._end.clear()
        compute = LocalCompute(lambda _, split: {"train": train, "val": val}[split], self._checkpoints, threads=1)
        try:
            return compute.fit(spec, dataset, run_id, partial(self._hear, run_id))
        except FmnistError as error:
            return error
        except _Ended:
            return None

    def reports(self) -> list[tuple[str, Progress]]:
        """Return the reports since the last call with their run's id, or wait a while for one."""
        heard = list[tuple[str, Progress]]()
        with suppress(Empty):
            heard.append(self._reports.get(timeout=_REPORT_SECONDS))
            while True:
                heard.append(self._reports.get_nowait())
        return heard

    def end(self) -> None:
        self._end.set()

    def _hear(self, run_id: str, report: Progress) -> None:
        if self._end.is_set():
            raise _Ended
        self._reports.put((run_id, report))

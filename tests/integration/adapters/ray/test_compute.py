"""Training and prediction on a real Ray cluster, with killed workers and damaged data."""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import fields, replace
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
import ray
import torch

from fmnist.adapters.ray.compute import RayCompute
from fmnist.adapters.torch.weights import load_tensors
from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.data.normalization import Normalization
from fmnist.domain.model.errors import CorruptData, InvalidSetting, OutOfMemory, TrainingFailed
from fmnist.domain.model.training.run import Progress, TrainingSpec
from fmnist.ports.compute import Compute
from fmnist.ports.data_registry import DataRegistry
from fmnist.testing.contracts.compute import SPEC, ComputeContract, FinishedFit

TWO_WORKERS = replace(SPEC, num_workers=2, recipe=SPEC.recipe.override(batch_size=16))


class TestRayCompute(ComputeContract):
    """`compute`, `dataset` and `registry` are those of the folder's conftest."""

    compute = dataset = registry = None  # use those fixtures instead of the suite's own
    spec = TWO_WORKERS

    def disturb(self, report: Progress) -> None:
        if not self.killed:
            self.killed.append(next(pid for pid in train_workers()))
            os.kill(self.killed[0], signal.SIGKILL)

    def test_interrupted_fit_goes_on_to_the_same_weights(
        self, compute: Compute, dataset: DatasetVersion, finished: FinishedFit
    ) -> None:
        """The resumed fit also loses a worker, which Ray replaces."""
        self.killed: list[int] = []
        super().test_interrupted_fit_goes_on_to_the_same_weights(compute, dataset, finished)
        assert self.killed

    def test_weights_do_not_depend_on_the_number_of_files(
        self, compute: Compute, dataset: DatasetVersion, registry: DataRegistry, finished: FinishedFit
    ) -> None:
        one = registry.resolve("1.0.0")
        assert (len(one.files("train")), len(dataset.files("train"))) == (1, 3)
        again = compute.fit(self.spec, one, uuid4().hex, ignore)
        assert list(again.history) == list(finished.result.history)
        ours, theirs = (load_tensors(Path(result.weights.path)) for result in (finished.result, again))
        assert list(ours) == list(theirs)
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def ignore(_: Progress) -> None:
    pass


def test_fewer_images_than_workers_are_found_when_the_metadata_does_not_say_so(
    compute: RayCompute, dataset: DatasetVersion
) -> None:
    unknown = replace(dataset, metadata={name: part for name, part in dataset.metadata.items() if name != "splits"})
    spec = replace(SPEC, num_workers=102, limit_train=None, limit_val=None)
    with pytest.raises(InvalidSetting, match="101 images of 'val' are too few for 102 workers"):
        compute.fit(spec, unknown, uuid4().hex, ignore)


@pytest.mark.soak
def test_worker_that_is_always_lost_gives_a_clear_error(compute: RayCompute, dataset: DatasetVersion) -> None:
    def kill_every_worker(report: Progress) -> None:
        for pid in train_workers():
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(TrainingFailed, match="after 3 retries"):
        compute.fit(SPEC, dataset, uuid4().hex, kill_every_worker)


def test_flipped_bit_is_found_before_training_starts(compute: RayCompute, damaged: DatasetVersion) -> None:
    reports: list[Progress] = []
    with pytest.raises(CorruptData, match=r"split 'train' at .* is damaged"):
        compute.fit(SPEC, damaged, uuid4().hex, reports.append)
    assert reports == []


def test_diverging_run_is_not_retried(compute: RayCompute, dataset: DatasetVersion) -> None:
    reports: list[Progress] = []
    spec = replace(SPEC, recipe=SPEC.recipe.override(lr=1e30))
    with pytest.raises(TrainingFailed, match="not finite at epoch 0"):
        compute.fit(spec, dataset, uuid4().hex, reports.append)
    assert len([report for report in reports if report.step == 0]) == 1
    # Otherwise it would continue while Ray is shut down.
    assert "ray-train" not in {thread.name for thread in threading.enumerate()}


class CrampedNormalization(Normalization):
    """A normalization that raises out-of-memory in the second worker."""

    def __getattribute__(self, name: str) -> object:
        if name == "mean" and os.environ.get("RANK") == "1":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return super().__getattribute__(name)


class CrampedDataset(DatasetVersion):
    """A data version with this normalization."""

    @property
    def normalization(self) -> Normalization:
        return CrampedNormalization(0.5, 0.5)


@pytest.mark.soak
def test_worker_without_memory_stops_all_workers_and_is_not_retried(
    compute: RayCompute, dataset: DatasetVersion
) -> None:
    values = {field.name: getattr(dataset, field.name) for field in fields(dataset)}
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    reports: list[Progress] = []
    with pytest.raises(OutOfMemory, match="does not hold cnn with batches of 16: try --batch-size 8"):
        compute.fit(TWO_WORKERS, CrampedDataset(**values), uuid4().hex, reports.append)
    assert len([report for report in reports if report.step == 0]) == 1


def test_missing_gpus_are_refused_at_once(compute: RayCompute, dataset: DatasetVersion) -> None:
    spec = TrainingSpec(recipe=SPEC.recipe, gpu_per_worker=64)
    with pytest.raises(InvalidSetting, match="lower --gpu-per-worker"):
        compute.fit(spec, dataset, uuid4().hex, ignore)


def test_a_driver_does_not_import_lightning() -> None:
    program = "import sys, fmnist.adapters.ray.compute; sys.exit('lightning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def train_workers() -> list[int]:
    processes = psutil.Process().children(recursive=True)
    return [process.pid for process in processes if "RayTrainWorker" in " ".join(process.cmdline())]

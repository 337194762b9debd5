"""Many trainings at a time on a real Ray cluster, each in a process of its own."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
import ray

from fmnist.adapters.parquet.files import SplitReader
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.adapters.ray.storage import CheckpointStorage
from fmnist.adapters.ray.trials import RayTrials, _Trainer
from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.errors import StoreUnavailable, TrainingFailed
from fmnist.domain.model.training.run import Progress
from fmnist.testing.contracts.compute import SPEC, ComputeContract


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayTrials]:
    storage = CheckpointStorage(str(tmp_path_factory.mktemp("checkpoints")))
    trials = RayTrials(cluster=ClusterSettings(), reader=SplitReader(), storage=storage)
    yield trials
    trials.close()


def test_reports_have_the_run_that_they_are_about(tmp_path: Path) -> None:
    trainer, report = _Trainer(tmp_path), Progress(0, 1, 0, 1)
    trainer._hear("pruned", report)
    trainer._hear("next", report)
    assert trainer.reports() == [("pruned", report), ("next", report)]


def test_nothing_is_trained_after_the_end(dataset: DatasetVersion, tmp_path: Path) -> None:
    storage = CheckpointStorage(str(tmp_path))
    ended = RayTrials(cluster=ClusterSettings(), reader=SplitReader(), storage=storage)
    ended.close()
    with pytest.raises(StoreUnavailable, match="was left"):
        ended.fit(SPEC, dataset, uuid4().hex, lambda _: None)
    assert not ray.is_initialized()


def test_trainings_share_what_other_work_leaves(trials: RayTrials, dataset: DatasetVersion) -> None:
    trials.prepare(SPEC, dataset)
    cpus = int(ray.cluster_resources()["CPU"])
    assert trials.places() == cpus
    other = ray.remote(num_cpus=cpus - 1)(_Other).remote()
    ray.get(other.__ray_ready__.remote())
    until = time.monotonic() + 60
    while trials.places() != 1 and time.monotonic() < until:  # Ray tells it a little later
        time.sleep(0.1)
    assert trials.places() == 1
    short = replace(SPEC, recipe=SPEC.recipe.override(max_epochs=1))
    try:
        with ThreadPoolExecutor(2) as threads:
            ends = [threads.submit(trials.fit, short, dataset, uuid4().hex, lambda _: None) for _ in range(2)]
            assert len([end.result(timeout=120) for end in ends]) == 2
    finally:
        ray.kill(other)


class _Other:
    """Holds CPUs."""


class TestRayTrials(ComputeContract):
    dataset = registry = None  # use those of the folder's conftest instead of the suite's own

    @pytest.fixture(scope="class")
    @classmethod
    def compute(cls, trials: RayTrials) -> RayTrials:  # type: ignore[override]  # from another fixture
        return trials

    def disturb(self, report: Progress) -> None:
        """Kill the process once: another one continues."""
        if not getattr(self, "killed", False) and report.metrics is not None:
            self.killed = True
            for process in psutil.process_iter(["cmdline"]):
                if "ray::_Trainer" in " ".join(process.info["cmdline"] or []):
                    os.kill(process.pid, signal.SIGKILL)


def test_trainings_run_at_the_same_time(trials: RayTrials, dataset: DatasetVersion) -> None:
    """Each waits for the other, so one at a time would not end."""
    trials.prepare(SPEC, dataset)
    assert trials.places() >= 1
    together = threading.Barrier(2, timeout=120)

    def meet(report: Progress) -> None:
        if (report.epoch, report.step) == (0, 0):
            together.wait()

    with ThreadPoolExecutor(2) as threads:
        ends = [threads.submit(trials.fit, replace(SPEC, seed=seed), dataset, uuid4().hex, meet) for seed in (1, 2)]
        first, second = (end.result() for end in ends)
    assert first.history != second.history


def test_error_of_a_training_is_raised_and_its_process_trains_on(trials: RayTrials, dataset: DatasetVersion) -> None:
    before = len(trials._all)
    with pytest.raises(TrainingFailed, match="not finite at epoch 0"):
        trials.fit(replace(SPEC, recipe=SPEC.recipe.override(lr=1e30)), dataset, uuid4().hex, lambda _: None)
    trials.fit(replace(SPEC, recipe=SPEC.recipe.override(max_epochs=1)), dataset, uuid4().hex, lambda _: None)
    assert len(trials._all) <= before + 1

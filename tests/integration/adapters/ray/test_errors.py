"""Failures of Ray become errors of the domain. No cluster runs: Ray's errors are raised here."""

import logging
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import ray
import ray.train
from ray.exceptions import RayActorError, RayTaskError
from ray.util.queue import Empty

from fmnist.adapters.parquet.files import SplitReader
from fmnist.adapters.ray.cluster import cluster_in_use
from fmnist.adapters.ray.compute import SILENCE_SECONDS, RayCompute, _pass_on, _train
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.adapters.ray.storage import CheckpointStorage
from fmnist.domain.model.errors import CorruptData, FmnistError, OutOfMemory, StoreUnavailable, TrainingFailed
from fmnist.domain.model.training.run import Progress
from fmnist.testing.contracts.compute import SPEC

OUTAGE = StoreUnavailable("the store is away")


def ended(error: Exception | None = None) -> "Future[Any]":
    training: Future[Any] = Future()
    if error is None:
        training.set_result(None)
    else:
        training.set_exception(error)
    return training


class Reports:
    """Replaces Ray's queue. Errors of Ray are raised, and other things are returned."""

    def __init__(self, *things: object) -> None:
        self._things: Iterator[object] = iter(things)

    def get(self, timeout: float) -> object:
        assert timeout == SILENCE_SECONDS
        thing = next(self._things)
        if isinstance(thing, Empty | ray.exceptions.RayError):
            raise thing
        return thing


class Trainer:
    """Replaces Ray's trainer."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def fit(self) -> str:
        if self._error is not None:
            raise self._error
        return "a result"


class Sent:
    """Replaces Ray's queue. With an error, it is lost."""

    def __init__(self, lost: Exception | None) -> None:
        self._lost = lost
        self.sent: list[object] = []

    def put(self, report: object) -> None:
        self.sent.append(report)
        if self._lost is not None:
            raise self._lost


def passed_on(reports: Reports, training: "Future[Any] | None" = None) -> list[Progress]:
    heard: list[Progress] = []
    _pass_on(reports, heard.append, Future() if training is None else training)
    return heard


def test_error_of_a_task_is_the_domain_s_own_or_unchanged() -> None:
    with pytest.raises(CorruptData, match="damaged"), cluster_in_use(ClusterSettings()):
        raise RayTaskError("read", "", CorruptData("damaged"))
    with pytest.raises(RayTaskError), cluster_in_use(ClusterSettings()):
        raise RayTaskError("read", "", ZeroDivisionError())


def test_lost_cluster_is_named_with_the_first_line_of_the_reason() -> None:
    expected = r"^the Ray cluster at 10\.0\.0\.1:6379 was lost: System error: The actor died; check that it runs, and"
    with pytest.raises(StoreUnavailable, match=expected), cluster_in_use(ClusterSettings("10.0.0.1:6379")):
        raise ray.exceptions.RaySystemError("The actor died\nwith a long trace")


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (
            ray.train.WorkerGroupError("", {0: ValueError("a worker's error"), 1: OUTAGE}),
            StoreUnavailable,
            "training failed after 3 retries: the store is away",
        ),
        (
            ray.train.WorkerGroupError("", {0: ValueError("a worker's error")}),
            TrainingFailed,
            "training failed after 3 retries: a worker's error",
        ),
        (ray.train.ControllerError(OUTAGE), StoreUnavailable, "the store is away"),
        (ray.train.ControllerError(OSError("gone")), StoreUnavailable, "checkpoints cannot be kept in .*: gone"),
        (ray.train.TrainingFailedError("of another kind"), TrainingFailed, "training failed: of another kind"),
    ],
)
def test_failed_training_tells_its_cause(
    tmp_path: Path, error: Exception, expected: type[FmnistError], message: str
) -> None:
    compute = RayCompute(ClusterSettings(), SplitReader(), CheckpointStorage(str(tmp_path)))
    with pytest.raises(expected, match=f"^{message}"):
        compute._result(SPEC, ended(error))


def test_error_that_a_worker_sends_is_raised_while_the_others_train() -> None:
    with pytest.raises(OutOfMemory, match="too small"):
        passed_on(Reports(Progress(0, 1, 0, 1), OutOfMemory("too small")))


def test_epoch_that_is_repeated_after_a_lost_worker_is_told(caplog: pytest.LogCaptureFixture) -> None:
    reports = [Progress(1, 3, 0, 8), Progress(1, 3, 4, 8), Progress(1, 3, 0, 8), Progress(1, 3, 4, 8)]
    with caplog.at_level(logging.WARNING, "fmnist"):
        assert passed_on(Reports(*reports, None)) == reports
    assert caplog.messages == ["a worker was lost; training restarts from the beginning of epoch 2"]


def test_queue_that_is_lost_is_an_error() -> None:
    with pytest.raises(RayActorError):
        passed_on(Reports(Progress(0, 1, 1, 1), RayActorError()))


def test_reports_end_with_the_training_even_if_its_last_message_is_lost() -> None:
    report = Progress(0, 1, 1, 1)
    assert passed_on(Reports(report, Empty()), ended()) == [report]


@pytest.mark.parametrize("error", [None, ray.train.TrainingFailedError("of another kind")])
@pytest.mark.parametrize("lost", [None, RayActorError()])
def test_end_of_training_ends_the_reports(error: Exception | None, lost: Exception | None) -> None:
    trainer, reports = Trainer(error), Sent(lost)
    if error is None:
        assert _train(trainer, reports) == "a result"
    else:
        with pytest.raises(ray.train.TrainingFailedError):
            _train(trainer, reports)
    assert reports.sent == [None]


@pytest.mark.parametrize(
    ("total", "shares"),
    [({"CPU": 4.0, "GPU": 2.0}, "1 of 4 CPUs and 0 of 2 GPUs free"), ({"memory": 1.0}, "no CPUs free")],
)
def test_training_that_waits_for_resources_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, total: dict[str, float], shares: str
) -> None:
    monkeypatch.setattr(ray, "cluster_resources", lambda: total)
    monkeypatch.setattr(ray, "available_resources", lambda: {"CPU": 1.0})
    reports = Reports(Empty(), Empty(), Progress(0, 1, 1, 1), Empty(), None)
    with caplog.at_level(logging.WARNING, "fmnist"):
        passed_on(reports)
    (warning,) = caplog.messages
    assert warning.startswith("no worker has started after")
    assert f"the cluster has {shares}, and training waits for enough of them" in warning

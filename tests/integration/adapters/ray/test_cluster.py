import os
import signal
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

from fmnist.adapters.ray.cluster import ClusterSettings, _signals_kept, cpus_per_worker, join_cluster
from fmnist.adapters.ray.storage import CheckpointStorage
from fmnist.apps.process import HungUp
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable


@pytest.mark.parametrize(
    ("nodes", "workers", "expected"),
    [
        ([2], 1, 2),
        ([2], 2, 1),
        ([2], 3, 0.666),
        ([8], 3, 2),
        ([4, 4], 2, 4),
        ([4, 4], 3, 2),  # 8 // 3 would be 2 as well, but 3 workers of 3 would not fit
        ([1, 16], 2, 8),
        ([0, 4], 1, 4),  # a head node that takes no work
        ([0], 2, 1),  # and one that is still alone
    ],
)
def test_worker_gets_the_most_cpus_that_no_node_boundary_cuts(
    nodes: list[float], workers: int, expected: float
) -> None:
    assert cpus_per_worker(nodes, workers) == expected


def test_absent_cluster_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1"):
        with pytest.raises(StoreUnavailable, match=rf"no Ray cluster at {address}: .*check RAY_ADDRESS"):
            join_cluster(ClusterSettings(address=address))


def test_directory_that_cannot_be_made_is_told_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        StoreUnavailable, match=r"checkpoints cannot be kept in .*/file/checkpoints: .*check FMNIST_HOME"
    ):
        CheckpointStorage(str(tmp_path / "file" / "checkpoints")).prepare()


def test_address_of_the_job_server_is_no_cluster_s() -> None:
    with pytest.raises(InvalidSetting, match=r"is where `ray job submit` sends jobs.*name the head node's HOST:6379"):
        join_cluster(ClusterSettings(address="http://127.0.0.1:8265"))


def test_what_ray_starts_outlives_a_closed_terminal_and_this_process_is_told() -> None:
    def hung_up(*_: object) -> NoReturn:
        raise HungUp

    before = signal.signal(signal.SIGHUP, hung_up)
    begun: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        with _signals_kept():
            begun.append(subprocess.Popen(["sleep", "60"]))
            begun[0].send_signal(signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGHUP)

    try:
        with pytest.raises(HungUp):
            start()
        with pytest.raises(subprocess.TimeoutExpired):
            begun[0].wait(timeout=0.2)
    finally:
        signal.signal(signal.SIGHUP, before)
        for child in begun:
            child.kill()
            child.wait()

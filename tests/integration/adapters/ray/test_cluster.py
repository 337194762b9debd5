import os
import subprocess
import sys
from pathlib import Path

import pytest

from fmnist.adapters.ray.cluster import ClusterSettings, cpus_per_worker, join_cluster
from fmnist.adapters.ray.storage import CheckpointStorage
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


# Each exports every second, and says in its driver's log that nobody is there.
TWO_CLUSTERS = """
import time
from pathlib import Path
import ray
from fmnist.adapters.ray.cluster import ClusterSettings, join_cluster
for _ in range(2):
    join_cluster(ClusterSettings())
    logs = Path(ray._private.worker._global_node.get_logs_dir_path())
    ray.get(ray.remote(lambda: None).remote())
    ray.shutdown()
time.sleep(5)
print([line for log in logs.glob("python-core-driver-*") for line in log.read_text().splitlines() if "export" in line])
"""


@pytest.mark.soak
def test_no_metrics_exporter_outlives_its_cluster() -> None:
    environment = {**os.environ, "RAY_metrics_report_interval_ms": "1000"}
    done = subprocess.run(
        [sys.executable, "-c", TWO_CLUSTERS], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"

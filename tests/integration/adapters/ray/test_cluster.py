from pathlib import Path

import pytest

from fmnist.adapters.parquet.storage import S3Settings
from fmnist.adapters.ray.cluster import ClusterSettings, cpus_per_worker, join_cluster
from fmnist.adapters.ray.storage import CheckpointStorage
from fmnist.domain.model.errors import StoreUnavailable


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
    with pytest.raises(StoreUnavailable, match="cannot write checkpoints"):
        CheckpointStorage(str(tmp_path / "file" / "checkpoints")).prepare()


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9000", "https://s3.example.com"])
def test_checkpoints_go_to_the_s3_endpoint_that_was_named(endpoint: str) -> None:
    filesystem = CheckpointStorage("bucket/prefix", S3Settings(endpoint, "key", "secret")).filesystem()
    _, (options,) = filesystem.__reduce__()
    assert f"{options['scheme']}://{options['endpoint_override']}" == endpoint
    assert (options["access_key"], options["secret_key"]) == ("key", "secret")

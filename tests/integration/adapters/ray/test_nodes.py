"""Training on several nodes when one is lost with its data, and evaluation on a busy cluster."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
import ray
from ray.cluster_utils import Cluster

from fmnist.adapters.parquet.files import SplitReader, write_split
from fmnist.adapters.ray.compute import RayCompute
from fmnist.adapters.ray.data import StoredSplit, read_split
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.adapters.ray.storage import CheckpointStorage
from fmnist.domain.model.data.dataset import DatasetVersion, SplitFile
from fmnist.domain.model.training.run import Progress
from fmnist.testing.contracts.compute import SPEC
from fmnist.testing.data import toy_images
from stack.services import ObjectStore
from tests.integration.services import s3_settings

FILES, ROWS = 4, 500  # Ray keeps a block of less than 100 KiB in the driver, so these are larger
TWO_WORKERS = replace(SPEC, num_workers=2, limit_train=None, recipe=SPEC.recipe.override(batch_size=8))


@pytest.fixture
def two_nodes() -> Iterator[Cluster]:
    """A head node and another node with one CPU each, so that each gets one of two workers."""
    ray.shutdown()  # the cluster of other tests
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def large(dataset: DatasetVersion, tmp_path: Path) -> DatasetVersion:
    """The version with a train split whose blocks lie in the object stores of both nodes."""
    written = []
    for number in range(FILES):
        write_split(toy_images(ROWS, seed=10 + number), path := tmp_path / f"part-{number}.parquet")
        md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        written.append(SplitFile("train", str(path), md5))
    metadata = {name: part for name, part in dataset.metadata.items() if name != "splits"}
    return replace(dataset, metadata=metadata, splits={**dataset.splits, "train": tuple(written)})


@pytest.mark.soak
def test_lost_node_is_replaced_and_only_its_epoch_is_repeated(
    two_nodes: Cluster,
    compute: RayCompute,
    object_store: ObjectStore,
    bucket: str,
    large: DatasetVersion,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s3 = s3_settings(object_store)
    compute = replace(
        compute, cluster=ClusterSettings(address=two_nodes.address), storage=CheckpointStorage(f"{bucket}/runs", s3)
    )
    (other,) = two_nodes.worker_nodes
    run_id, reports, stored, lost = uuid4().hex, list[Progress](), list[StoredSplit](), list[list[str]]()

    def read(reader: SplitReader, files: Sequence[SplitFile], limit: int | None) -> StoredSplit:
        stored.append(read_split(reader, files, limit))
        return stored[-1]

    monkeypatch.setattr("fmnist.adapters.ray.compute.read_split", read)

    def lose_a_node_in_the_second_epoch(report: Progress) -> None:
        reports.append(report)
        if report.epoch == 1 and two_nodes.worker_nodes == {other}:
            places = ray.experimental.get_object_locations(list(stored[0].blocks)).values()
            lost.extend(place["node_ids"] for place in places if other.node_id in place["node_ids"])
            two_nodes.remove_node(other, allow_graceful=False)
            two_nodes.add_node(num_cpus=1)

    result = compute.fit(TWO_WORKERS, large, run_id, lose_a_node_in_the_second_epoch)
    assert lost, "no block lay on the lost node"
    assert [report.epoch for report in reports if report.step == 0] == [0, 1, 1, 2]
    assert len(result.history) == 3

    # Add a larger node, most of which another job uses. The model is evaluated on the rest.
    two_nodes.add_node(num_cpus=3)
    somebody_else = ray.remote(num_cpus=2)(Other).remote()
    ray.get(somebody_else.__ray_ready__.remote())
    predictions = compute.predict(result.weights, large, "test")
    assert len(predictions.labels) == 100


class Other:
    """An actor of another job."""

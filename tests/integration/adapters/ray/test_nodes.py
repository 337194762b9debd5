"""Training on several nodes when one is lost, and evaluation on a busy cluster."""

from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest
import ray
from ray.cluster_utils import Cluster

from fmnist.adapters.ray.compute import RayCompute
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.adapters.ray.storage import CheckpointStorage
from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.training.run import Progress
from fmnist.testing.contracts.compute import SPEC
from stack.services import ObjectStore
from tests.integration.services import s3_settings

TWO_WORKERS = replace(SPEC, num_workers=2, recipe=SPEC.recipe.override(batch_size=8))


@pytest.fixture
def two_nodes() -> Iterator[Cluster]:
    """A head node and another node with one CPU each, so that each gets one of two workers."""
    ray.shutdown()  # the cluster of other tests
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.soak
def test_lost_node_is_replaced_and_only_its_epoch_is_repeated(
    two_nodes: Cluster,
    compute: RayCompute,
    object_store: ObjectStore,
    bucket: str,
    dataset: DatasetVersion,
) -> None:
    s3 = s3_settings(object_store)
    compute = replace(
        compute, cluster=ClusterSettings(address=two_nodes.address), storage=CheckpointStorage(f"{bucket}/runs", s3)
    )
    (other,) = two_nodes.worker_nodes
    run_id, reports = uuid4().hex, list[Progress]()

    def lose_a_node_in_the_second_epoch(report: Progress) -> None:
        reports.append(report)
        if report.epoch == 1 and two_nodes.worker_nodes == {other}:
            two_nodes.remove_node(other, allow_graceful=False)
            two_nodes.add_node(num_cpus=1)

    result = compute.fit(TWO_WORKERS, dataset, run_id, lose_a_node_in_the_second_epoch)
    assert [report.epoch for report in reports if report.step == 0] == [0, 1, 1, 2]
    assert len(result.history) == 3

    # Add a larger node, most of which another job uses. The model is evaluated on the rest.
    two_nodes.add_node(num_cpus=3)
    somebody_else = ray.remote(num_cpus=2)(Other).remote()
    ray.get(somebody_else.__ray_ready__.remote())
    predictions = compute.predict(result.weights, dataset, "test")
    assert len(predictions.labels) == 100


class Other:
    """An actor of another job."""

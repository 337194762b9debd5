import uuid
from collections.abc import Iterator

import pytest
import ray

from fmnist.adapters.ray.cluster import join_cluster
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.adapters.ray.traffic_windows import RayTrafficWindows
from fmnist.testing.contracts.traffic_windows import TrafficWindowsContract, this_minute
from fmnist.testing.data import toy_sketch


@pytest.fixture(scope="module", autouse=True)
def joined() -> Iterator[None]:
    join_cluster(ClusterSettings())
    yield
    ray.shutdown()


class TestRayTrafficWindows(TrafficWindowsContract):
    @pytest.fixture
    def windows(self) -> RayTrafficWindows:
        return RayTrafficWindows(uuid.uuid4().hex, 60)


def test_replicas_of_one_application_share_a_window() -> None:
    name = uuid.uuid4().hex
    for seed in range(2):
        RayTrafficWindows(name, 60).add("models:/m/1", this_minute(), toy_sketch(10, seed))
    assert RayTrafficWindows(name, 60).window("models:/m/1").sketch.images == 20

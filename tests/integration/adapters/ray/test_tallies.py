import uuid
from collections.abc import Iterator

import pytest
import ray

from fmnist.adapters.ray.cluster import join_cluster
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.adapters.ray.tallies import RayTallies
from fmnist.domain.model.traffic.agreement import Agreement, Pair
from fmnist.testing.contracts.tallies import TalliesContract


@pytest.fixture(scope="module", autouse=True)
def joined() -> Iterator[None]:
    join_cluster(ClusterSettings())
    yield
    ray.shutdown()


class TestRayTallies(TalliesContract):
    @pytest.fixture
    def tallies(self) -> RayTallies[Agreement]:
        return RayTallies(uuid.uuid4().hex, Agreement)


def test_replicas_of_one_application_add_up() -> None:
    name, pair = uuid.uuid4().hex, Pair("models:/m/1", "models:/m/2")
    for _ in range(2):
        RayTallies(name, Agreement).add(pair, Agreement(dropped=3))
    assert RayTallies(name, Agreement).total(pair).dropped == 6

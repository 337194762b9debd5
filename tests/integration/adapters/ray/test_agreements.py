import uuid
from collections.abc import Iterator

import pytest
import ray

from fmnist.adapters.ray.agreements import RayAgreements
from fmnist.adapters.ray.cluster import join_cluster
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.domain.model.traffic.agreement import Agreement, Pair
from fmnist.testing.contracts.agreements import AgreementsContract


@pytest.fixture(scope="module", autouse=True)
def joined() -> Iterator[None]:
    join_cluster(ClusterSettings())
    yield
    ray.shutdown()


class TestRayAgreements(AgreementsContract):
    @pytest.fixture
    def agreements(self) -> RayAgreements:
        return RayAgreements(uuid.uuid4().hex)


def test_replicas_of_one_application_add_up() -> None:
    name, pair = uuid.uuid4().hex, Pair("models:/m/1", "models:/m/2")
    for _ in range(2):
        RayAgreements(name).add(pair, Agreement(dropped=3))
    assert RayAgreements(name).total(pair).dropped == 6

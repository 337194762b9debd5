import uuid
from collections.abc import Iterator
from typing import NoReturn

import pytest
import ray
from ray.exceptions import GetTimeoutError, RayActorError

from fmnist.adapters.ray.cluster import join_cluster
from fmnist.adapters.ray.serving_memory import RayServingMemory
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.ports.serving_memory import ServingMemory
from fmnist.testing.contracts.serving_memory import ServingMemoryContract, make_kept


@pytest.fixture(scope="module", autouse=True)
def joined() -> Iterator[None]:
    join_cluster(ClusterSettings())
    yield
    ray.shutdown()


class TestRayServingMemory(ServingMemoryContract):
    @pytest.fixture
    def memory(self) -> ServingMemory:
        return RayServingMemory(uuid.uuid4().hex, "deploy")


def test_replicas_of_one_application_share_what_they_know() -> None:
    name = uuid.uuid4().hex
    RayServingMemory(name, "deploy").pin("models:/m@champion", "models:/m/3")
    RayServingMemory(name, "deploy").remember(make_kept(3))
    other = RayServingMemory(name, "deploy")
    assert other.pinned("models:/m@champion") == "models:/m/3"
    assert other.last_good_id() == ("models:/prod.contract/3", True)


@pytest.mark.parametrize("error", [GetTimeoutError("no answer"), RayActorError(), ValueError("no such actor")])
def test_memory_that_does_not_answer_is_an_outage(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise error

    monkeypatch.setattr(ray, "get", fail)
    with pytest.raises(StoreUnavailable, match="shared memory on the head node does not answer"):
        RayServingMemory(uuid.uuid4().hex, "deploy").last_good_id()


def test_a_later_deployment_keeps_the_model_and_forgets_the_pin() -> None:
    name = uuid.uuid4().hex
    RayServingMemory(name, "monday").pin("models:/m@champion", "models:/m/3")
    RayServingMemory(name, "monday").remember(make_kept(3))
    later = RayServingMemory(name, "tuesday")
    assert later.pinned("models:/m@champion") is None
    assert later.last_good() is not None

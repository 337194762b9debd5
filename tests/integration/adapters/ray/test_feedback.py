import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import ray

from fmnist.adapters.fsspec.feedback import ObjectFeedback
from fmnist.adapters.parquet.storage import S3Settings
from fmnist.adapters.ray import feedback as module
from fmnist.adapters.ray.cluster import join_cluster
from fmnist.adapters.ray.feedback import RayFeedback
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.adapters.ray.shared_actor import SharedActor
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.traffic.feedback import RealizedAccuracy, TrueClass
from fmnist.testing.contracts.feedback import FeedbackContract, answer


@pytest.fixture(scope="module", autouse=True)
def joined() -> Iterator[None]:
    join_cluster(ClusterSettings())
    yield
    ray.shutdown()


def replica(name: str, place: Path) -> RayFeedback:
    return RayFeedback(name, str(place), S3Settings())


class TestRayFeedback(FeedbackContract):
    @pytest.fixture
    def feedback(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RayFeedback:
        monkeypatch.setattr(module, "SharedActor", lambda *args: SharedActor(*args, 10))
        return replica(uuid.uuid4().hex, tmp_path)


def test_of_labels_of_two_replicas_at_once_the_first_counts(tmp_path: Path) -> None:
    name = uuid.uuid4().hex
    both = [replica(name, tmp_path) for _ in range(2)]
    both[0].add([answer("a", *[3] * 20)])
    with ThreadPoolExecutor(2) as threads:
        told = [(which, TrueClass("a", index, 3 + which)) for index in range(20) for which in range(2)]
        accepted = list(threads.map(lambda each: both[each[0]].label([each[1]], 5).accepted, told))
    assert sum(accepted) == 20
    right = sum(count for count, (which, _) in zip(accepted, told, strict=True) if which == 0)
    assert [each.accuracy(answer("a").model_uri) for each in both] == [RealizedAccuracy.of(20, right)] * 2


def test_feedback_outlives_its_cluster(tmp_path: Path) -> None:
    first = replica(uuid.uuid4().hex, tmp_path)
    first.add([answer("a", 3)])
    first.label([TrueClass("a", 0, 3)], 5)
    of_another_cluster = replica(uuid.uuid4().hex, tmp_path)
    assert of_another_cluster.accuracy(answer("a").model_uri) == RealizedAccuracy.of(1, 1)
    assert ObjectFeedback(str(tmp_path), S3Settings()).accuracy(answer("a").model_uri) == RealizedAccuracy.of(1, 1)


def test_place_that_is_down_is_reported(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("in the way")
    with pytest.raises(StoreUnavailable, match="out of reach"):
        replica(uuid.uuid4().hex, place).add([answer("a", 1)])

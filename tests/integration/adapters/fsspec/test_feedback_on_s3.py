"""Feedback in a real S3 store: the same contract, what a restart finds, and what a wrong setting says."""

from dataclasses import replace

import pytest

from fmnist.adapters.fsspec import feedback as module
from fmnist.adapters.fsspec.feedback import ObjectFeedback
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.traffic.feedback import Labelling, RealizedAccuracy, TrueClass
from fmnist.testing.contracts.feedback import FeedbackContract, answer
from stack.services import ObjectStore
from tests.integration.services import s3_settings

URI = answer("a").model_uri


class TestObjectFeedbackInS3(FeedbackContract):
    @pytest.fixture
    def feedback(self, object_store: ObjectStore, bucket: str) -> ObjectFeedback:
        return ObjectFeedback(f"s3://{bucket}/some/feedback/", s3_settings(object_store), 10)


@pytest.mark.parametrize("folder", ["", "/", "/some/feed[back]*"])
def test_restart_loses_nothing_and_old_objects_are_replaced(
    object_store: ObjectStore, bucket: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_OBJECTS", 4)

    def opened() -> ObjectFeedback:
        return ObjectFeedback(f"s3://{bucket}{folder}", s3_settings(object_store))

    first = opened()
    for number in range(8):
        first.add([answer(str(number), number)])
    assert first.label([TrueClass("0", 0, 0)], 5) == Labelling(accepted=1)
    second = opened()
    given = [TrueClass("0", 0, 7), TrueClass("7", 0, 8)]
    assert second.label(given, 6) == Labelling(accepted=1, ignored=1)
    assert first.accuracy(URI) == second.accuracy(URI) == RealizedAccuracy.of(2, 1)
    assert len(object_store.client().list_objects_v2(Bucket=bucket)["Contents"]) <= 5


def test_missing_bucket_is_named_with_advice(object_store: ObjectStore) -> None:
    feedback = ObjectFeedback("s3://nowhere-1/a", s3_settings(object_store))
    with pytest.raises(
        StoreUnavailable,
        match=r"the feedback at s3://nowhere-1/a is out of reach.*check that the store runs|create the bucket",
    ):
        feedback.add([answer("a", 1)])


def test_wrong_key_is_told_apart(object_store: ObjectStore, bucket: str) -> None:
    wrong = replace(s3_settings(object_store), secret_access_key="wrong")  # noqa: S106 - it is wrong
    with pytest.raises(StoreUnavailable, match="check AWS_ACCESS_KEY_ID"):
        ObjectFeedback(f"s3://{bucket}/a", wrong).add([answer("a", 1)])


def test_store_that_is_down_is_reported(object_store: ObjectStore, bucket: str) -> None:
    away = replace(s3_settings(object_store), endpoint_url="http://127.0.0.1:9")
    with pytest.raises(StoreUnavailable, match="check that the store runs"):
        ObjectFeedback(f"s3://{bucket}/a", away).add([answer("a", 1)])

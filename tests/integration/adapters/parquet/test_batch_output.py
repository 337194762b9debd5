"""Answers in a real S3 store: the same contract, and what a wrong setting says."""

from dataclasses import replace

import pytest

from fmnist.adapters.parquet.batch_output import ParquetBatchOutput
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.ports.batch_output import BatchOutput
from fmnist.testing.contracts.batch_output import BatchOutputContract
from stack.services import ObjectStore
from tests.integration.services import s3_settings


class TestBatchOutputInS3(BatchOutputContract):
    @pytest.fixture
    def output(self, object_store: ObjectStore, bucket: str) -> ParquetBatchOutput:
        return ParquetBatchOutput(f"s3://{bucket}/some/answers/", s3_settings(object_store))

    def put(self, output: BatchOutput, name: str, content: bytes) -> None:
        assert isinstance(output, ParquetBatchOutput)
        output._store().pipe_file(f"{output.place}/{name}", content)

    def remove(self, output: BatchOutput, name: str) -> None:
        assert isinstance(output, ParquetBatchOutput)
        output._store().rm_file(f"{output.place}/{name}")

    def names(self, output: BatchOutput) -> set[str]:
        assert isinstance(output, ParquetBatchOutput)
        root = output.place.removeprefix("s3://")
        return {path.removeprefix(f"{root}/") for path in output._store().find(root)}


def test_missing_bucket_is_named_with_advice(object_store: ObjectStore) -> None:
    with pytest.raises(StoreUnavailable, match=r"the output s3://nowhere-1/a cannot be .*create the bucket"):
        ParquetBatchOutput("s3://nowhere-1/a", s3_settings(object_store)).manifest()


def test_wrong_key_is_told_apart(object_store: ObjectStore, bucket: str) -> None:
    wrong = replace(s3_settings(object_store), secret_access_key="wrong")  # noqa: S106 - it is wrong
    with pytest.raises(StoreUnavailable, match="check AWS_ACCESS_KEY_ID"):
        ParquetBatchOutput(f"s3://{bucket}/a", wrong).manifest()

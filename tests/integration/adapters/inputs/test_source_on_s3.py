"""Input files in S3: the port's contract on a real store, kinds that need to seek, and errors of a store."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from fmnist.adapters.inputs.source import FileImageSource
from fmnist.adapters.pillow.files import encode_picture
from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.domain.model.errors import InvalidImages, StoreUnavailable
from fmnist.ports.image_source import ImageSource
from fmnist.testing.contracts.image_source import ImageSourceContract
from fmnist.testing.data import toy_images
from stack.services import ObjectStore
from tests.integration.services import s3_settings
from tests.unit.adapters.inputs.files import KINDS, parquet

DATA = toy_images(1200)


@pytest.fixture
def source(object_store: ObjectStore) -> FileImageSource:
    return FileImageSource(s3_settings(object_store))


@pytest.fixture
def folder(bucket: str) -> str:
    return f"s3://{bucket}/in"


def put(store: ObjectStore, uri: str, content: bytes) -> None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    store.client().put_object(Bucket=bucket, Key=key, Body=content)


class TestFileImageSourceOnS3(ImageSourceContract):
    @pytest.fixture(autouse=True)
    def store_of_the_test(self, object_store: ObjectStore) -> None:
        self._store = object_store

    @pytest.fixture
    def source(self, object_store: ObjectStore) -> FileImageSource:
        return FileImageSource(s3_settings(object_store))

    @pytest.fixture
    def folder(self, bucket: str) -> str:
        return f"s3://{bucket}/in"

    def put(self, source: ImageSource, uri: str, data: LabeledImages, bad: Sequence[int] = ()) -> None:
        put(self._store, uri, parquet(data, bad, id=np.arange(len(data))))


@pytest.mark.parametrize("kind", ["csv", "idx", "packed idx", "hugging face"])
def test_every_kind_is_read(object_store: ObjectStore, source: FileImageSource, folder: str, kind: str) -> None:
    for end, content in KINDS[kind](DATA).items():
        put(object_store, f"{folder}/data{end}", content)
    batches = [batch for part in source.parts([f"{folder}/*"]) for batch in source.read(part)]
    np.testing.assert_array_equal(np.concatenate([batch.images for batch in batches]), DATA.images)
    np.testing.assert_array_equal(np.concatenate([batch.labels for batch in batches]), DATA.labels)


def test_bad_pictures_are_unreadable_rows(object_store: ObjectStore, source: FileImageSource, folder: str) -> None:
    for row, image in enumerate(DATA.images[:20]):
        put(object_store, f"{folder}/{row:02}.png", encode_picture(image, "PNG"))
    put(object_store, f"{folder}/03.png", b"no picture")
    put(object_store, f"{folder}/04.png", b"")
    (part,) = source.parts([folder])
    object_store.client().delete_object(Bucket=folder.split("/")[2], Key="in/17.png")
    (batch,) = source.read(part)
    assert [row.path for row in batch.unreadable] == ["03.png", "04.png", "17.png"]
    assert (part.name, len(batch), part.rows) == ("in-00000", 17, 20)


def test_a_missing_bucket_is_bad_input(source: FileImageSource) -> None:
    with pytest.raises(InvalidImages, match="s3://no-such-bucket/in: No such file"):
        source.parts(["s3://no-such-bucket/in"])


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"secret_access_key": "guessed"}, "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"),
        ({"endpoint_url": "http://127.0.0.1:9"}, "Could not connect .*check that the store runs"),
        ({"endpoint_url": "localhost:9000"}, "Invalid endpoint"),
    ],
)
def test_a_store_that_does_not_answer_is_named(
    source: FileImageSource, folder: str, wrong: dict[str, str], complaint: str
) -> None:
    with pytest.raises(StoreUnavailable, match=f"{folder} cannot be read .*{complaint}"):
        FileImageSource(dataclasses.replace(source.s3, **wrong)).parts([folder])

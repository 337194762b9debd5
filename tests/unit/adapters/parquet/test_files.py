"""A split is read only if its bytes match the expected hash. Errors name split and URI."""

import dataclasses
import hashlib
import pickle
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from fmnist.adapters.parquet import storage
from fmnist.adapters.parquet.files import SplitReader, write_split
from fmnist.adapters.parquet.schema import SCHEMA
from fmnist.adapters.parquet.storage import S3Settings, Storage
from fmnist.domain.model.data.dataset import SplitFile
from fmnist.domain.model.errors import CorruptData, StoreUnavailable
from fmnist.testing.data import toy_images
from tests.endless import endless_server

_DATA = toy_images(50)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "made/on/the/way/train.parquet"
    write_split(_DATA, path)
    return path


def _file(path: Path) -> SplitFile:
    return SplitFile("train", str(path), hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest())


def test_a_split_comes_back_as_it_was_written(path: Path) -> None:
    found = SplitReader()([_file(path)])
    np.testing.assert_array_equal(found.images, _DATA.images)
    np.testing.assert_array_equal(found.labels, _DATA.labels)
    assert SplitReader().table(_file(path)).schema.equals(SCHEMA, check_metadata=True)


def test_files_come_back_as_one_array_in_their_order_whatever_their_size(tmp_path: Path) -> None:
    parts, files = [toy_images(size, seed) for seed, size in enumerate((3, 50, 1))], []
    for number, part in enumerate(parts):
        write_split(part, path := tmp_path / f"{number}.parquet")
        files.append(_file(path))
    for order in ((0, 1, 2), (2, 0, 1)):
        found = SplitReader()([files[place] for place in order])
        np.testing.assert_array_equal(found.images, np.concatenate([parts[place].images for place in order]))
        np.testing.assert_array_equal(found.labels, np.concatenate([parts[place].labels for place in order]))
        assert found.images.flags.c_contiguous


def test_a_damaged_file_among_several_is_named(path: Path, tmp_path: Path) -> None:
    write_split(toy_images(5), other := tmp_path / "other.parquet")
    files = [_file(path), _file(other)]
    other.write_bytes(other.read_bytes()[:-1])
    with pytest.raises(CorruptData, match=rf"'train' at {other} is damaged"):
        SplitReader()(files)


@pytest.mark.parametrize("name", ["a::b", "a*[b]?", "a#b%2Fc", "~", "a b, {c}", "file:a"])
def test_a_split_is_read_from_a_directory_with_any_name(path: Path, tmp_path: Path, name: str) -> None:
    file = _file(path)
    (tmp_path / name).mkdir()
    moved = path.rename(tmp_path / name / path.name)
    assert len(SplitReader()([dataclasses.replace(file, uri=str(moved))])) == len(_DATA)


def test_equal_rows_give_equal_bytes(path: Path, tmp_path: Path) -> None:
    write_split(toy_images(50), tmp_path / "again.parquet")
    assert (tmp_path / "again.parquet").read_bytes() == path.read_bytes()


def test_a_file_is_compressed_with_zstd_and_names_its_layout(path: Path) -> None:
    file = pq.ParquetFile(path)
    assert {file.metadata.row_group(0).column(index).compression for index in range(2)} == {"ZSTD"}
    assert file.schema_arrow.metadata[b"image.shape"] == b"[28, 28]"


def test_a_file_url_works_like_a_path(path: Path) -> None:
    file = _file(path)
    assert len(SplitReader()([SplitFile("train", path.as_uri(), file.md5)])) == len(_DATA)


def test_the_reader_can_be_pickled(path: Path) -> None:
    reader = SplitReader(Storage(S3Settings(endpoint_url="http://127.0.0.1:9000", access_key_id="key")))
    travelled = pickle.loads(pickle.dumps(reader))
    assert travelled == reader
    assert len(travelled([_file(path)])) == len(_DATA)


def test_repr_does_not_show_the_secret() -> None:
    settings = S3Settings("http://127.0.0.1:9000", "key", "swordfish")
    assert "swordfish" not in repr(SplitReader(Storage(settings)))


@pytest.mark.parametrize("place", [0, 100, -1])
def test_a_flipped_bit_anywhere_is_found(path: Path, place: int) -> None:
    file = _file(path)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptData, match=rf"'train' at {path} is damaged: .* expected {file.md5} by the registry"):
        SplitReader()([file])


def test_a_truncated_file_is_damaged(path: Path) -> None:
    file = _file(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CorruptData, match=r"'train' at .* is damaged"):
        SplitReader()([file])


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_file_that_is_longer_than_expected_is_not_read_to_its_end(tmp_path: Path, scheme: str) -> None:
    endless = tmp_path / "train.parquet"
    with endless.open("wb") as file:
        file.truncate(2**42)  # sparse, and larger than the memory
    promised = SplitFile("train", f"{scheme}{endless}", "0" * 32, size=1000)
    with pytest.raises(CorruptData, match=r"'train' at .* is damaged: it has more than 1000 bytes"):
        SplitReader()([promised])


def test_a_file_without_a_recorded_size_has_a_size_limit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(SplitReader()([_file(path)])) == len(_DATA)
    monkeypatch.setattr(storage, "MOST_BYTES", 100)
    with pytest.raises(CorruptData, match=r"'train' at .* is damaged: it has more than 100 bytes"):
        SplitReader()([_file(path)])


@pytest.mark.parametrize("kind", ["s3", "http"])
@pytest.mark.parametrize("chunked", [True, False])
def test_an_endless_answer_of_a_store_is_refused(kind: str, chunked: bool) -> None:
    with endless_server(chunked=chunked) as server:
        uri = f"http://127.0.0.1:{server.port}/train" if kind == "http" else "s3://bucket/train"
        reader = SplitReader(Storage(S3Settings(f"http://127.0.0.1:{server.port}", "key", "secret")))
        with pytest.raises(CorruptData, match=r"'train' at .* is damaged: it has more than 1000 bytes"):
            reader([SplitFile("train", uri, "0" * 32, size=1000)])
    assert server.sent < 2**24


@pytest.mark.parametrize("status", ["500 Broken", "403 No"])
def test_a_web_server_that_refuses_is_unavailable(status: str) -> None:
    with (
        endless_server(status) as server,
        pytest.raises(StoreUnavailable, match=r"'train' at http://.* cannot be read"),
    ):
        SplitReader()([SplitFile("train", f"http://127.0.0.1:{server.port}/train", "0" * 32, size=1000)])


def test_an_absent_file_and_a_damaged_one_get_different_errors(tmp_path: Path) -> None:
    with pytest.raises(CorruptData, match=rf"'val' is not at {tmp_path}/absent: .*dvc push"):
        SplitReader()([SplitFile("val", str(tmp_path / "absent"), "0" * 32)])


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all", b"PAR1" + b"\x00" * 100 + b"PAR1"])
def test_bytes_with_the_right_hash_that_are_not_parquet_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "train.parquet"
    path.write_bytes(content)
    with pytest.raises(CorruptData, match=rf"'train' at {path} is not a readable Parquet file"):
        SplitReader()([_file(path)])


def test_error_for_other_columns_names_split_and_path(path: Path) -> None:
    pq.write_table(pq.read_table(path).drop_columns(["label"]), path)
    with pytest.raises(CorruptData, match=rf"'train' at {path}: no column 'label'"):
        SplitReader()([_file(path)])


def test_a_place_that_cannot_be_read_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=rf"'train' at {tmp_path} cannot be read"):
        SplitReader()([SplitFile("train", str(tmp_path), "0" * 32)])


def test_a_uri_of_an_unknown_kind_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable, match=r"'train' at nonsense://x is in a place that cannot be read"):
        SplitReader()([SplitFile("train", "nonsense://x", "0" * 32)])


def test_storage_without_the_packages_of_s3_still_knows_the_errors_of_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("aiohttp", "botocore.exceptions"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            assert storage.unavailable() == (OSError,)

"""Input files on a disk: the port's contract, every kind, and each way in which a file or row can be bad."""

import errno
import gzip
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmnist.adapters.inputs.source import FileImageSource
from fmnist.adapters.pillow.files import encode_picture
from fmnist.domain.model.data import image_rows
from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.domain.model.data.image_rows import ImageRows
from fmnist.domain.model.errors import InvalidImages
from fmnist.ports.image_source import ImageSource
from fmnist.testing.contracts.image_source import ImageSourceContract
from fmnist.testing.data import toy_images
from tests.unit.adapters.inputs.files import KINDS, csv, hugging_face, idx, npy, parquet, parquet_of_1, stored

SOURCE = FileImageSource()
DATA = toy_images(1100)
FEW, ONE = DATA.rows(0, 12), DATA.rows(0, 1)


class TestFileImageSource(ImageSourceContract):
    @pytest.fixture
    def source(self) -> FileImageSource:
        return SOURCE

    @pytest.fixture
    def folder(self, tmp_path: Path) -> str:
        return str(tmp_path)

    def put(self, source: ImageSource, uri: str, data: LabeledImages, bad: Sequence[int] = ()) -> None:
        write(Path(uri), parquet(data, bad, id=np.arange(len(data))))


def write(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return str(path)


def rows_of(*inputs: str | Path) -> list[ImageRows]:
    return [rows for part in SOURCE.parts([str(text) for text in inputs]) for rows in SOURCE.read(part)]


def images_of(*inputs: str | Path) -> Any:
    return np.concatenate([rows.images for rows in rows_of(*inputs)])


def reasons(path: str | Path) -> dict[int, str]:
    return {row.row: row.reason for rows in rows_of(path) for row in rows.unreadable}


def refusal(path: str | Path) -> str:
    with pytest.raises(InvalidImages) as caught:
        rows_of(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_the_same_images_and_labels(tmp_path: Path, kind: str) -> None:
    for end, content in KINDS[kind](DATA).items():
        write(tmp_path / f"data{end}", content)
    rows = rows_of(tmp_path)
    np.testing.assert_array_equal(np.concatenate([some.images for some in rows]), DATA.images)
    np.testing.assert_array_equal(np.concatenate([some.labels for some in rows]), DATA.labels)
    assert not any(some.unreadable for some in rows)


@pytest.mark.parametrize("shape", [(1100, 28, 28), (1100, 784), (1100, 1, 28, 28)])
@pytest.mark.parametrize("dtype", ["u1", "i8", ">u2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_is_read_in_any_layout(tmp_path: Path, shape: tuple[int, ...], dtype: str, order: Any) -> None:
    path = write(tmp_path / "batch.npy", npy(np.asarray(DATA.images.reshape(shape).astype(dtype), order=order)))
    np.testing.assert_array_equal(images_of(path), DATA.images)
    assert SOURCE.parts([path])[0].rows == 1100


@pytest.mark.parametrize("shape", [(28, 28), (784,)])
def test_an_array_may_be_one_image(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(
        images_of(write(tmp_path / "one.npy", npy(FEW.images[0].reshape(shape)))), FEW.images[:1]
    )


def test_pictures_of_a_folder_are_cut_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fmnist.adapters.inputs.source.MOST_PICTURES", 5)
    for row, image in enumerate(FEW.images):
        write(tmp_path / f"pictures/{row % 2}/{row:02}.png", encode_picture(image, "PNG"))
    write(tmp_path / "pictures/.hidden.png", b"")
    write(tmp_path / "pictures/0/more.parquet", parquet(FEW))
    table, *parts = sorted(SOURCE.parts([str(tmp_path / "pictures")]), key=lambda part: bool(part.pictures))
    assert table.name == "0/more.parquet"
    assert [(part.name, part.rows) for part in parts] == [
        ("pictures-00000", 5),
        ("pictures-00001", 5),
        ("pictures-00002", 2),
    ]
    rows = [rows for part in parts for rows in SOURCE.read(part)]
    order = [*range(0, 12, 2), *range(1, 12, 2)]
    assert [path for some in rows for path in some.paths or ()] == [f"{row % 2}/{row:02}.png" for row in order]
    np.testing.assert_array_equal(np.concatenate([some.images for some in rows]), FEW.images[order])
    assert [some.rows.tolist() for some in rows] == [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [0, 1]]


def test_a_picture_that_changes_changes_the_fingerprint(tmp_path: Path) -> None:
    for row in range(3):
        write(tmp_path / f"{row}.png", encode_picture(FEW.images[row], "PNG"))
    (before,) = SOURCE.parts([str(tmp_path)])
    write(tmp_path / "1.png", encode_picture(FEW.images[5], "PNG"))
    assert SOURCE.parts([str(tmp_path)])[0].fingerprint != before.fingerprint


def test_a_labels_file_that_changes_changes_the_fingerprint(tmp_path: Path) -> None:
    images = write(tmp_path / "a-images-idx3-ubyte", idx(FEW.images))
    (before,) = SOURCE.parts([images])
    write(tmp_path / "a-labels-idx1-ubyte", idx(FEW.labels))
    assert SOURCE.parts([images])[0].fingerprint != before.fingerprint


def test_names_are_those_below_the_common_root(tmp_path: Path) -> None:
    for name in ("a/x.parquet", "b/x.parquet", "b/c/y[1].parquet"):
        write(tmp_path / name, parquet(FEW))

    def names(*inputs: str) -> list[str]:
        return [part.name for part in SOURCE.parts([str(tmp_path / text) for text in inputs])]

    assert names("b/x.parquet", "a/x.parquet") == ["b/x.parquet", "a/x.parquet"]
    assert names("b") == ["c/y[1].parquet", "x.parquet"]
    assert names("b/x.parquet") == ["x.parquet"]
    assert names("b/c/y[1].parquet") == ["y[1].parquet"]
    assert names("*/x.parquet") == ["a/x.parquet", "b/x.parquet"]
    assert names("**/y*.parquet") == ["b/c/y[1].parquet"]
    assert names("a/../b/x.parquet", "a") == ["b/x.parquet", "a/x.parquet"]


def test_a_folder_named_like_labels_keeps_its_files(tmp_path: Path) -> None:
    np.testing.assert_array_equal(images_of(write(tmp_path / "labels-idx1/a.parquet", parquet(FEW))), FEW.images)


def test_links_are_followed_once(tmp_path: Path) -> None:
    write(tmp_path / "blobs/1", parquet(FEW))
    (tmp_path / "in").mkdir()
    (tmp_path / "in/data.parquet").symlink_to("../blobs/1")
    (tmp_path / "in/loop").symlink_to(".")
    assert [part.name for part in SOURCE.parts([str(tmp_path / "in")])] == ["data.parquet"]


def test_hugging_face_paths_and_further_columns_come_along(tmp_path: Path) -> None:
    more = {"id": [f"x{row}" for row in range(12)], "day": pa.array(range(12), pa.date32()), "none": [None] * 12}
    (rows,) = rows_of(write(tmp_path / "a.parquet", hugging_face(FEW, **more)))
    assert rows.paths == tuple(f"{row}.png" for row in range(12))
    assert rows.ids["id"][:2] == ("x0", "x1")
    assert rows.ids["day"][1] == "1970-01-02"
    assert rows.ids["none"] == (None,) * 12
    (rows,) = rows_of(write(tmp_path / "a.csv", csv(FEW, id=more["id"])))
    assert rows.ids == {"id": tuple(more["id"])}
    assert rows.paths is None


def test_large_numbers_of_a_column_keep_their_type(tmp_path: Path) -> None:
    hashes = pa.array([1, None, 2**64 - 1, *range(9)], pa.uint64())
    (rows,) = rows_of(write(tmp_path / "a.parquet", parquet(FEW, hash=hashes)))
    assert pa.array(rows.ids["hash"]) == hashes


@pytest.mark.parametrize(
    "column",
    [
        pa.array([2**60] * 12, pa.timestamp("ms")),
        pa.array([b"\xff"] * 12).view(pa.string()),
    ],
)
def test_a_column_without_python_values_is_refused_by_name(tmp_path: Path, column: pa.Array) -> None:
    path = write(tmp_path / "a.parquet", parquet(FEW, extra=column))
    assert refusal(path).startswith("column 'extra' cannot be read: ")


@pytest.mark.parametrize("name", ["image", "label", "extra"])
def test_columns_of_one_name_are_refused(tmp_path: Path, name: str) -> None:
    images = pa.array([image.tobytes() for image in FEW.images], pa.binary(784))
    columns = [("image", images), ("label", pa.array(FEW.labels)), (name, images), ("extra", images)]
    names, arrays = zip(*columns, strict=True)
    path = write(tmp_path / "a.parquet", stored(pa.table(list(arrays), list(names))))
    assert refusal(path) == f"several columns {name!r}, expected different names"


def test_a_file_without_labels_has_none(tmp_path: Path) -> None:
    text = csv(FEW).replace(b"label,", b"number,", 1)
    (rows,) = rows_of(write(tmp_path / "a.csv", text))
    assert rows.labels is None
    assert rows.ids["number"][3] == "3"
    (rows,) = rows_of(write(tmp_path / "a-images-idx3-ubyte", idx(FEW.images)))
    assert rows.labels is None


def test_bad_lines_of_a_csv_file_are_unreadable_rows(tmp_path: Path) -> None:
    lines = csv(FEW).splitlines()
    lines[1] = lines[1].replace(b",", b",256,", 1).rpartition(b",")[0]
    lines[2] = lines[2].rpartition(b",")[0] + b",1.5"
    lines[3] += b",7"
    lines[4] = b"nonsense"
    lines[5] = b"10" + lines[5][1:]
    lines[6] = lines[6].rpartition(b",")[0] + b","
    lines[7] = lines[7].replace(b",", b", ")
    lines.insert(8, b"")
    path = write(tmp_path / "a.csv", b"\n".join(lines))
    assert reasons(path) == {
        0: "pixel1 is '256': expected an integer 0-255",
        1: "pixel784 is '1.5': expected an integer 0-255",
        2: "786 values, expected 785",
        3: "1 values, expected 785",
        4: "label '10': expected 0-9",
        5: "pixel784 is '': expected an integer 0-255",
    }
    (rows,) = rows_of(path)
    assert rows.rows.tolist() == list(range(6, 12))
    np.testing.assert_array_equal(rows.images, FEW.images[6:])


@pytest.mark.parametrize("bad", [b"", b",x"])
def test_one_rule_for_the_numbers_of_a_csv_file_whatever_stands_beside_them(tmp_path: Path, bad: bytes) -> None:
    header, first, *others = csv(FEW, id=[f"{row}" for row in range(12)]).splitlines()
    label, *pixels, _ = first.split(b",")
    zeros = b",".join([b"0" + label, *(pixel.rjust(3, b"0") for pixel in pixels), b"0"])
    spaces = b",".join([b" " + label + b" ", *(b" " + pixel + b" " for pixel in pixels), b"0"])
    quotes = b",".join(b'"' + field + b'"' for field in [label, *pixels, b'a, ""b""'])
    path = write(tmp_path / "a.csv", b"\n".join([header, zeros, spaces, quotes, others[0] + bad]))
    (rows,) = rows_of(path)
    np.testing.assert_array_equal(rows.images[:3], FEW.images[[0, 0, 0]])
    assert rows.labels is not None
    assert rows.labels[:3].tolist() == [int(label)] * 3
    assert rows.ids["id"][:3] == ("0", "0", 'a, "b"')
    assert len(rows.unreadable) == len(bad) // 2


def test_bad_values_of_parquet_are_unreadable_rows(tmp_path: Path) -> None:
    images = [image.tolist() for image in FEW.images]
    images[0] = None
    images[1] = images[1][1:]
    images[2][5] = images[2][5][1:]
    images[3][5][7] = None
    labels = [0, 1, 2, 3, 10, -1, None, 7, 8, 9, 0, 1]
    kind = pa.list_(pa.list_(pa.uint8()))
    path = write(tmp_path / "a.parquet", stored(pa.table({"image": pa.array(images, kind), "label": labels})))
    assert reasons(path) == {
        0: "image is null",
        1: "images[0] has 27 values, expected 784 or 28 rows of 28",
        2: "images[0][5] has 27 values, expected 28",
        3: "images[0][5][7] must be an integer 0-255, found null",
        4: "label 10: expected 0-9",
        5: "label -1: expected 0-9",
        6: "label is null",
    }
    np.testing.assert_array_equal(images_of(path), FEW.images[7:])


def test_bad_pictures_are_unreadable_rows(tmp_path: Path) -> None:
    whole = encode_picture(FEW.images[0], "PNG")
    values = [{"bytes": whole}, None, {"bytes": None}, {"bytes": b"no picture"}, {"bytes": whole[:100]}]
    path = write(tmp_path / "a.parquet", stored(pa.table({"image": values})))
    found = reasons(path)
    assert {row: reason[:17] for row, reason in found.items()} == {
        1: "image is null",
        2: "image.bytes is nu",
        3: "not a PNG or JPEG",
        4: "a damaged picture",
    }
    for row, value in enumerate([whole, b"", b"no picture", whole[:100]]):
        write(tmp_path / f"pictures/{row}.png", value)
    (part,) = SOURCE.parts([str(tmp_path / "pictures")])
    (tmp_path / "pictures/0.png").unlink()
    (rows,) = SOURCE.read(part)
    assert [(row.path, row.reason[:17]) for row in rows.unreadable] == [
        ("0.png", "No such file or d"),
        ("1.png", "not a PNG or JPEG"),
        ("2.png", "not a PNG or JPEG"),
        ("3.png", "a damaged picture"),
    ]


def test_pixels_out_of_range_are_unreadable_rows(tmp_path: Path) -> None:
    images = DATA.images.astype(np.int16)
    images[3, 4, 5], images[1050, 0, 0] = 256, -1
    path = write(tmp_path / "a.npy", npy(images))
    assert reasons(path) == {
        3: "images[0][4][5] must be an integer 0-255, found 256",
        1050: "images[0][0][0] must be an integer 0-255, found -1",
    }
    np.testing.assert_array_equal(images_of(path), np.delete(DATA.images, [3, 1050], axis=0))


def npy_that_claims(shape: str) -> bytes:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(784)


PACKED = gzip.compress(idx(FEW.images))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not a file of a known kind: expected Parquet, IDX, .npy, PNG, JPEG or CSV with the columns pixel1"),
        (b"hello", "not a file of a known kind"),
        (b"label,pixel1,pixel2\n1,2,3\n", "not a file of a known kind"),
        (csv(FEW).replace(b"pixel7,", b"pixel8,", 1), "not a file of a known kind"),
        (csv(FEW, label=range(12)), "several columns 'label', expected different names"),
        (csv(FEW) + b"1," * 60_000, "a line of at least 100000 bytes"),
        (idx(FEW.labels), "a file of labels: give the file of its images"),
        (idx(FEW.images)[:5000], "it ends after 6 of 12 rows"),
        (idx(FEW.images) + b"\0", "it goes on after its 12 rows"),
        (idx(FEW.images)[:9], "it starts with 00000803, expected an IDX header 00000803 of 16 bytes"),
        (idx(FEW.images[:, 1:]), "images of 27x28 pixels, expected 28x28"),
        (idx(np.zeros((2**31 - 1, 0, 0))), "images of 0x0 pixels, expected 28x28"),
        (PACKED[:-20], "not a complete gzip file"),
        (PACKED[:900] + b"\xff" * 50 + PACKED[950:], "not a complete gzip file"),
        (gzip.compress(b"hello", mtime=0), "it starts with 68656c6c, expected an IDX header"),
        (npy(np.array([{}], dtype=object)), "images must be integers 0-255, found dtype object"),
        (npy(np.zeros((2, 28, 28))), "images must be integers 0-255, found dtype float64"),
        (npy(np.zeros((2, 27, 28), np.uint8)), "images of shape (2, 27, 28): expected one of"),
        (npy(FEW.images)[:5000], "it ends after 6 of 12 rows"),
        (npy(FEW.images)[:50], "not a readable .npy file of numbers"),
        (npy_that_claims("(10**9, 28, 28)"), "not a readable .npy file of numbers"),
        (npy_that_claims("(1000000000, 28, 28)"), "it ends after 1 of 1000000000 rows"),
        (npy_that_claims("(-1, 28, 28)"), "not a readable .npy file of numbers"),
        (npy_that_claims("(" + "-" * 9000 + "1,)"), "not a readable .npy file of numbers"),
        (npy_that_claims("-" * 3000 + "1"), "not a readable .npy file of numbers"),
        (npy_that_claims("((28, 28)"), "not a readable .npy file of numbers"),
        (parquet(FEW)[:-20], "Parquet magic bytes not found"),
        (stored(pa.table({"picture": [1]})), "no column 'image': found picture"),
        (stored(pa.table({"image": [1]})), "column 'image' is int64, expected fixed_size_binary[784] or list<list"),
        (stored(pa.table({"image": [{"path": "x"}]})), "column 'image' is struct<path: string>, expected"),
        (parquet(FEW)[:4] + b"\xff" * 50 + parquet(FEW)[54:], ""),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path, content: bytes, complaint: str) -> None:
    assert refusal(write(tmp_path / "upload", content)).startswith(complaint)


def test_labels_must_be_whole_numbers_as_many_as_images(tmp_path: Path) -> None:
    labels = pa.array(["Shirt"])
    path = write(tmp_path / "a.parquet", stored(pa.table({"image": [{"bytes": b""}], "label": labels})))
    assert refusal(path) == "column 'label' is string, expected integers"
    path = write(tmp_path / "a-images-idx3-ubyte", idx(FEW.images))
    write(tmp_path / "a-labels-idx1-ubyte", idx(FEW.labels[1:]))
    assert refusal(path) == "12 images, but 11 labels in the file beside it"


def test_an_array_in_fortran_order_has_a_size_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fmnist.adapters.inputs.arrays._MOST_BYTES_AT_ONCE", 9000)
    path = write(tmp_path / "a.npy", npy(np.asfortranarray(FEW.images)))
    assert refusal(path) == "an array of 9408 bytes in Fortran order, expected at most 9000: save it in C order"


def test_a_path_that_is_not_a_file_is_refused_by_name(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent.png") == "No such file or directory"
    assert refusal(tmp_path / "*.png") == "no file is there"
    (tmp_path / "empty").mkdir()
    assert refusal(tmp_path / "empty") == "no file is there"
    assert refusal("x" * 300) == "File name too long"
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe") == "not a regular file"
    assert refusal(tmp_path) == f"{tmp_path}/pipe: not a regular file"
    assert refusal("gs://bucket/file") == "expected a path or an s3:// address"
    assert refusal("s3://") == refusal("s3:///file") == "no bucket is named: expected s3://BUCKET/PATH"
    with pytest.raises(InvalidImages, match="the input '' is empty"):
        rows_of("")
    with pytest.raises(InvalidImages, match="is not a path: embedded null byte"):
        rows_of("a\0b")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/empty/\xff.png")).touch()
    with pytest.raises(InvalidImages, match="is not valid Unicode"):
        rows_of(tmp_path / "empty")


def test_too_large_picture_or_device_is_refused(tmp_path: Path) -> None:
    huge = write(tmp_path / "huge.png", encode_picture(FEW.images[0], "PNG"))
    os.truncate(huge, 10**9)
    assert reasons(huge) == {0: "longer than 256000000 bytes"}
    for device in ("/dev/zero", "/dev/null"):
        assert refusal(device) == "not a regular file"


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from([npy(FEW.images[0]), idx(FEW.images[:1]), parquet(FEW.rows(0, 1)), csv(FEW.rows(0, 1))]), st.data()
)
def test_a_damaged_file_is_read_or_refused(content: bytes, draw: st.DataObject) -> None:
    position = draw.draw(st.integers(0, len(content)))
    damage = draw.draw(st.binary(min_size=1, max_size=6))
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder, "damaged"), content[:position] + damage + content[position + len(damage) :])
        try:
            rows = rows_of(path)
        except InvalidImages:
            assert refusal(path) is not None
        else:
            assert all(some.images.dtype == np.uint8 and some.images.shape[1:] == (28, 28) for some in rows)


def test_a_disk_that_fails_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.parquet", parquet(FEW))

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("fmnist.adapters.parquet.image_rows.pq.ParquetFile", fail)
    assert refusal(path) == "Input/output error"


def test_a_file_larger_than_a_batch_has_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.parquet", parquet_of_1(DATA))
    assert [len(rows) for rows in rows_of(path)] == [1000, 100]
    assert image_rows.MOST_ROWS == 1000


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_rows_are_the_same_however_they_are_cut_into_files_and_kinds(draw: st.DataObject) -> None:
    size = draw.draw(st.integers(1, 60), "rows")
    start = draw.draw(st.integers(0, len(DATA) - size), "start")
    data = DATA.rows(start, start + size)
    cuts = sorted(draw.draw(st.sets(st.integers(1, size - 1), max_size=6), "cuts")) if size > 1 else []
    with tempfile.TemporaryDirectory() as folder:
        for number, (low, high) in enumerate(zip([0, *cuts], [*cuts, size], strict=True)):
            kind = draw.draw(st.sampled_from(sorted(KINDS)), "kind")
            for end, content in KINDS[kind](data.rows(low, high)).items():
                write(Path(folder, f"{number}{end}"), content)
        rows = rows_of(folder)
    np.testing.assert_array_equal(np.concatenate([some.images for some in rows]), data.images)
    np.testing.assert_array_equal(np.concatenate([some.labels for some in rows]), data.labels)

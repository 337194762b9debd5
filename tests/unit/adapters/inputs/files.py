"""Writes images as files of every kind."""

import gzip
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fmnist.adapters.pillow.files import encode_picture
from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.domain.model.data.images import PIXELS


def parquet(data: LabeledImages, bad: Sequence[int] = (), **more: Any) -> bytes:
    images = [None if row in bad else image.tobytes() for row, image in enumerate(data.images)]
    return stored(pa.table({"image": pa.array(images, pa.binary(PIXELS)), "label": data.labels, **more}))


def parquet_of_1(data: LabeledImages, **more: Any) -> bytes:
    images = pa.array([image.tolist() for image in data.images], pa.list_(pa.list_(pa.uint8())))
    return stored(pa.table({"image": images, "label": data.labels.astype(np.int64), **more}))


def hugging_face(data: LabeledImages, **more: Any) -> bytes:
    images = [{"bytes": encode_picture(image, "PNG"), "path": f"{row}.png"} for row, image in enumerate(data.images)]
    return stored(pa.table({"image": images, "label": data.labels.astype(np.int64), **more}))


def stored(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, row_group_size=700)
    return file.getvalue()


def csv(data: LabeledImages, end: str = "\n", **more: Sequence[object]) -> bytes:
    names = ["label", *(f"pixel{number}" for number in range(1, PIXELS + 1)), *more]
    lines = [
        [label, *image.reshape(-1), *(values[row] for values in more.values())]
        for row, (image, label) in enumerate(zip(data.images, data.labels, strict=True))
    ]
    return "".join(",".join(map(str, line)) + end for line in [names, *lines]).encode()


def idx(array: np.ndarray[Any, Any]) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


KINDS: Mapping[str, Callable[[LabeledImages], dict[str, bytes]]] = {
    "parquet": lambda data: {".parquet": parquet(data)},
    "parquet of 1.x": lambda data: {".parquet": parquet_of_1(data)},
    "hugging face": lambda data: {".parquet": hugging_face(data)},
    "csv": lambda data: {".csv": csv(data)},
    "csv with another line end": lambda data: {".csv": csv(data, "\r\n")},
    "idx": lambda data: {"-images-idx3-ubyte": idx(data.images), "-labels-idx1-ubyte": idx(data.labels)},
    "packed idx": lambda data: {
        "-images-idx3-ubyte.gz": gzip.compress(idx(data.images)),
        "-labels-idx1-ubyte.gz": gzip.compress(idx(data.labels)),
    },
}
"""The kinds with labels: each makes the files of images by the end of their names."""

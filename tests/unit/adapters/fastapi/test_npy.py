"""`.npy` bodies are not trusted: their length, type and order are checked."""

from typing import Any

import numpy as np
import pytest

from tests.unit.adapters.fastapi.support import Service, greys, npy, npy_header

NPY = "application/x-npy"
PIXELS = greys(6).tobytes()
HEADER = "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 28, 28), }\n"


@pytest.mark.parametrize("shape", [(2, 28, 28), (2, 784), (2, 1, 28, 28)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_layout_is_read_in_either_order(service: Service, shape: tuple[int, ...], order: str) -> None:
    images = np.stack([greys(0)[0], greys(9)[0]])
    images[1, :, :20] = 0
    expected = service.post("/predict", images.tobytes(), "application/octet-stream").json()["predictions"]
    array = np.asarray(images.reshape(shape), order=order)  # type: ignore[call-overload]
    assert service.post("/predict", npy(array), NPY).json()["predictions"] == expected


@pytest.mark.parametrize("shape", [(28, 28), (784,)])
def test_a_single_image_needs_no_batch(service: Service, shape: tuple[int, ...]) -> None:
    assert service.post("/predict", npy(greys(6).reshape(shape)), NPY).status == 200


@pytest.mark.parametrize("version", [b"\x01\x00", b"\x02\x00", b"\x03\x00"])
@pytest.mark.parametrize(
    "header",
    [
        HEADER,
        '{"shape": (1,28,28), "fortran_order": False, "descr": "|u1"}',
        "{'descr':'<u1','fortran_order':False,'shape':(784,)}   ",
    ],
)
def test_npy_files_of_other_writers_are_read(service: Service, version: bytes, header: str) -> None:
    reply = service.post("/predict", npy_header(header, PIXELS, version), NPY)
    assert [prediction["class_id"] for prediction in reply.json()["predictions"]] == [6]


@pytest.mark.parametrize(
    "array",
    [
        greys(1).astype(np.int64),
        greys(1).astype(np.float32),
        greys(1).astype(np.int8),
        greys(1).astype(bool),
        np.array(["secret"]),
        np.zeros(784, [("secret", "u1")]),
    ],
)
def test_another_dtype_is_answered_with_what_to_do(service: Service, array: object) -> None:
    reply = service.post("/predict", npy(array), NPY)
    assert reply.problem == (422, "invalid_images")
    assert reply.detail == "the array must be of dtype uint8: convert it with images.astype('uint8')"


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exit, ("unpickled",))


def test_no_object_is_ever_unpickled(service: Service) -> None:
    pickled = npy(np.array([Bomb()], dtype=object), allow_pickle=True)
    assert service.post("/predict", pickled, NPY).problem == (422, "invalid_images")
    # Nor if its header names another dtype.
    assert service.post("/predict", pickled.replace(b"|O", b"u1"), NPY).status in (400, 422)


@pytest.mark.parametrize(
    ("shape", "found"),
    [("(2, 28, 28)", 784), ("(1000000, 28, 28)", 784), ("(999999999, 999999999)", 784), ("(27, 28)", 784)],
)
def test_a_header_with_a_wrong_length_is_refused(service: Service, shape: str, found: int) -> None:
    reply = service.post("/predict", npy_header(HEADER.replace("(1, 28, 28)", shape), PIXELS), NPY)
    assert reply.problem == (400, "malformed_npy")
    assert f"found {found}" in reply.detail


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"secret",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00\xff\xff" + HEADER.encode(),
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + HEADER.encode() + PIXELS,
        npy_header(HEADER, PIXELS, b"\x04\x00"),
        npy_header(HEADER, PIXELS)[:-1],
        npy_header(HEADER, PIXELS) + b"\x00",
        npy_header("x" * 70_000, PIXELS, b"\x02\x00"),
        npy_header("('descr': '|u1'" + "(" * 900, PIXELS),
        npy_header(HEADER.replace("(1, 28, 28)", "(-1, 28, 28)"), PIXELS),
        npy_header(HEADER.replace("(1, 28, 28)", "(1e3, 28, 28)"), PIXELS),
        npy_header(HEADER.replace("(1, 28, 28)", f"({'9' * 900},)"), PIXELS),
        npy_header(HEADER.replace("(1, 28, 28)", f"({'1, ' * 200})"), PIXELS),
        npy_header(HEADER.replace("(1, 28, 28)", f"({'1, ' * 70}784)"), PIXELS),
        npy_header(HEADER.replace("(1, 28, 28)", "(-28, -28)"), PIXELS),
        npy_header(HEADER.replace("(1, 28, 28)", "(True, 28, 28)"), PIXELS),
        npy_header(HEADER.replace("(1, 28, 28)", "(0, 1000000000, 1000000000, 1000000000)"), b""),
        npy_header(HEADER.replace("(1, 28, 28)", "__import__('os')._exit(1)"), PIXELS),
        npy_header(HEADER.replace("False", "None"), PIXELS),
        npy_header("{'descr': '|u1'}", PIXELS),
    ],
)
def test_a_body_that_is_not_npy_is_malformed(service: Service, body: bytes) -> None:
    reply = service.post("/predict", body, NPY)
    assert reply.problem == (400, "malformed_npy")
    assert "secret" not in reply.detail


@pytest.mark.parametrize(
    ("array", "detail"),
    [
        (np.zeros((0, 28, 28), np.uint8), "no images: expected at least one"),
        (np.zeros((0,), np.uint8), "images of shape (0,): expected one of"),
        (np.zeros((28, 28, 1), np.uint8), "images of shape (28, 28, 1): expected one of"),
        (np.uint8(7), "images of shape (): expected one of"),
        (np.zeros((1001, 784), np.uint8), "1001 images, expected at most 1000 in one request"),
    ],
)
def test_an_array_of_no_images_or_too_many_is_refused(service: Service, array: object, detail: str) -> None:
    reply = service.post("/predict", npy(array), NPY)
    assert reply.problem == (422, "invalid_images")
    assert reply.detail.startswith(detail)

"""A hostile request gets a 4xx in bounded time and memory, and never a 5xx."""

import io
import json
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.unit.adapters.fastapi.support import (
    INFER,
    JSON,
    GreyServing,
    Reply,
    Service,
    bodies,
    grey_model,
    greys,
    npy,
    npy_header,
    picture,
)

TYPES = (JSON, "application/octet-stream", "application/x-npy", "image/png", "image/jpeg")
LIMIT = 8 * 2**20
FLOATS = b'{"inputs": [{"name": "images", "datatype": "FP32", "shape": [1, 28, 28], "data": [['
WHOLE = [
    *bodies(greys(1, 2)).values(),
    (picture(greys(1)[0], "PNG"), "image/png"),
    (picture(greys(1)[0], "JPEG"), "image/jpeg"),
]


def processor_time(answer: Callable[[], Reply]) -> float:
    """CPU seconds of the second of two answers. Other load of the machine does not count."""
    answer()
    started = time.process_time()
    answer()
    return time.process_time() - started


def peak_megabytes(answer: Callable[[], Reply]) -> float:
    """Peak memory of an answer, above the memory before it."""
    tracemalloc.start()
    try:
        answer()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def longest_good(shared_serving: GreyServing) -> float:
    """CPU seconds of the largest allowed request: the largest picture."""
    shared_serving.restore(grey_model())
    service, largest = Service(shared_serving), picture(np.zeros((4000, 4000, 4), np.uint8), "PNG")

    def answer() -> Reply:
        reply = service.post("/predict", largest, "image/png")
        assert reply.status == 200
        return reply

    return processor_time(answer)


def png_bomb(side: int) -> bytes:
    """A small file of side x side black pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000 * 1001), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def png_with_text(megabytes: int) -> bytes:
    """A picture with a compressed comment that is far larger than the file."""
    content = b"Comment\x00\x00" + zlib.compress(bytes(megabytes * 2**20), 1)
    text = struct.pack(">I", len(content)) + b"zTXt" + content + struct.pack(">I", zlib.crc32(b"zTXt" + content))
    whole = picture(greys(1)[0], "PNG")
    return whole[:33] + text + whole[33:]


def jpeg_with_an_ill_typed_tag() -> bytes:
    """A rotated photograph whose EXIF maker is a number."""
    tags = struct.pack(">HHHII", 2, 0x010F, 5, 1, 0) + struct.pack(">HHII", 0x0112, 3, 1, 6 << 16) + bytes(4)
    buffer = io.BytesIO()
    Image.new("L", (28, 28), 128).save(buffer, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08" + tags)
    return buffer.getvalue()


def jpeg_of_many_scans(scans: int) -> bytes:
    """A progressive picture at the size limit with one scan repeated."""
    buffer = io.BytesIO()
    Image.new("L", (4000, 4000), 128).save(buffer, "JPEG", progressive=True, quality=50)
    whole = buffer.getvalue()
    starts = [position for position in range(len(whole)) if whole.startswith(b"\xff\xda", position)]
    return whole[: starts[2]] + whole[starts[1] : starts[2]] * scans + whole[starts[2] :]


@pytest.mark.parametrize(
    ("make_body", "content_type", "status"),
    [
        pytest.param(lambda: png_bomb(20_000), "image/png", 422, id="PNG of 400 megapixels"),
        pytest.param(lambda: png_bomb(2**31 - 1), "image/png", 422, id="PNG of all that its format can say"),
        pytest.param(lambda: png_with_text(200), "image/png", 400, id="PNG with a comment of 200 MB"),
        pytest.param(
            lambda: b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0xxxxl\x15dw" * 600_000,
            "image/png",
            400,
            id="PNG of 600,000 chunks",
        ),
        pytest.param(jpeg_with_an_ill_typed_tag, "image/jpeg", 400, id="JPEG with an ill-typed tag"),
        pytest.param(lambda: jpeg_of_many_scans(480), "image/jpeg", 400, id="JPEG of 480 scans"),
        pytest.param(lambda: jpeg_of_many_scans(10_000), "image/jpeg", 400, id="JPEG of 10,000 scans"),
        pytest.param(
            lambda: b"\xff\xd8" + b"\xff\xfe\x00\x02" * 2_000_000, "image/jpeg", 400, id="JPEG of 2,000,000 segments"
        ),
        pytest.param(
            lambda: npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (999999999, 784)}"),
            TYPES[2],
            400,
            id="npy of 784 GB",
        ),
        pytest.param(
            lambda: b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + b"(" * 10**6, TYPES[2], 400, id="npy header of 2 GB"
        ),
        pytest.param(
            lambda: npy_header("{'shape': (" + "1 ," * 300 + " " * 100), TYPES[2], 400, id="npy header of no dictionary"
        ),
        pytest.param(lambda: npy(np.array([None] * 784), allow_pickle=True), TYPES[2], 422, id="npy of objects"),
        pytest.param(lambda: b"[" * LIMIT, JSON, 400, id="deep JSON"),
        pytest.param(lambda: b'{"images":' * (LIMIT // 10), JSON, 400, id="deep JSON of objects"),
        pytest.param(lambda: b'{"images": [[' + b"9" * 5000 + b"]]}", JSON, 400, id="integer of 5,000 digits"),
        pytest.param(
            lambda: b'{"images": [[' + b"9" * (LIMIT - 20) + b"]]}", JSON, 400, id="integer of 8,000,000 digits"
        ),
        pytest.param(lambda: b'{"images": [' + b"1," * 10**6 + b"1]}", JSON, 422, id="a million images"),
        pytest.param(lambda: b'{"images": [[' + b"1," * 10**6 + b"1]]}", JSON, 422, id="an image of a million pixels"),
        pytest.param(lambda: FLOATS + b"1.0," * 10**6 + b"1]]}]}", JSON, 422, id="an image of a million floats"),
        pytest.param(
            lambda: b'{"images": [[' + b"[]," * (LIMIT // 3 - 10) + b"1]]}", JSON, 400, id="millions of lists"
        ),
        pytest.param(
            lambda: b'{"images": [' + b"{}," * (LIMIT // 3 - 10) + b"1]}", JSON, 400, id="millions of objects"
        ),
        pytest.param(
            lambda: b"{" + b",".join(b'"%x":1' % key for key in range(700_000)) + b"}", JSON, 400, id="700,000 keys"
        ),
        pytest.param(
            lambda: b'{"images": ["' + b"x" * 10**6 + b'"]}', JSON, 422, id="a string of a million characters"
        ),
        pytest.param(lambda: b'{"' + b"x" * 10**6 + b'": 1}', JSON, 422, id="a key of a million characters"),
    ],
)
def test_a_bomb_is_refused_in_bounded_time_and_memory(
    service: Service, longest_good: float, make_body: Callable[[], bytes], content_type: str, status: int
) -> None:
    body = make_body()
    for path in ("/predict", INFER) if content_type == JSON else ("/predict",):

        def answer(path: str = path) -> Reply:
            return service.post(path, body, content_type)

        assert answer().problem[0] == status
        # The JSON parser allocates twelve times the body's size before it parses.
        assert peak_megabytes(answer) < 150
        assert processor_time(answer) < 3 * longest_good


def test_a_megabyte_of_bad_pixels_gets_an_error_of_one_line(service: Service) -> None:
    reply = service.predict({"images": [[1000] * 784] * 500})
    assert reply.problem == (422, "invalid_images")
    assert reply.detail == "images[0][0] must be an integer 0-255, found 1000"


@given(st.sampled_from(TYPES), st.binary(max_size=2000))
def test_any_bytes_of_any_type_are_answered(service: Service, content_type: str, body: bytes) -> None:
    reply = service.post("/predict", body, content_type)
    assert reply.status == 200 or 400 <= reply.problem[0] < 500


@given(st.sampled_from(WHOLE), st.integers(0, 400), st.binary(min_size=1, max_size=8))
def test_a_damaged_body_is_answered(service: Service, whole: tuple[bytes, str], position: int, damage: bytes) -> None:
    body, content_type = whole
    reply = service.post("/predict", body[:position] + damage + body[position + len(damage) :], content_type)
    assert reply.status == 200 or 400 <= reply.problem[0] < 500


@given(st.sampled_from(WHOLE), st.floats(0, 0.999))
def test_a_body_that_ends_early_is_answered(service: Service, whole: tuple[bytes, str], share: float) -> None:
    body, content_type = whole
    reply = service.post("/predict", body[: int(share * len(body))], content_type)
    assert reply.status == 200 or 400 <= reply.problem[0] < 500


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_any_headers_are_answered(service: Service, content_type: str, key: str, request_id: str) -> None:
    headers = {
        name: value.encode().decode("latin-1") for name, value in (("authorization", key), ("x_request_id", request_id))
    }
    reply = service.post("/predict", b"{}", content_type.encode().decode("latin-1"), **headers)
    assert 400 <= reply.problem[0] < 500


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("images"), inner),
    )
)
def test_any_json_is_answered(service: Service, document: object) -> None:
    for path in ("/predict", INFER):
        assert 400 <= service.post(path, json.dumps(document).encode()).problem[0] < 500

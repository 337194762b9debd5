"""JSON is read strictly: it gives the same images as the domain's decoder, and any odd document is refused."""

import copy
import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.adapters.fastapi.json_bodies import images_from_json
from fmnist.adapters.fastapi.problems import Problem
from fmnist.domain.model.data.images import decode_images
from fmnist.domain.model.errors import InvalidImages
from tests.unit.adapters.fastapi.support import Service, greys

IMAGE: list[list[int]] = greys(1)[0].tolist()
FLAT: list[int] = greys(1)[0].ravel().tolist()


def with_pixel(value: object) -> str:
    """JSON of two images. The second has `value`, which is JSON itself, at row 3 and column 5."""
    second: list[Any] = copy.deepcopy(IMAGE)
    second[3][5] = "HERE"
    return json.dumps({"images": [IMAGE, second]}).replace('"HERE"', str(value))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("true", "a boolean"),
        ('"true"', "a string"),
        ("1e2", "a decimal number"),
        (2**63, "an integer far outside this range"),
        (2**70, "a number far outside this range"),
        ("-1e30", "a number far outside this range"),
        ('{"secret": 1}', "an object"),
    ],
)
def test_no_value_but_an_integer_is_a_pixel(service: Service, value: object, found: str) -> None:
    reply = service.post("/predict", with_pixel(value).encode())
    assert reply.problem == (422, "invalid_images")
    assert reply.detail == f"images[1][3][5] must be an integer 0-255, found {found}"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "9" * 5000, "1e999", "01", "0x1", "+1", "'1'", ""])
def test_values_that_json_does_not_allow_are_malformed(service: Service, value: str) -> None:
    reply = service.post("/predict", with_pixel(value).encode())
    assert reply.problem == (400, "malformed_json")
    assert "line 1 column" in reply.detail


WHOLE = json.dumps({"images": [IMAGE]}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"secret",
        WHOLE[:-1],
        WHOLE + b"secret",
        WHOLE.replace(b"]]]", b"],]]"),
        b"\xef\xbb\xbf" + WHOLE,
        WHOLE.decode().encode("utf-16"),
        b'{"images": "\xff\xfe"}',
        b'{"images": "\\ud800"}',
        b"[" * 100_000,
        b'{"images":' * 100_000,
        b"[" * 2000 + b"]" * 2000,
    ],
)
def test_error_for_a_malformed_document_does_not_repeat_it(service: Service, body: bytes) -> None:
    reply = service.post("/predict", body)
    assert reply.problem == (400, "malformed_json")
    assert "secret" not in reply.detail


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"[]", "the body must be a JSON object"),
        (b"null", "the body must be a JSON object"),
        (b'"secret"', "the body must be a JSON object"),
        (json.dumps([IMAGE]).encode(), "the body must be a JSON object"),
        (b"{}", "the body must be an object with the key 'images', which is missing"),
        (b'{"secret": []}', "the body must be an object with the key 'images', which is missing"),
        (WHOLE[:-1] + b', "secret": 1}', "the body must be an object with the key 'images' and no other"),
        (WHOLE[:-1] + b"," + WHOLE[1:], "the key 'images' must be given once"),
        (b'{"images": {"a": true}, ' + WHOLE[1:], "the key 'images' must be given once"),
        (b'{"images": 1, ' + WHOLE[1:], "the key 'images' must be given once"),
    ],
)
def test_error_for_an_object_with_other_keys_does_not_repeat_them(service: Service, body: bytes, detail: str) -> None:
    reply = service.post("/predict", body)
    assert reply.problem == (422, "invalid_body")
    assert reply.detail == detail


@pytest.mark.parametrize(
    ("images", "detail"),
    [
        (None, "images must be a list of images"),
        ("secret", "images must be a list of images"),
        ({"secret": 1}, "images must be a list of images"),
        (IMAGE, "images[0][0] must be a row of 28 integers, found 25"),
        ([IMAGE, IMAGE[:-1]], "images[1] has 27 values, expected 784 or 28 rows of 28"),
        ([7], "images[0] must be a list of 784 or 28x28 integers, found 7"),
        ([10**9], "images[0] must be a list of 784 or 28x28 integers, found an integer far outside this range"),
        ([IMAGE] * 1001, "1001 images, expected at most 1000 in one request: send them in several"),
        ([None] * 1001, "1001 images, expected at most 1000 in one request: send them in several"),
    ],
)
def test_ragged_and_too_many_images_get_different_errors(service: Service, images: object, detail: str) -> None:
    reply = service.predict({"images": images})
    assert reply.problem == (422, "invalid_images")
    assert reply.detail == detail


def test_as_many_images_as_are_allowed_are_answered(service: Service) -> None:
    assert len(service.predict({"images": [FLAT] * 1000}).json()["predictions"]) == 1000


def test_both_layouts_may_be_mixed(service: Service) -> None:
    assert len(service.predict({"images": [IMAGE, FLAT]}).json()["predictions"]) == 2


PIXELS: st.SearchStrategy[object] = st.sampled_from([0, 1, 255, 256, -1, 2**62, True, False, None, 1.0, "1", [], {}])
ROWS = st.builds(lambda value, size: [value] * size, PIXELS, st.sampled_from([1, 27, 28, 29, 784]))
SEVERAL = st.lists(
    ROWS | PIXELS | st.builds(lambda row, n: [row] * n, ROWS | PIXELS, st.sampled_from([1, 28])), max_size=3
)


@given(SEVERAL)
def test_json_is_decoded_as_the_domain_does(images: list[Any]) -> None:
    body = bytearray(json.dumps({"images": images}).encode())
    try:
        expected = decode_images(images)
    except InvalidImages as error:
        with pytest.raises((InvalidImages, Problem), match=f"^{re.escape(str(error))}$"):
            images_from_json(body, 1000)
    else:
        np.testing.assert_array_equal(images_from_json(body, 1000), expected)

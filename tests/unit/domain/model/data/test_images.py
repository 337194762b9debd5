"""Every accepted layout gives the same batch, and everything else is refused with a short message."""

import json
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.data.images import CLASS_NAMES, PIXELS, SIDE, Images, decode_images, images_from_floats
from fmnist.domain.model.errors import InvalidImages

batches = st.builds(
    lambda seed, n: np.random.default_rng(seed).integers(0, 256, (n, SIDE, SIDE), dtype=np.uint8),
    st.integers(0, 2**32 - 1),
    st.integers(1, 4),
)
# Decoders fail on rows and images of almost the right size, so arbitrary nested lists are not enough.
pixels = st.integers(-1, 256) | st.sampled_from([True, None, "12", 1.5, 1.0, float("nan"), 10**5000, [], {}])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
)
almost_rows = st.builds(lambda value, size: [value] * size, pixels, st.sampled_from([0, 1, 27, 28, 29]))
almost_images = st.builds(
    lambda row, size: [row] * size, almost_rows | pixels | json_values, st.sampled_from([0, 1, 27, 28, 29, 784])
)
anything = json_values | almost_images | st.lists(almost_images, max_size=3)


def layouts(batch: Images) -> dict[str, object]:
    n = len(batch)
    return {
        "(n, 28, 28)": batch,
        "(n, 784)": batch.reshape(n, PIXELS),
        "(n, 1, 28, 28)": batch.reshape(n, 1, SIDE, SIDE),
        "int64": batch.astype(np.int64),
        "big-endian": batch.astype(">u2"),
        "not contiguous": np.asfortranarray(batch),
        "bytes": batch.tobytes(),
        "bytearray": bytearray(batch.tobytes()),
        "memoryview": memoryview(batch),
        "rows": batch.tolist(),
        "flat lists": batch.reshape(n, PIXELS).tolist(),
        "both kinds of list": [batch[0].ravel().tolist(), *batch[1:].tolist()],
        "tuples": tuple(tuple(map(tuple, image)) for image in batch.tolist()),
        "parsed JSON": json.loads(json.dumps(batch.tolist())),
    }


def assert_is_batch(batch: Images) -> None:
    assert batch.dtype == np.uint8
    assert batch.shape == (len(batch), SIDE, SIDE)
    assert len(batch) >= 1
    assert batch.flags.c_contiguous


def refusal(raw: object) -> str:
    with pytest.raises(InvalidImages) as caught:
        decode_images(raw)
    message = str(caught.value)
    assert 0 < len(message) < 200, "any refusal is one line"
    return message


def images_with(value: object, row: int = 3, column: int = 5) -> list[Any]:
    """Two images. The second has `value` at (row, column)."""
    images: list[Any] = np.zeros((2, SIDE, SIDE), dtype=int).tolist()
    images[1][row][column] = value
    return images


@given(batches)
def test_every_layout_gives_the_same_batch(batch: Images) -> None:
    for name, raw in layouts(batch).items():
        decoded = decode_images(raw)
        assert_is_batch(decoded)
        np.testing.assert_array_equal(decoded, batch, err_msg=name)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u2", "u4", "u8"])
def test_a_single_image_is_a_batch_of_one_in_any_integer_dtype(dtype: str) -> None:
    image = (np.arange(PIXELS) % 128).astype(dtype)
    for layout in (image, image.reshape(SIDE, SIDE)):
        decoded = decode_images(layout)
        assert_is_batch(decoded)
        np.testing.assert_array_equal(decoded.reshape(-1), image)


@given(batches, st.sampled_from(["<f4", ">f4", "f8"]))
def test_whole_floats_are_pixels(batch: Images, dtype: str) -> None:
    decoded = images_from_floats(np.asfortranarray(batch, dtype))
    assert_is_batch(decoded)
    np.testing.assert_array_equal(decoded, batch)


@given(st.floats(width=32).filter(lambda value: value not in range(256)))
def test_any_other_float_is_refused_with_its_position(value: float) -> None:
    images = np.zeros((2, SIDE, SIDE), np.float32)
    images[1, 3, 5] = value
    with pytest.raises(InvalidImages, match=r"^images\[1\]\[3\]\[5\] must be an integer 0-255, found .{1,40}$"):
        images_from_floats(images)


@given(st.binary(max_size=4) | st.integers(0, 3 * PIXELS).map(bytes))
def test_any_bytes_decode_or_are_refused(raw: bytes) -> None:
    if raw and len(raw) % PIXELS == 0:
        assert_is_batch(decode_images(raw))
    else:
        refusal(raw)


@given(anything)
def test_any_value_decodes_or_is_refused(raw: object) -> None:
    try:
        assert_is_batch(decode_images(raw))
    except InvalidImages:
        refusal(raw)


@given(
    st.sampled_from(["?", "i1", "i8", "u8", "f4", "c8", "U3", "S2", "O", "M8[s]", "V4", "i4,f8"]),
    st.lists(st.sampled_from([0, 1, 2, SIDE, PIXELS]), max_size=4),
)
def test_any_array_decodes_or_is_refused(dtype: str, shape: list[int]) -> None:
    array: npt.NDArray[Any] = np.zeros((2,) if np.prod(shape) > 4 * PIXELS * SIDE else shape, dtype=dtype)
    try:
        assert_is_batch(decode_images(array))
    except InvalidImages:
        refusal(array)
    else:
        assert array.dtype.kind in "iu"


@given(st.integers(0, 1), st.integers(0, SIDE - 1), st.integers(0, SIDE - 1), st.sampled_from([-1, 256]))
def test_a_bad_pixel_is_named_by_its_position(image: int, row: int, column: int, value: int) -> None:
    array = np.zeros((2, SIDE, SIDE), dtype=np.int16)
    array[image, row, column] = value
    rows, flat = array.tolist(), array.reshape(2, PIXELS).tolist()
    expected = f"images[{image}][{row}][{column}] must be an integer 0-255, found {value}"
    assert refusal(array) == expected
    assert refusal(rows) == expected
    assert refusal(flat) == f"images[{image}][{row * SIDE + column}] must be an integer 0-255, found {value}"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (True, "a boolean"),
        (False, "a boolean"),
        ("12", "a string"),
        ("", "a string"),
        ("x" * 10_000, "a string"),
        (1.0, "a decimal number"),
        (1.5, "a decimal number"),
        (float(2**70), "a number far outside this range"),
        (float("nan"), "a number that is not finite"),
        (float("-inf"), "a number that is not finite"),
        (256, "256"),
        (-1, "-1"),
        pytest.param(10**5000, "an integer far outside this range", id="5000 digits"),
        pytest.param(-(10**5000), "an integer far outside this range", id="minus 5000 digits"),
        (None, "null"),
        ([0], "a list"),
        ([], "a list"),
        ({"x" * 10_000: 0}, "an object"),
        (b"\0", "a value of type bytes"),
    ],
)
def test_only_an_integer_is_a_pixel_and_no_other_value_is_echoed(value: object, found: str) -> None:
    assert refusal(images_with(value)) == f"images[1][3][5] must be an integer 0-255, found {found}"


def test_the_first_of_several_bad_values_is_named() -> None:
    images = images_with(256, row=2)
    images[1][2][20] = -7
    images[1][9] = [0] * (SIDE + 1)
    assert refusal(images).startswith("images[1][2][5] ")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ([], "no images: expected at least one"),
        (b"", "no images: expected at least one"),
        (np.zeros((0, SIDE, SIDE), np.uint8), "no images: expected at least one"),
        ([[]], "images[0] has 0 values, expected 784 or 28 rows of 28"),
        ([[0] * 783], "images[0] has 783 values, expected 784 or 28 rows of 28"),
        ([0] * PIXELS, "images[0] must be a list of 784 or 28x28 integers, found 0"),
        ([[[0] * SIDE] * 27 + [[0] * 27]], "images[0][27] has 27 values, expected 28"),
        # These have the right number of values and lists, but are nested differently.
        ([[[0] * 27, 0, *([[0] * SIDE] * 27)]], "images[0] has 29 values, expected 784 or 28 rows of 28"),
        ([[*([0] * PIXELS), [0] * 783], 0], "images[0] has 785 values, expected 784 or 28 rows of 28"),
        ([[[0] * SIDE] * 27 + [0]], "images[0][27] must be a row of 28 integers, found 0"),
        (b"\0" * 785, "785 bytes are not a whole number of images of 784 bytes"),
        (None, "images must be an array, bytes or a list, found null"),
        ("0" * PIXELS, "images must be an array, bytes or a list, found a string"),
        ({"images": []}, "images must be an array, bytes or a list, found an object"),
        (np.zeros((2, SIDE, SIDE)), "images must be integers 0-255, found dtype float64"),
        (np.zeros((2, SIDE, SIDE), bool), "images must be integers 0-255, found dtype bool"),
    ],
)
def test_error_for_a_wrong_layout_says_what_is_wrong(raw: object, message: str) -> None:
    assert refusal(raw) == message


def test_an_integer_of_a_custom_type_is_refused() -> None:
    # Both compare equal to valid pixels, and `bytes` accepts them.
    refusal(images_with(IntEnum("Pixel", "DARK").DARK))
    refusal(images_with(np.int64(1)))


def test_a_list_that_contains_itself_is_refused() -> None:
    endless: list[Any] = [0] * PIXELS
    endless[7] = endless
    assert refusal([endless]) == "images[0][7] must be an integer 0-255, found a list"


def test_error_for_a_wrong_shape_lists_the_accepted_ones() -> None:
    message = refusal(np.zeros((3, SIDE, SIDE, 1), np.uint8))
    assert "(3, 28, 28, 1)" in message
    assert "(n, 1, 28, 28)" in message


def test_a_memoryview_of_wider_items_is_refused() -> None:
    # Its bytes have the length of whole images, but every pixel would be wrong.
    refusal(memoryview(np.zeros(PIXELS, np.int32)))
    refusal(memoryview(bytes(2 * PIXELS))[::2])


def test_a_dtype_of_a_thousand_fields_is_not_echoed() -> None:
    refusal(np.zeros(PIXELS, dtype=[(f"field_{i}", "u1") for i in range(1000)]))


def test_there_are_ten_distinct_classes() -> None:
    assert len(set(CLASS_NAMES)) == 10

"""Picture files are read as the images that they show. Any other file is refused by name."""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fmnist.adapters.pillow.files import MOST_PIXELS, UnreadablePicture, decode_picture, encode_picture
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.errors import InvalidImages

SHIRT = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
HALVES = np.repeat(np.array([[255], [0]], np.uint8), 14, axis=0).repeat(28, axis=1)


def saved(path: Path, picture: Image.Image, kind: str = "PNG", **options: Any) -> Path:
    picture.save(path, kind, **options)
    return path


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def read(path: Path) -> Images:
    return decode_picture(path.read_bytes(), MOST_PIXELS)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P"])
def test_a_grey_28x28_png_comes_back_bit_for_bit(tmp_path: Path, mode: str) -> None:
    path = saved(tmp_path / "shirt.png", Image.fromarray(SHIRT).convert(mode))
    np.testing.assert_array_equal(read(path), SHIRT[np.newaxis])


@pytest.mark.parametrize(("kind", "allowed"), [("PNG", 0), ("JPEG", 40)])
def test_an_encoded_picture_reads_back_as_the_image(kind: str, allowed: int) -> None:
    (read,) = decode_picture(encode_picture(SHIRT, kind), 28 * 28)
    assert np.abs(read.astype(int) - SHIRT).max() <= allowed


def test_a_white_background_is_not_inverted(tmp_path: Path) -> None:
    assert (read(saved(tmp_path / "white.png", Image.new("L", (28, 28), 255))) == 255).all()


def test_a_large_picture_is_scaled_down(tmp_path: Path) -> None:
    enlarged = Image.fromarray(HALVES.repeat(10, axis=0).repeat(10, axis=1))
    image = read(saved(tmp_path / "large.png", enlarged))[0].astype(int)
    away_from_the_edge = np.r_[0:12, 16:28]
    np.testing.assert_allclose(image[away_from_the_edge], HALVES[away_from_the_edge], atol=1)


@pytest.mark.parametrize(("size", "columns", "rows"), [((56, 28), (0, 28), (7, 21)), ((10, 40), (10, 17), (0, 28))])
def test_a_picture_keeps_its_aspect_ratio_on_black(
    tmp_path: Path, size: tuple[int, int], columns: tuple[int, int], rows: tuple[int, int]
) -> None:
    image = read(saved(tmp_path / "wide.png", Image.new("L", size, 200)))[0]
    expected = np.zeros((28, 28), np.uint8)
    expected[slice(*rows), slice(*columns)] = 200
    np.testing.assert_array_equal(image, expected)


def test_a_very_thin_picture_keeps_one_pixel(tmp_path: Path) -> None:
    assert read(saved(tmp_path / "thin.png", Image.new("L", (1, 9000), 200)))[0].max() == 200


def test_a_jpeg_with_several_pictures_gives_the_first(tmp_path: Path) -> None:
    first, preview = Image.fromarray(HALVES).convert("RGB"), Image.new("RGB", (28, 28))
    path = saved(tmp_path / "photo.jpg", first, "MPO", save_all=True, append_images=[preview], quality=95)
    np.testing.assert_allclose(read(path)[0].astype(int), HALVES, atol=8)


def test_a_picture_is_recognized_by_its_content(tmp_path: Path) -> None:
    path = saved(tmp_path / "shirt.jpeg", Image.fromarray(SHIRT), "PNG")
    np.testing.assert_array_equal(read(path)[0], SHIRT)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a PNG or JPEG picture"),
        (b"hello", "not a PNG or JPEG picture"),
        (encoded(Image.fromarray(SHIRT), "GIF"), "not a PNG or JPEG picture"),
        (encoded(Image.fromarray(SHIRT), "BMP"), "not a PNG or JPEG picture"),
        (encoded(Image.fromarray(SHIRT), "PNG")[:400], "a damaged picture (image file is truncated"),
        (encoded(Image.fromarray(SHIRT), "JPEG")[:400], "a damaged picture (image file is truncated"),
        (
            encoded(Image.new("L", (28, 28)), "PNG", save_all=True, append_images=[Image.new("L", (28, 28), 9)]),
            "an animation of 2 pictures, expected one",
        ),
        (encoded(Image.new("1", (8000, 4001)), "PNG"), "a picture of 8000x4001 pixels, expected at most 32000000"),
        (encoded(Image.new("1", (20000, 20000)), "PNG"), "a picture of too many pixels, expected at most 32000000"),
    ],
)
def test_what_is_not_a_picture_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(InvalidImages, match=f"^{re.escape(message)}"):
        decode_picture(content, MOST_PIXELS)


def test_a_picture_in_memory_has_a_pixel_limit() -> None:
    content = encoded(Image.new("L", (100, 50)), "PNG")
    assert decode_picture(content, 5000).shape == (1, 28, 28)
    with pytest.raises(InvalidImages, match="a picture of 100x50 pixels, expected at most 4999 in all") as caught:
        decode_picture(content, 4999)
    assert not isinstance(caught.value, UnreadablePicture), "it is complete, but too large"


@pytest.mark.parametrize("content", [b"", b"hello", npy(SHIRT), encoded(Image.fromarray(SHIRT), "PNG")[:400]])
def test_an_unreadable_picture_and_a_refused_one_get_different_errors(content: bytes) -> None:
    with pytest.raises(UnreadablePicture):
        decode_picture(content, 1000)


def jpeg_of_scans(scans: int, restart: bytes = b"") -> bytes:
    """A progressive picture with one of its six scans repeated. `restart` comes before each repetition."""
    whole = encoded(Image.fromarray(HALVES), "JPEG", progressive=True)
    starts = [position for position in range(len(whole)) if whole.startswith(b"\xff\xda", position)]
    assert len(starts) == 6
    return whole[: starts[2]] + (restart + whole[starts[1] : starts[2]]) * (scans - 6) + whole[starts[2] :]


@pytest.mark.parametrize(
    "restart",
    [b"", b"\xff", b"\xff\x00\x07", b"\xff\xd0", b"\xff\x01", b"\xff\xfe\x00\x00", b"\xff\xfe\x00\x04\xff\xd9"],
)
def test_a_jpeg_with_too_many_scans_is_refused(restart: bytes) -> None:
    assert decode_picture(jpeg_of_scans(20, restart), 1000).shape == (1, 28, 28)
    with pytest.raises(UnreadablePicture, match="more than 20 scans"):
        decode_picture(jpeg_of_scans(21, restart), 1000)


def test_scans_after_bytes_that_start_no_segment_are_counted() -> None:
    with pytest.raises(UnreadablePicture, match="more than 20 scans"):
        decode_picture(jpeg_of_scans(21, b"\xff\x02\xff\xff"), 1000)


def test_the_most_scans_that_libjpeg_writes_are_accepted() -> None:
    colours = Image.fromarray(HALVES).convert("CMYK")
    assert decode_picture(encoded(colours, "JPEG", progressive=True), 1000).shape == (1, 28, 28)


def test_previews_in_a_jpeg_do_not_count_as_scans() -> None:
    whole = encoded(Image.fromarray(HALVES), "JPEG")
    preview = b"\xff\xe1\x04\x02" + b"\xff\xda" * 512
    film = b"\xff\xda" * 1000
    np.testing.assert_array_equal(
        decode_picture(whole[:2] + preview + whole[2:] + film, 1000), decode_picture(whole, 1000)
    )


def test_a_jpeg_has_a_segment_limit() -> None:
    whole = encoded(Image.fromarray(HALVES), "JPEG")
    assert decode_picture(whole[:2] + b"\xff\xfe\x00\x02" * 5000 + whole[2:], 1000).shape == (1, 28, 28)
    with pytest.raises(UnreadablePicture, match="more than 10000 segments"):
        decode_picture(whole[:2] + b"\xff\xfe\x00\x02" * 10_000 + whole[2:], 1000)

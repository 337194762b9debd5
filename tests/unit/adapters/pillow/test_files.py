"""Picture files are read as the images that they show. Any other file is refused by name."""

import errno
import io
import os
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fmnist.adapters.pillow.files import UnreadablePicture, decode_picture, encode_picture, read_image_file
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


def npy_that_claims(shape: str, pixels: int = 784) -> bytes:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(pixels)


def refusal(path: Path | str) -> str:
    with pytest.raises(InvalidImages) as caught:
        read_image_file(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P"])
def test_a_grey_28x28_png_comes_back_bit_for_bit(tmp_path: Path, mode: str) -> None:
    path = saved(tmp_path / "shirt.png", Image.fromarray(SHIRT).convert(mode))
    np.testing.assert_array_equal(read_image_file(path), SHIRT[np.newaxis])


@pytest.mark.parametrize(("kind", "allowed"), [("PNG", 0), ("JPEG", 40)])
def test_an_encoded_picture_reads_back_as_the_image(kind: str, allowed: int) -> None:
    (read,) = decode_picture(encode_picture(SHIRT, kind), 28 * 28)
    assert np.abs(read.astype(int) - SHIRT).max() <= allowed


def test_a_white_background_is_not_inverted(tmp_path: Path) -> None:
    assert (read_image_file(saved(tmp_path / "white.png", Image.new("L", (28, 28), 255))) == 255).all()


def test_a_large_picture_is_scaled_down(tmp_path: Path) -> None:
    enlarged = Image.fromarray(HALVES.repeat(10, axis=0).repeat(10, axis=1))
    image = read_image_file(saved(tmp_path / "large.png", enlarged))[0].astype(int)
    away_from_the_edge = np.r_[0:12, 16:28]
    np.testing.assert_allclose(image[away_from_the_edge], HALVES[away_from_the_edge], atol=1)


@pytest.mark.parametrize(("size", "columns", "rows"), [((56, 28), (0, 28), (7, 21)), ((10, 40), (10, 17), (0, 28))])
def test_a_picture_keeps_its_aspect_ratio_on_black(
    tmp_path: Path, size: tuple[int, int], columns: tuple[int, int], rows: tuple[int, int]
) -> None:
    image = read_image_file(saved(tmp_path / "wide.png", Image.new("L", size, 200)))[0]
    expected = np.zeros((28, 28), np.uint8)
    expected[slice(*rows), slice(*columns)] = 200
    np.testing.assert_array_equal(image, expected)


def test_a_very_thin_picture_keeps_one_pixel(tmp_path: Path) -> None:
    assert read_image_file(saved(tmp_path / "thin.png", Image.new("L", (1, 9000), 200)))[0].max() == 200


def test_a_jpeg_with_several_pictures_gives_the_first(tmp_path: Path) -> None:
    first, preview = Image.fromarray(HALVES).convert("RGB"), Image.new("RGB", (28, 28))
    path = saved(tmp_path / "photo.jpg", first, "MPO", save_all=True, append_images=[preview], quality=95)
    np.testing.assert_allclose(read_image_file(path)[0].astype(int), HALVES, atol=8)


@pytest.mark.parametrize("shape", [(3, 28, 28), (3, 784), (3, 1, 28, 28)])
@pytest.mark.parametrize("dtype", ["u1", "i8", ">u2"])
def test_an_array_file_is_read_in_any_layout(tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    path = tmp_path / "batch.npy"
    images = np.stack([SHIRT, SHIRT.T, HALVES])
    path.write_bytes(npy(np.asfortranarray(images.reshape(shape).astype(dtype))))
    np.testing.assert_array_equal(read_image_file(path), images)


def test_images_do_not_change_when_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "batch.npy"
    path.write_bytes(npy(SHIRT))
    images = read_image_file(path)
    with path.open("r+b") as file:
        file.seek(128)
        file.write(bytes(784))
    np.testing.assert_array_equal(images[0], SHIRT)


def test_a_file_is_recognized_by_its_content(tmp_path: Path) -> None:
    path = saved(tmp_path / "shirt.jpeg", Image.fromarray(SHIRT), "PNG")
    np.testing.assert_array_equal(read_image_file(str(path))[0], SHIRT)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a PNG, JPEG or .npy file"),
        (b"hello", "not a PNG, JPEG or .npy file"),
        (encoded(Image.fromarray(SHIRT), "GIF"), "not a PNG, JPEG or .npy file"),
        (encoded(Image.fromarray(SHIRT), "BMP"), "not a PNG, JPEG or .npy file"),
        (encoded(Image.fromarray(SHIRT), "PNG")[:400], "a damaged picture (image file is truncated"),
        (encoded(Image.fromarray(SHIRT), "JPEG")[:400], "a damaged picture (image file is truncated"),
        (
            encoded(Image.new("L", (28, 28)), "PNG", save_all=True, append_images=[Image.new("L", (28, 28), 9)]),
            "an animation of 2 pictures, expected one",
        ),
        (encoded(Image.new("1", (8000, 4001)), "PNG"), "a picture of 8000x4001 pixels, expected at most 32000000"),
        (encoded(Image.new("1", (20000, 20000)), "PNG"), "a picture of too many pixels, expected at most 32000000"),
        (npy(np.array([{}], dtype=object)), "not a readable .npy file of numbers"),
        (npy(np.zeros((2, 28, 28))), "images must be integers 0-255, found dtype float64"),
        (npy(np.full((1, 28, 28), 256)), "images[0][0][0] must be an integer 0-255, found 256"),
        (npy(np.zeros((2, 27, 28), np.uint8)), "images of shape (2, 27, 28): expected one of"),
        (npy(np.zeros((0, 28, 28), np.uint8)), "no images: expected at least one"),
        (npy(SHIRT)[:500], "not a readable .npy file of numbers"),
        (npy(SHIRT)[:50], "not a readable .npy file of numbers"),
        (npy_that_claims("(10**9, 28, 28)"), "not a readable .npy file of numbers"),
        (npy_that_claims("(1000000000, 28, 28)"), "not a readable .npy file of numbers"),
        (npy_that_claims("(-1, 28, 28)"), "not a readable .npy file of numbers"),
        (npy_that_claims("(" + "-" * 9000 + "1,)"), "not a readable .npy file of numbers"),
        (npy_that_claims("-" * 3000 + "1"), "not a readable .npy file of numbers"),
        (npy_that_claims("((28, 28)"), "not a readable .npy file of numbers"),
    ],
)
def test_a_file_that_is_not_an_image_is_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "upload"
    path.write_bytes(content)
    assert refusal(path).startswith(message)


def test_a_huge_sparse_array_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.npy"
    path.write_bytes(npy_that_claims("(2000000, 28, 28)", 0))
    os.truncate(path, path.stat().st_size + 2_000_000 * 784)
    assert refusal(path) == "an array of 1568000000 bytes, expected at most 1000000000"


def test_an_array_on_a_disk_that_fails_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "array.npy").write_bytes(npy(SHIRT))
    monkeypatch.setattr(np.lib.format, "open_memmap", fail)
    with pytest.raises(InvalidImages, match=r"array\.npy: Input/output error$"):
        read_image_file(tmp_path / "array.npy")


def test_a_path_that_is_not_a_file_is_refused_by_name(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent.png") == "No such file or directory"
    assert refusal(tmp_path) == "not a regular file"
    assert refusal("x" * 300) == "File name too long"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert refusal(pipe) == "not a regular file"
    with pytest.raises(InvalidImages, match="is not a path: embedded null byte"):
        read_image_file("a\0b")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("size", [(28, 28), (90, 40)])
def test_a_picture_in_memory_reads_like_a_file(tmp_path: Path, kind: str, size: tuple[int, int]) -> None:
    content = encoded(Image.effect_noise(size, 80), kind)
    (tmp_path / "noise").write_bytes(content)
    np.testing.assert_array_equal(decode_picture(content, 90 * 40), read_image_file(tmp_path / "noise"))


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


@given(st.integers(0, 200), st.binary(min_size=1, max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_a_damaged_array_file_is_read_or_refused(tmp_path: Path, position: int, damage: bytes) -> None:
    content = npy(SHIRT)
    path = tmp_path / "damaged"
    path.write_bytes(content[:position] + damage + content[position + len(damage) :])
    try:
        images = read_image_file(path)
    except InvalidImages:
        assert refusal(path)
    else:
        assert images.dtype == np.uint8
        assert images.shape[1:] == (28, 28)

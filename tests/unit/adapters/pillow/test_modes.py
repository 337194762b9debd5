"""Every picture is read by one rule: 8 bits of grey, black where transparent, rotated by its EXIF orientation."""

import io
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fmnist.adapters.pillow.files import decode_picture
from tests.unit.adapters.pillow.pngs import DEPTHS, GREY, GREY_ALPHA, PALETTE, RGB, RGB_ALPHA, chunk, png

KINDS = [(colour, depth) for colour, depths in DEPTHS.items() for depth in depths]
Grey = npt.NDArray[np.uint8]


def read(content: bytes) -> npt.NDArray[np.int64]:
    return decode_picture(content, 10_000)[0].astype(int)


def noise(seed: int, depth: int) -> npt.NDArray[np.int64]:
    """Samples of a bit depth, with many equal ones."""
    rng = np.random.default_rng(seed)
    return rng.choice(rng.integers(0, 2**depth, 12), (28, 28))


def eight_bits(samples: npt.NDArray[np.int64], depth: int) -> npt.NDArray[np.float64]:
    return samples * (255 / (2**depth - 1))


def turned(image: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """The stored pixels of a picture whose orientation tag rotates it to `image`."""
    if orientation >= 5:
        image = image.swapaxes(0, 1)
    if orientation in {2, 3, 7, 8}:
        image = image[:, ::-1]
    if orientation in {3, 4, 6, 7}:
        image = image[::-1]
    return image


def exif(orientation: int) -> bytes:
    return b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)


@given(
    st.sampled_from(KINDS), st.booleans(), st.booleans(), st.integers(1, 8), st.integers(0, 2**32 - 1), st.booleans()
)
def test_every_kind_of_png_is_read_by_the_rule(
    kind: tuple[int, int], interlaced: bool, transparent: bool, orientation: int, seed: int, keyed_white: bool
) -> None:
    colour, depth = kind
    samples, opacity = noise(seed, depth), noise(seed + 1, depth)
    key = 2**depth - 1 if keyed_white else int(samples[3, 3])
    samples[:5] = key
    grey, alpha = eight_bits(samples, depth), np.ones((28, 28))
    chunks = [chunk(b"eXIf", exif(orientation))]
    if colour == PALETTE:
        lightness = np.random.default_rng(seed).integers(0, 256, 2**depth)
        chunks.append(chunk(b"PLTE", bytes(lightness.repeat(3).astype(np.uint8))))
        grey = lightness[samples]
        if transparent:
            alphas = np.full(2**depth, 255) if keyed_white else np.random.default_rng(seed).integers(0, 256, 2**depth)
            alphas[key] = 0
            chunks.append(chunk(b"tRNS", bytes(alphas.astype(np.uint8))))
            alpha = alphas[samples] / 255
    elif colour in {GREY_ALPHA, RGB_ALPHA}:
        alpha = eight_bits(opacity, depth) / 255
    elif transparent:
        channels = 3 if colour == RGB else 1
        chunks.append(chunk(b"tRNS", struct.pack(f">{channels}H", *[key] * channels)))
        # Pillow keeps 8 of 16 bits of a colour, so the 255 nearest colours are transparent, too.
        alpha = samples >> 8 != key >> 8 if (colour, depth) == (RGB, 16) else samples != key
    planes = [samples] * (3 if colour in {RGB, RGB_ALPHA} else 1)
    if colour in {GREY_ALPHA, RGB_ALPHA}:
        planes.append(opacity)
    stored = turned(np.stack(planes, axis=-1), orientation)
    found = read(png(stored, colour, depth, interlaced=interlaced, chunks=chunks))
    # The upper 8 of 16 bits count, for lightness and for opacity.
    np.testing.assert_allclose(found, grey * alpha, atol=3)


@pytest.mark.parametrize(("colour", "depth"), [(GREY, depth) for depth in DEPTHS[GREY]] + [(RGB, 8), (RGB, 16)])
def test_a_transparent_white_background_becomes_black(colour: int, depth: int) -> None:
    white, channels = 2**depth - 1, 3 if colour == RGB else 1
    samples = np.full((28, 28, channels), white)
    samples[4:9] = white // 2
    key = chunk(b"tRNS", struct.pack(f">{channels}H", *[white] * channels))
    found = read(png(samples, colour, depth, interlaced=False, chunks=[key]))
    assert (found[9:] == 0).all()
    np.testing.assert_allclose(found[4:9], 255 * (white // 2) / white, atol=2)


@given(
    st.sampled_from(["L", "RGB", "CMYK", "YCbCr"]),
    st.booleans(),
    st.sampled_from([0, 2]),
    st.integers(1, 8),
    st.sampled_from(["JPEG", "MPO"]),
)
def test_every_kind_of_jpeg_is_read_by_the_rule(
    mode: str, progressive: bool, subsampling: int, orientation: int, container: str
) -> None:
    rows, columns = np.mgrid[0:28, 0:28]
    smooth = (rows * 6 + columns * 3).astype(np.uint8)
    stored, file = Image.fromarray(np.ascontiguousarray(turned(smooth, orientation))).convert(mode), io.BytesIO()
    options: dict[str, Any] = {"quality": 95, "progressive": progressive, "subsampling": subsampling}
    stored.save(file, container, exif=b"Exif\0\0" + exif(orientation), **options)
    np.testing.assert_allclose(read(file.getvalue()), smooth, atol=6)

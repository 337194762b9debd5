"""Photographs in files: turned by EXIF, cut out, in colour, large; and how far their preparation helps a model."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from benchmarks.photographs import photographs
from fmnist.adapters.pillow.files import UnreadablePicture, decode_picture
from fmnist.adapters.pillow.photographs import prepare_photograph
from fmnist.domain.model.data.photograph import Step
from fmnist.domain.model.errors import InvalidImages
from fmnist.testing.data import toy_images
from tests.unit.adapters.pillow.pngs import chunk, png
from tests.unit.domain.model.data.test_photograph import ARTICLE, NOTHING, photo

MOST = 10**6


def file(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def steps(content: bytes, without: frozenset[Step] = NOTHING) -> list[str]:
    return [done.step for done in prepare_photograph(content, MOST, without).steps]


def test_turned_photograph_becomes_upright_unless_that_is_left_out() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = file(Image.fromarray(np.rot90(photo(240))), "JPEG", exif=exif, quality=95)
    found = prepare_photograph(turned, MOST, NOTHING)
    assert found.steps[0].what == "turned upright, as the file says"
    np.testing.assert_allclose(found.image, ARTICLE, atol=12)
    left = prepare_photograph(turned, MOST, frozenset({Step.ORIENTATION}))
    np.testing.assert_allclose(left.image, np.rot90(ARTICLE), atol=12)


@pytest.mark.parametrize(("is_light", "told"), [(False, "laid on white"), (True, "laid on black")])
def test_cut_out_article_is_laid_on_what_it_differs_from(is_light: bool, told: str) -> None:
    whole = photo(0 if is_light else 255, is_light=is_light)
    alpha = np.where(whole == (0 if is_light else 255), 0, 255).astype(np.uint8)
    found = prepare_photograph(file(Image.fromarray(np.stack([whole, whole, whole, alpha], axis=2))), MOST, NOTHING)
    assert [done.what for done in found.steps[:2]] == [
        f"{told}, with a border: 352x272 pixels",
        "made grey, from RGBA",
    ]
    np.testing.assert_allclose(found.image, ARTICLE, atol=6)


def test_opaque_picture_with_an_alpha_channel_is_not_cut_out() -> None:
    found = prepare_photograph(file(Image.fromarray(photo(240)).convert("RGBA")), MOST, NOTHING)
    assert [done.step for done in found.steps] == ["grey", "background", "inversion", "crop", "resize"]
    np.testing.assert_allclose(found.image, ARTICLE, atol=6)


def test_transparent_value_of_16_bits_is_cut_out() -> None:
    deep = photo(240).astype(np.uint16) * 256 // 2
    deep[deep == deep[0, 0]] = 30000
    key = chunk(b"tRNS", struct.pack(">H", 30000))
    found = prepare_photograph(png(deep[..., np.newaxis], 0, 16, interlaced=False, chunks=[key]), MOST, NOTHING)
    assert found.steps[0].what.startswith("laid on white")
    assert "inversion" in [done.step for done in found.steps]


def test_large_photograph_is_made_smaller_first() -> None:
    large = photo(230).repeat(5, 0).repeat(5, 1)
    found = prepare_photograph(file(Image.fromarray(large)), 10**7, NOTHING)
    assert found.steps[0].what == "reduced to 1024x768 pixels"
    np.testing.assert_allclose(found.image, ARTICLE, atol=12)


def test_limits_are_those_of_any_picture() -> None:
    with pytest.raises(InvalidImages, match="expected at most 1000000 in all"):
        prepare_photograph(file(Image.new("L", (1001, 1000))), MOST, NOTHING)
    for content in (b"", b"no picture", file(Image.new("L", (30, 30)))[:-30]):
        with pytest.raises(UnreadablePicture):
            prepare_photograph(content, MOST, NOTHING)


def test_preparation_makes_photographs_recognizable() -> None:
    """Photographs that are made here, of images of ten coarse patterns, for the nearest class mean."""
    train, test = toy_images(40, seed=1), toy_images(10, seed=2)
    means = [standardized(train.images[train.labels == label].mean(axis=0)) for label in range(10)]
    shares: dict[str, list[list[bool]]] = {}
    for number, (image, label) in enumerate(zip(test.images, test.labels.tolist(), strict=True)):
        # Without its noise, the pattern has a black background, as articles have.
        for kind, content in photographs(np.where(image < 60, 0, image).astype(np.uint8), number):
            decoded = decode_picture(content, MOST)[0], prepare_photograph(content, MOST, NOTHING).image
            nearest = [int(np.argmax([(standardized(each) * mean).sum() for mean in means])) for each in decoded]
            shares.setdefault(kind, []).append([found == label for found in nearest])
    before, after = (np.array([np.mean(found, axis=0)[place] for found in shares.values()]) for place in (0, 1))
    assert len(shares) == 8
    assert before.mean() < 0.5, before
    assert after.min() >= 0.7, after


def standardized(image: np.ndarray) -> np.ndarray:
    found: np.ndarray = (image - image.mean()) / max(1.0, float(image.std()))
    return found

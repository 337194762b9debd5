"""A photograph becomes an image like those of the training, whatever its background, place and size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmnist.domain.model.data.images import SIDE
from fmnist.domain.model.data.photograph import OPTIONAL, Grey, Step, prepare_grey

# A coat-like article: darker than its surroundings everywhere, with parts of different ink.
ARTICLE = np.zeros((SIDE, SIDE))
ARTICLE[:, 6:22] = 200
ARTICLE[4:20, 10:18] = 120
NOTHING: frozenset[Step] = frozenset()


def photo(level: float, *, zoom: int = 6, top: int = 40, left: int = 70, is_light: bool = False) -> Grey:
    """Return an enlarged article on a background of one level, at some place of 240 x 320 pixels."""
    ink = np.zeros((240, 320))
    ink[top : top + SIDE * zoom, left : left + SIDE * zoom] = ARTICLE.repeat(zoom, 0).repeat(zoom, 1)
    share = ink / 255
    grey: Grey = np.rint(level + share * (255 - level) if is_light else level * (1 - share)).astype(np.uint8)
    return grey


@pytest.mark.parametrize("level", [120, 200, 255])
@pytest.mark.parametrize(("zoom", "top", "left"), [(2, 5, 7), (6, 40, 70), (8, 16, 90)])
def test_dark_article_is_found_inverted_and_fills_the_image(level: int, zoom: int, top: int, left: int) -> None:
    found = prepare_grey(photo(level, zoom=zoom, top=top, left=left), NOTHING)
    np.testing.assert_allclose(found.image, ARTICLE, atol=6)
    assert [done.step for done in found.steps] == ["background", "inversion", "crop", "resize"]
    rows, columns = (top, top + SIDE * zoom - 1), (left + 6 * zoom, left + 22 * zoom - 1)
    assert found.steps[2].what == f"cut to rows {rows[0]}-{rows[1]} and columns {columns[0]}-{columns[1]}"


@pytest.mark.parametrize("level", [0, 60])
def test_light_article_is_not_inverted(level: int) -> None:
    found = prepare_grey(photo(level, is_light=True), NOTHING)
    np.testing.assert_allclose(found.image, ARTICLE, atol=6)
    assert "inversion" not in [done.step for done in found.steps]


def test_light_from_one_side_is_no_article() -> None:
    slope = np.linspace(0, 1, 320)
    lit = photo(255) * (0.65 + 0.35 * slope)
    found = prepare_grey(np.rint(lit).astype(np.uint8), NOTHING)
    np.testing.assert_allclose(found.image, ARTICLE, atol=8)


def test_soft_shadow_does_not_widen_the_article() -> None:
    shadowed = photo(250).astype(np.float64)
    shadowed[80:230, 262:310] *= 0.8  # beside the article, which ends at column 201
    found = prepare_grey(np.rint(shadowed).astype(np.uint8), NOTHING)
    np.testing.assert_allclose(found.image[:, 6:22], ARTICLE[:, 6:22], atol=8)


def test_noise_alone_is_no_article() -> None:
    noise = np.random.default_rng(3).normal(200, 4, (200, 300))
    found = prepare_grey(np.rint(noise).astype(np.uint8), NOTHING)
    assert [done.step for done in found.steps] == ["background", "resize"]


def test_each_step_can_be_left_out() -> None:
    whole = photo(240)
    raw = prepare_grey(whole, frozenset({Step.BACKGROUND, Step.INVERSION, Step.CROP}))
    assert [done.step for done in raw.steps] == ["resize"]
    assert raw.steps[0].what == "320x240 pixels became 28x28, by their areas"
    # The longer side fills the image, and the shorter one is padded with black.
    assert (raw.image[:3].max(), raw.image[-3:].max()) == (0, 0)
    assert raw.image[4:24].mean() > 150
    assert "crop" not in [done.step for done in prepare_grey(whole, frozenset({Step.CROP})).steps]
    upright = prepare_grey(whole, frozenset({Step.INVERSION}))
    assert upright.image.max() == 0  # nothing is lighter than the background
    grey_left = prepare_grey(whole, frozenset({Step.BACKGROUND}))
    np.testing.assert_allclose(grey_left.image, 255 - (255 - ARTICLE) * 240 / 255, atol=8)


@settings(max_examples=60)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    seed=st.integers(0, 2**16),
    kind=st.sampled_from(["noise", "flat", "two"]),
    without=st.frozensets(st.sampled_from(OPTIONAL)),
)
def test_every_picture_gives_an_image(height: int, width: int, seed: int, kind: str, without: frozenset[Step]) -> None:
    random = np.random.default_rng(seed)
    levels = {"noise": random.integers(0, 256, (height, width)), "flat": np.full((height, width), seed % 256)}
    grey = levels.get(kind, 255 * random.integers(0, 2, (height, width))).astype(np.uint8)
    found = prepare_grey(grey, without)
    assert (found.image.shape, found.image.dtype) == ((SIDE, SIDE), np.uint8)
    np.testing.assert_array_equal(found.image, prepare_grey(grey, without).image)

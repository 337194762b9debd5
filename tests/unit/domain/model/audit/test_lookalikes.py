"""Shifted and brightened copies are found among many images, and other images are not taken for copies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.audit.lookalikes import NEAR, NEIGHBOURS, Lookalikes, fine_similarity
from fmnist.domain.model.data.images import Images
from fmnist.testing.data import toy_images


def altered(images: Images, down: int, across: int, gain: float) -> Images:
    """Return images moved by whole pixels and made brighter. What leaves the picture is lost."""
    padded = np.pad(images, ((0, 0), (3, 3), (3, 3)))
    moved = padded[:, 3 - down : 31 - down, 3 - across : 31 - across]
    return np.minimum(moved * gain, 255).astype(np.uint8)


def article(n: int) -> Images:
    """Toy images with a black frame, as most pictures of articles have."""
    images = toy_images(n).images.copy()
    images[:, :3] = images[:, -3:] = images[:, :, :3] = images[:, :, -3:] = 0
    return images


@given(st.integers(-3, 3), st.integers(-3, 3), st.floats(0.7, 1.0), st.integers(0, 99))
def test_a_moved_and_dimmed_copy_is_a_near_duplicate(down: int, across: int, gain: float, row: int) -> None:
    image = article(100)[row : row + 1]
    assert fine_similarity(image, altered(image, down, across, gain))[0] >= NEAR


def test_copies_are_found_and_other_images_of_the_class_are_not() -> None:
    images = article(600)  # more than two blocks
    copies = {590: 3, 299: 17, 40: 41}
    for (copy, original), change in zip(copies.items(), ((2, -1, 1.2), (-1, 3, 0.8), (0, 0, 1.1)), strict=True):
        images[copy] = altered(images[original : original + 1], *change)[0]
    shares: list[float] = []
    found = Lookalikes.of(images, shares.append)
    near = found.similarity >= NEAR
    assert sorted(map(tuple, found.pairs[near].tolist())) == [(3, 590), (17, 299), (40, 41)]
    assert (np.diff(found.similarity) <= 0).all()
    assert found.nearest[[590, 3, 299, 17, 40, 41]].tolist() == [3, 590, 17, 299, 41, 40]
    assert shares == sorted(shares)
    assert shares[-1] <= 1


def test_an_unusual_image_is_the_most_isolated() -> None:
    images = toy_images(300).images.copy()
    images[123] = np.random.default_rng(0).integers(0, 256, (28, 28))
    found = Lookalikes.of(images)
    assert found.isolation.argmax() == 123
    assert found.nearest[123] != 123


@pytest.mark.parametrize("size", [2, NEIGHBOURS, NEIGHBOURS + 2])
def test_few_images_have_few_neighbours(size: int) -> None:
    found = Lookalikes.of(toy_images(size).images)
    assert found.isolation.shape == (size,)
    assert found.pairs.shape[1] == 2


def test_black_images_are_like_none() -> None:
    images = toy_images(20).images.copy()
    images[[4, 14]] = 0
    found = Lookalikes.of(images)
    assert not {4, 14} & set(found.pairs.ravel().tolist())
    assert np.isfinite(found.isolation).all()
    assert fine_similarity(images[[4]], images[[14]]).tolist() == [0]

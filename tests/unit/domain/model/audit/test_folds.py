"""Equal images are found wherever they are, and no fold's model sees an image of its own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.audit.folds import first_equal, folds_of
from fmnist.domain.model.errors import InvalidSetting
from fmnist.testing.data import toy_images

SIZE = 24
plants = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)), max_size=30)


@given(plants)
def test_every_planted_duplicate_is_found_and_no_other(planted: list[tuple[int, int]]) -> None:
    images = toy_images(SIZE).images.copy()
    source = list(range(SIZE))
    for copy, original in planted:
        images[copy], source[copy] = images[original], source[original]
    assert first_equal(images).tolist() == [source.index(one) for one in source]


def test_a_difference_of_one_grey_level_is_no_duplicate() -> None:
    images = toy_images(1).images.repeat(3, axis=0)
    images[2, 27, 27] ^= 1
    assert first_equal(images).tolist() == [0, 0, 2]


@given(plants, st.integers(2, 4))
def test_equal_images_share_a_fold_and_folds_are_even(planted: list[tuple[int, int]], count: int) -> None:
    images = toy_images(SIZE).images.copy()
    for copy, original in planted:
        images[copy] = images[original]
    first = first_equal(images)
    if len(set(first.tolist())) < count:
        with pytest.raises(InvalidSetting, match=f"at least {count} different images, found"):
            folds_of(first, np.arange(SIZE) % 10, count)
        return
    folds = folds_of(first, np.arange(SIZE) % 10, count)
    assert (folds == folds[first]).all()
    sizes = np.bincount(folds[np.unique(first)], minlength=count)
    assert sizes.max() - sizes.min() <= 1
    assert sizes.min() > 0


def test_each_stratum_is_spread_evenly_over_the_folds() -> None:
    strata = np.repeat([0, 1, 2], [400, 40, 8])
    folds = folds_of(np.arange(448), strata, 4)
    assert [np.bincount(folds[strata == one]).tolist() for one in range(3)] == [[100] * 4, [10] * 4, [2] * 4]
    assert (folds[:400] != np.arange(400) % 4).any(), "in random order"

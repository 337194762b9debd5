"""The validation split is stratified and reproducible."""

import numpy as np
import pytest

from fmnist.adapters.idx.splits import stratified_choice
from fmnist.domain.model.errors import InvalidSetting

_LABELS = np.random.default_rng(7).permutation(np.arange(200, dtype=np.uint8) % 10)


def test_every_class_is_drawn_equally_often() -> None:
    chosen = stratified_choice(_LABELS, 50, seed=0)
    assert np.bincount(_LABELS[chosen]).tolist() == [5] * 10


def test_equal_seeds_draw_the_same_rows_and_others_do_not() -> None:
    first = stratified_choice(_LABELS, 50, seed=3)
    assert np.array_equal(first, stratified_choice(_LABELS, 50, seed=3))
    assert not np.array_equal(first, stratified_choice(_LABELS, 50, seed=4))


def test_the_drawn_rows_never_change_between_releases() -> None:
    labels = np.arange(200, dtype=np.uint8) % 10
    drawn = np.flatnonzero(stratified_choice(labels, 10, seed=0))
    assert drawn.tolist() == [29, 57, 68, 74, 111, 125, 152, 180, 183, 186]


@pytest.mark.parametrize("size", [-10, 0, 5, 55, 200, 1000])
def test_a_size_that_cannot_be_even_is_refused(size: int) -> None:
    with pytest.raises(InvalidSetting, match=rf"val_size {size}: expected a multiple of 10 from 10 to 190"):
        stratified_choice(_LABELS, size, seed=0)

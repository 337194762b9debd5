"""Normalization is the contract's formula, and refuses values that are not finite numbers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.data.images import SIDE
from fmnist.domain.model.data.normalization import Normalization
from fmnist.domain.model.errors import CorruptData

# Pixels 0-255 that are not all equal have a standard deviation well above 1e-4 in any split of up to 1e6 images.
normalizations = st.builds(Normalization, mean=st.floats(0, 1), std=st.floats(1e-4, 1))
EVERY_PIXEL = np.resize(np.arange(256, dtype=np.uint8), (2, SIDE, SIDE))


def metadata(**train: Any) -> dict[str, Any]:
    return {"metrics": {"train": train}}


@given(normalizations)
def test_apply_is_the_contract_s_formula_for_every_pixel(normalization: Normalization) -> None:
    expected = (EVERY_PIXEL[:, np.newaxis] / 255 - normalization.mean) / normalization.std
    inputs = normalization.apply(EVERY_PIXEL)
    assert inputs.dtype == np.float32
    assert inputs.shape == (2, 1, SIDE, SIDE)
    np.testing.assert_allclose(inputs, expected, rtol=1e-5, atol=2e-7 / normalization.std)


def test_apply_does_not_change_the_images() -> None:
    images = EVERY_PIXEL.copy()
    Normalization(0.286, 0.353).apply(images)
    np.testing.assert_array_equal(images, EVERY_PIXEL)


def test_from_metadata_reads_the_train_split() -> None:
    content = metadata(pixel_mean=0.286, pixel_std=0.353)
    content["metrics"]["val"] = {"pixel_mean": 0.5, "pixel_std": 0.5}
    assert Normalization.from_metadata(content) == Normalization(0.286, 0.353)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"metrics": None},
        {"metrics": {"train": []}},
        {"metrics": {"train": "pixel_mean"}},
        metadata(pixel_mean=0.286),
        metadata(pixel_std=0.353),
        metadata(pixel_mean="0.286", pixel_std=0.353),
        metadata(pixel_mean=0.286, pixel_std=True),
        metadata(pixel_mean=None, pixel_std=0.353),
        metadata(pixel_mean=float("nan"), pixel_std=0.353),
        metadata(pixel_mean=0.286, pixel_std=float("inf")),
        metadata(pixel_mean=10**400, pixel_std=0.353),
        metadata(pixel_mean=-0.001, pixel_std=0.353),
        metadata(pixel_mean=1.001, pixel_std=0.353),
        metadata(pixel_mean=0.286, pixel_std=0),
        metadata(pixel_mean=72.9, pixel_std=90.0),
    ],
)
def test_metadata_without_usable_numbers_is_corrupt(content: dict[str, Any]) -> None:
    with pytest.raises(CorruptData, match=r"pixel_(mean|std)"):
        Normalization.from_metadata(content)


def test_agrees_with_tolerates_only_rounding() -> None:
    one = Normalization(0.286041, 0.353024)
    assert one.agrees_with(Normalization(0.2860412, 0.3530238))
    assert not one.agrees_with(Normalization(0.28605, 0.353024))
    assert not one.agrees_with(Normalization(0.286041, 0.35304))

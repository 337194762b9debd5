"""The metadata equals the result of a slow and simple count of the data."""

import json

import hypothesis.extra.numpy as arrays
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.data.metadata import check_split, describe, pixel_statistics
from fmnist.domain.model.data.normalization import Normalization
from fmnist.domain.model.errors import CorruptData
from fmnist.testing.data import toy_images, toy_splits


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 5), st.just(2))))
def test_pixel_statistics_equal_those_of_the_pixels_as_floats(pixels: npt.NDArray[np.uint8]) -> None:
    values = pixels / 255
    assert pixel_statistics(pixels) == pytest.approx(
        {
            "pixel_mean": values.mean(),
            "pixel_std": values.std(),
            "pixel_min": values.min(),
            "pixel_max": values.max(),
            "pixel_median": np.median(values),
        },
        abs=1e-12,
    )


def test_metadata_has_the_form_of_the_platform_contract() -> None:
    metadata = json.loads(json.dumps(describe(toy_splits(train=25, val=10, test=0))))
    assert metadata["dataset"].keys() == {"name", "description", "source"}
    assert metadata["schema"]["features"]["image"] == {"dtype": "uint8", "shape": [28, 28]}
    assert metadata["schema"]["features"]["label"]["classes"] == dict(zip("0123456789", CLASS_NAMES, strict=True))
    assert metadata["splits"]["train"]["num_samples"] == 25
    assert metadata["splits"]["train"]["num_features"] == 784
    assert metadata["splits"]["train"]["class_distribution"]["T-shirt/top"] == 3
    assert metadata["splits"]["train"]["class_distribution"]["Ankle boot"] == 2
    assert metadata["metrics"].keys() == metadata["splits"].keys() == {"train", "val"}
    assert 0 < Normalization.from_metadata(metadata).mean < 1


def test_a_split_that_does_not_match_its_metadata_is_refused() -> None:
    metadata = describe(toy_splits(train=20))
    check_split(metadata, "train", toy_images(20))
    with pytest.raises(CorruptData, match=r"'train': metadata promises num_samples 20, found 30"):
        check_split(metadata, "train", toy_images(30))
    all_the_same = LabeledImages(toy_images(20).images, np.zeros(20, dtype=np.uint8))
    with pytest.raises(CorruptData, match=r"'train': metadata promises class_distribution"):
        check_split(metadata, "train", all_the_same)
    with pytest.raises(CorruptData, match=r"does not describe split 'extra'"):
        check_split(metadata, "extra", toy_images(20))

"""Corruptions: severity 0 changes nothing, each severity is worse than the one before, and pixels stay as they were."""

import hashlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fmnist.adapters.pillow.corruptions import corrupt
from fmnist.domain.model.evaluation.robustness import SEVERITIES, Corruption

# Roofs of grey, each at another place: they have all levels and no symmetry that a corruption could keep.
_CENTRES = np.random.default_rng(0).integers(9, 20, (60, 2, 1))
_DOWN, _RIGHT = np.abs(np.arange(28) - _CENTRES).swapaxes(0, 1)
IMAGES = np.clip(255 - 20 * _RIGHT[:, np.newaxis, :] - 9 * _DOWN[:, :, np.newaxis], 0, 255).astype(np.uint8)
# Of the pixels of each severity, under the locked versions of Pillow and NumPy.
HASHES = {
    Corruption.NOISE: "2b1b9e89 62a66f69 9240b4ec 7f86e345 ceb65e27",
    Corruption.BLUR: "215d51e8 116e3260 204456d5 2e3e45f0 95fb7993",
    Corruption.CONTRAST: "cd73e908 3176ff2d 484b47b1 e181bcf2 8c518e66",
    Corruption.BRIGHTNESS: "f2a04eb0 983b37d8 856f779c 494f4bff 94b3535f",
    Corruption.SHIFT: "398af41a 549b2786 e5aadf15 a2b47ab5 b4560270",
    Corruption.ROTATION: "b4ec84f8 3e01af3d 1ac743ae 3b616bca da72fc1c",
    Corruption.SCALE: "fff2f30c fd1aa4c5 5cf5c45f 2601f701 57e83b97",
    Corruption.OCCLUSION: "874d796e 35452b68 f715185c 26e49bf6 6c56fe58",
    Corruption.JPEG: "b468e4b6 cafa3e58 fb922a7c 72db3f65 67cc0d00",
    Corruption.PIXELATION: "e7f2a295 ddaaaf70 73e9eaae bf02cfa2 2783eda1",
    Corruption.INVERSION: "007eea04 ab2b955e 0fe9399c 64e3a123 fd53af9d",
}

corruptions = pytest.mark.parametrize("corruption", list(Corruption))


def digest(corruption: Corruption, severity: int) -> str:
    return hashlib.sha256(corrupt(IMAGES, corruption, severity).tobytes()).hexdigest()[:8]


@given(arrays(np.uint8, (2, 28, 28)), st.sampled_from(Corruption))
def test_severity_0_is_the_identity(images: np.ndarray, corruption: Corruption) -> None:  # type: ignore[type-arg]
    np.testing.assert_array_equal(corrupt(images, corruption, 0), images)


@corruptions
def test_pixels_of_every_severity_stay_as_they_were(corruption: Corruption) -> None:
    assert [digest(corruption, severity) for severity in SEVERITIES] == HASHES[corruption].split()


@corruptions
def test_each_severity_is_worse_than_the_one_before(corruption: Corruption) -> None:
    changed = [corrupt(IMAGES, corruption, severity) for severity in SEVERITIES]
    assert all((each.dtype, each.shape) == (np.uint8, IMAGES.shape) for each in changed)
    distances = [np.abs(each.astype(int) - IMAGES).mean() for each in (IMAGES, *changed)]
    assert all(before < after for before, after in pairwise(distances))


@corruptions
def test_a_row_changes_alike_whatever_rows_follow(corruption: Corruption) -> None:
    for severity in SEVERITIES:
        np.testing.assert_array_equal(
            corrupt(IMAGES[:7], corruption, severity), corrupt(IMAGES, corruption, severity)[:7]
        )


def test_corruptions_do_not_change_their_input() -> None:
    before = IMAGES.copy()
    for corruption in Corruption:
        corrupt(IMAGES, corruption, 5)
    np.testing.assert_array_equal(IMAGES, before)

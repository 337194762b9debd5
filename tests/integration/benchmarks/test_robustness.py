"""The digits that models are compared on look like those of the training: light on black, with a margin."""

from pathlib import Path

import numpy as np
import pytest


def test_digits_are_light_on_black(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "benchmarks")
    import robustness

    found = robustness.digits()
    assert (found.shape, found.dtype, found.max()) == ((1797, 28, 28), np.uint8, 255)
    assert found[:, :4].max() == found[:, :, -4:].max() == 0
    assert np.median(found) < 64

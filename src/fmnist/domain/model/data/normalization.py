"""The formula from pixels to the network's input. Training and serving both use it.

`(x / 255 - mean) / std`, with the train split's mean and standard deviation in [0, 1] units (platform contract).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.images import Images
from fmnist.domain.model.errors import CorruptData


@dataclass(frozen=True, slots=True)
class Normalization:
    """Mean and standard deviation of the train split's pixels, both in [0, 1] units.

    Raises:
        CorruptData: a mean outside [0, 1], or a standard deviation outside (0, 1].
    """

    mean: float
    std: float

    def __post_init__(self) -> None:
        if not 0 <= self.mean <= 1:
            raise CorruptData(f"pixel_mean must lie in [0, 1], found {self.mean}")
        if not 0 < self.std <= 1:
            raise CorruptData(f"pixel_std must lie in (0, 1], found {self.std}")

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Self:
        """Read `metrics.train.pixel_mean` and `pixel_std` of a data version's `metadata.json`.

        Raises:
            CorruptData: one of them is absent or not a number.
        """
        try:
            train = metadata["metrics"]["train"]
            mean, std = train["pixel_mean"], train["pixel_std"]
        except (KeyError, TypeError) as error:
            raise CorruptData(f"metadata has no metrics.train.pixel_mean and pixel_std: {error!r}") from error
        for name, value in (("pixel_mean", mean), ("pixel_std", std)):
            if type(value) not in (int, float):
                raise CorruptData(f"metadata's metrics.train.{name} must be a number, found {type(value).__name__}")
        return cls(mean=mean, std=std)

    def apply(self, images: Images) -> npt.NDArray[np.float32]:
        """Turn a uint8 batch (n, 28, 28) into the network's input, float32 (n, 1, 28, 28)."""
        inputs = images.astype(np.float32)[:, np.newaxis]
        inputs /= np.float32(255)
        inputs -= np.float32(self.mean)
        inputs /= np.float32(self.std)
        return inputs

    def agrees_with(self, other: "Normalization") -> bool:
        """Whether both give the same network input, up to float32 rounding."""
        return math.isclose(self.mean, other.mean, abs_tol=1e-6) and math.isclose(self.std, other.std, abs_tol=1e-6)

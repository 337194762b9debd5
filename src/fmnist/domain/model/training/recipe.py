"""How a network is trained, on any hardware, as one frozen value."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from fmnist.domain.model.data.images import SIDE
from fmnist.domain.model.validation import check, check_choice, check_count, check_types, known_fields

Architecture = Literal["cnn", "cnn-wide", "cnn-large", "resnet18", "resnet18-3x3", "wrn-16-2", "wrn-40-4"]
Optimizer = Literal["adamw", "sgd"]
Schedule = Literal["constant", "one_cycle"]
Precision = Literal["float32", "bfloat16"]

ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)
# Batch normalization needs two values per channel; the last layers of `resnet18` have one for each image.
_LEAST_BATCH: Mapping[Architecture, int] = {"resnet18": 2}
_MOST_FADED = 126  # black stays darker than white
_LARGEST = 1e38  # the range of float32, in which networks compute, ends near this


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is trained. The defaults are those of the platform contract's flags.

    Attributes:
        batch_size: images per worker and step.
        lr: the constant learning rate, or the peak of a one-cycle schedule.
        weight_decay: decoupled for adamw, L2 for sgd.
        label_smoothing: share of the target that is spread over all classes, in [0, 1).
        flip: whether each training image is mirrored left to right in every other epoch.
        shift: largest shift of a training image along either axis, in pixels.
        erase: side, in pixels, of a square that is made black at a random place in each training image.
        fade: most levels of 255 by which black rises and white falls in a quarter of the training images; None is 0.
        coarse_epochs: number of first epochs on images of half the side, which take half of the time; None is 0.
        precision: number format of the network on a GPU; a CPU always computes in float32.
        compile: whether the network is compiled first; on a GPU only.
    """

    architecture: Architecture = "resnet18"
    optimizer: Optimizer = "adamw"
    schedule: Schedule = "constant"
    batch_size: int = 128
    lr: float = 0.001
    max_epochs: int = 2
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    flip: bool = False
    shift: int = 0
    erase: int = 0
    fade: int | None = None  # optional, because runs of earlier versions lack it, as the next one
    coarse_epochs: int | None = None
    precision: Precision = "float32"
    compile: bool = False

    def __post_init__(self) -> None:
        check_types(self)
        check_choice("architecture", self.architecture, ARCHITECTURES)
        check_choice("optimizer", self.optimizer, get_args(Optimizer))
        check_choice("schedule", self.schedule, get_args(Schedule))
        check_choice("precision", self.precision, get_args(Precision))
        check_count("batch_size", self.batch_size)
        check_count("max_epochs", self.max_epochs)
        check(math.isfinite(self.lr) and self.lr > 0, "lr", "above 0", self.lr)
        check(self.lr <= _LARGEST, "lr", f"at most {_LARGEST:g}", self.lr)
        check(0 <= self.weight_decay <= _LARGEST, "weight_decay", f"in [0, {_LARGEST:g}]", self.weight_decay)
        check(0 <= self.label_smoothing < 1, "label_smoothing", "in [0, 1)", self.label_smoothing)
        for name, pixels in (("shift", self.shift), ("erase", self.erase)):
            check_count(name, pixels, least=0, most=SIDE - 1)
        if self.fade is not None:
            check_count("fade", self.fade, least=0, most=_MOST_FADED)
        if self.coarse_epochs is not None:
            check_count("coarse_epochs", self.coarse_epochs, least=0)
            below = f"below max_epochs ({self.max_epochs})"
            check(self.coarse_epochs < self.max_epochs, "coarse_epochs", below, self.coarse_epochs)

    @property
    def least_batch(self) -> int:
        """Smallest batch of a training step that the architecture can use, in images."""
        # The last layers of `cnn` have one value for each coarse image, too.
        return max(_LEAST_BATCH.get(self.architecture, 1), 2 if self.coarse_epochs else 1)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Make a recipe from the values of a preset file. An absent value keeps its default.

        Raises:
            InvalidSetting: a name is not an attribute, or a value is not allowed.
        """
        return cls(**known_fields(cls, "a recipe", values))

    def identity(self) -> dict[str, Any]:
        """Return the values that name this training. Without fading, they are those of earlier releases."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "fade" or value}

    def override(self, **values: Any) -> Self:
        """Return a copy of this recipe with those given values that are not None."""
        return dataclasses.replace(self, **{name: value for name, value in values.items() if value is not None})

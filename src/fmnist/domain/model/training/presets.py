"""The named recipes. `fast` is the default. `resnet18` has the defaults of the platform contract's flags."""

from collections.abc import Mapping

from fmnist.domain.model.training.recipe import Recipe

_FADE = 96
_BASE = Recipe(
    architecture="cnn",
    optimizer="sgd",
    schedule="one_cycle",
    batch_size=128,
    lr=0.2,
    max_epochs=8,
    weight_decay=5e-4,
    label_smoothing=0.1,
    flip=True,
    precision="bfloat16",
)

_BEST = _BASE.override(architecture="wrn-40-4", batch_size=256, max_epochs=80, shift=2, erase=8, compile=True)

PRESETS: Mapping[str, Recipe] = {
    # Fewer than 60,000 parameters, about a minute on two cores.
    "fast": _BASE.override(fade=_FADE),
    # The shortest training to 90 %. In so few epochs mirroring costs accuracy.
    "sprint": _BASE.override(max_epochs=2, coarse_epochs=1, flip=False),
    # Fewer than 300,000 parameters, some minutes on two cores.
    "small": _BASE.override(architecture="cnn-wide", max_epochs=12, fade=_FADE),
    # The next three are designed for a GPU, and not yet measured on one. The shortest training to 94 %.
    "speedrun": _BASE.override(architecture="cnn-large", batch_size=512, lr=0.5, max_epochs=10, compile=True),
    # At most a million parameters.
    "small-1m": _BEST.override(architecture="wrn-16-2", max_epochs=150),
    # Within 8 minutes on an H100, if it trains 9,200 images/s.
    "best": _BEST,
    "resnet18": Recipe(),
}

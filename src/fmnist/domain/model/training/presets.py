"""The named recipes. `fast` is the default. `resnet18` has the defaults of the platform contract's flags."""

from collections.abc import Mapping

from fmnist.domain.model.training.recipe import Recipe

# Fewer than 60,000 parameters, about a minute on two cores.
_FAST = Recipe(
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

PRESETS: Mapping[str, Recipe] = {
    "fast": _FAST,
    # Fewer than 300,000 parameters, some minutes on two cores.
    "small": _FAST.override(architecture="cnn-wide", max_epochs=12),
    # For a GPU.
    "best": Recipe(
        architecture="wrn-40-4",
        optimizer="sgd",
        schedule="one_cycle",
        batch_size=256,
        lr=0.2,
        max_epochs=100,
        weight_decay=5e-4,
        label_smoothing=0.1,
        flip=True,
        shift=2,
        erase=8,
        precision="bfloat16",
        compile=True,
    ),
    "resnet18": Recipe(),
}

"""The recipes that have a name. `fast` is the default; `resnet18` is what the platform contract's flags describe."""

from collections.abc import Mapping

from fmnist.domain.model.recipe import Recipe

# Seconds on a laptop, with fewer than 60,000 parameters. A GPU would compile for longer than it trains.
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
    # The most that fewer than 300,000 parameters learn in minutes.
    "small": _FAST.override(architecture="cnn-wide", max_epochs=12),
    # For a GPU: a CPU takes days.
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
    # The contract's flags.
    "resnet18": Recipe(),
}

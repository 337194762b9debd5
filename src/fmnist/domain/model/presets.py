"""The recipes that have a name. `fast` is the default; `resnet18` is what the platform contract's flags describe."""

from collections.abc import Mapping

from fmnist.domain.model.recipe import Recipe

PRESETS: Mapping[str, Recipe] = {
    "fast": Recipe(
        architecture="cnn",
        optimizer="sgd",
        schedule="one_cycle",
        batch_size=128,
        lr=0.2,
        max_epochs=6,
        weight_decay=5e-4,
        label_smoothing=0.1,
        flip=True,
    ),
    "resnet18": Recipe(),
}

"""Compares what makes training fast on a GPU with plain references: steps with float32, augmentation with numpy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from fmnist.adapters.torch.augmentation import augment
from fmnist.adapters.torch.compilation import compiled
from fmnist.adapters.torch.networks import build_network
from fmnist.adapters.torch.precision import full_precision
from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.domain.model.data.images import SIDE, Images
from fmnist.domain.model.training.recipe import Architecture, Recipe

SHIFT, ERASE = 2, 8


@dataclass(frozen=True, slots=True)
class Variant:
    """How a step is computed."""

    channels_last: bool = False
    compile: bool = False
    bfloat16: bool = False

    @property
    def most(self) -> dict[str, float]:
        """Largest distance from the reference, relative to its length. A wrong sign would give 2, a zero 1.

        A rounded activation may change its sign, so gradients of deep networks differ more than logits.
        """
        return {"logits": 0.05, "gradient": 0.7} if self.bfloat16 else {"logits": 1e-3, "gradient": 0.1}


REFERENCE = Variant()
VARIANTS = {
    "channels_last": Variant(channels_last=True),
    "compiled": Variant(compile=True),
    "bfloat16": Variant(bfloat16=True),
    "as in training": Variant(channels_last=True, compile=True, bfloat16=True),
}


def table_of_checks(
    architectures: Sequence[Architecture], data: LabeledImages, device: torch.device
) -> list[list[str]]:
    """Return table rows with the distances of each variant. The last cell says whether they are within their limits."""
    wrong = wrong_versions(augmented(data.images, device), data.images)
    rows = [
        ["what", "logits (at most)", "gradient (at most)", "fine"],
        [f"augmentation: {wrong} of {len(data)} images wrong", "-", "-", "no" if wrong else "yes"],
    ]
    for architecture in architectures:
        for name, variant in VARIANTS.items():
            found = distances(architecture, variant, data, device)
            fine = all(found[part] <= most for part, most in variant.most.items())
            cells = [f"{found[part]:.2g} ({most:g})" for part, most in variant.most.items()]
            rows.append([f"{architecture}, {name}", *cells, "yes" if fine else "no"])
    return rows


def distances(
    architecture: Architecture, variant: Variant, data: LabeledImages, device: torch.device
) -> dict[str, float]:
    """Return how far logits and gradient of a variant's first step are from the reference, relative to its length."""
    found, expected = (first_step(architecture, each, data, device) for each in (variant, REFERENCE))
    return {name: float((found[name] - exact).norm() / exact.norm()) for name, exact in expected.items()}


def first_step(
    architecture: Architecture, variant: Variant, data: LabeledImages, device: torch.device
) -> dict[str, torch.Tensor]:
    """Return the logits and the gradient of a network's first step, as flat float64 on the CPU."""
    torch.manual_seed(0)
    network = build_network(architecture).to(device).train()
    layout = torch.channels_last if variant.channels_last else torch.contiguous_format
    network.to(memory_format=layout)  # type: ignore[call-overload]  # absent from its stubs
    # On a CPU, only the capture of the graph is compared: its compilation takes half a minute.
    run = compiled(network, "inductor" if device.type == "cuda" else "aot_eager") if variant.compile else network
    inputs = (torch.tensor(data.images).to(device).unsqueeze(1) / 255 - 0.3).contiguous(memory_format=layout)
    with full_precision():
        with torch.autocast(device.type, torch.bfloat16, enabled=variant.bfloat16):
            logits = run(inputs)
            loss = functional.cross_entropy(logits, torch.tensor(data.labels).long().to(device), label_smoothing=0.1)
        loss.backward()  # type: ignore[no-untyped-call]
    gradients = [weight.grad.flatten() for weight in network.parameters() if weight.grad is not None]
    flat = {"logits": logits.detach().flatten(), "gradient": torch.cat(gradients)}
    return {name: tensor.double().cpu() for name, tensor in flat.items()}


def augmented(images: Images, device: torch.device) -> Images:
    """Return images that the device has mirrored, shifted and erased."""
    recipe = Recipe(flip=True, shift=SHIFT, erase=ERASE)
    return augment(torch.tensor(images).to(device), recipe, epoch=0, seed=1, epoch_seed=2).cpu().numpy()


def wrong_versions(found: Images, images: Images) -> int:
    """Return how many of `found` are not the image of the same row, mirrored, shifted and erased."""
    return sum(not _is_version(each, image) for each, image in zip(found, images, strict=True))


def _is_version(found: Images, image: Images) -> bool:
    """Whether a mirroring, a shift and a square of black pixels make `found` from the image. All are tried."""
    for view in (image, image[:, ::-1]):
        padded = np.pad(view, SHIFT)
        for down in range(2 * SHIFT + 1):
            for right in range(2 * SHIFT + 1):
                rows, columns = np.nonzero(found != padded[down : down + SIDE, right : right + SIDE])
                if not rows.size:
                    return True
                square = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
                if max(found[square].shape) <= ERASE and not found[square].any():
                    return True
    return False

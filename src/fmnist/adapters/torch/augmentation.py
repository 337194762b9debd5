"""Augments all training images before each epoch, on their device. It never changes labels.

It augments a whole epoch at once, because a few large operations cost less than many small ones.
"""

import torch
from torch.nn import functional

from fmnist.domain.model.data.images import SIDE
from fmnist.domain.model.training.recipe import Recipe


def augment(images: torch.Tensor, recipe: Recipe, *, epoch: int, seed: int, epoch_seed: int) -> torch.Tensor:
    """Return the epoch's images. The same arguments give the same images, on the same model of device.

    Args:
        images: uint8 (n, 28, 28), not changed.
        seed: seed of the choice that all epochs share: which half is mirrored first.
        epoch_seed: seed of everything that differs between epochs.
    """
    if recipe.flip:
        images = _mirrored(images, odd=bool(epoch % 2), random=_generator(images.device, seed))
    random = _generator(images.device, epoch_seed)
    if recipe.shift:
        images = _shifted(images, recipe.shift, random)
    if recipe.erase:
        images = _erased(images, recipe.erase, random)
    if recipe.fade:
        images = _faded(images, recipe.fade, random)
    return images


def _mirrored(images: torch.Tensor, *, odd: bool, random: torch.Generator) -> torch.Tensor:
    """Mirror a random half in even epochs and the other half in odd ones, so two epochs show every image both ways.

    Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", section 3.6.
    """
    first = torch.rand(len(images), generator=random, device=images.device) < 0.5
    return torch.where((first ^ odd)[:, None, None], images.flip(2), images)


def _shifted(images: torch.Tensor, most: int, random: torch.Generator) -> torch.Tensor:
    """Move each image by up to `most` pixels along both axes. New pixels are black, like the background."""
    windows = functional.pad(images, (most,) * 4).unfold(1, SIDE, 1).unfold(2, SIDE, 1)
    down, right = torch.randint(2 * most + 1, (2, len(images)), generator=random, device=images.device)
    return windows[torch.arange(len(images), device=images.device), down, right]


def _erased(images: torch.Tensor, side: int, random: torch.Generator) -> torch.Tensor:
    """Blacken a square in each image. Its center may be any pixel, so some squares lie partly outside.

    DeVries and Taylor 2017, "Improved Regularization of Convolutional Neural Networks with Cutout".
    """
    centers = torch.randint(SIDE, (2, len(images), 1), generator=random, device=images.device)
    first = centers - side // 2
    places = torch.arange(SIDE, device=images.device)
    rows, columns = (places >= first) & (places < first + side)
    return images.masked_fill(rows[:, :, None] & columns[:, None, :], 0)


def _faded(images: torch.Tensor, most: int, random: torch.Generator) -> torch.Tensor:
    """Raise black and lower white by up to `most` levels each, in a random quarter of the images, as in faded pictures.

    It changes contrast and brightness. Howard 2013, "Some Improvements on Deep Convolutional Neural Network Based Image
    Classification", section 2.2, also changes both at random.
    """
    drawn = torch.rand(3, len(images), generator=random, device=images.device)
    black, white = ((drawn[:2] * (most + 1)).clamp(max=most) * (drawn[2] < 0.25)).to(torch.int16)
    # Of 128, rounded down, so that the lightest pixel stays at most 255 - white. All products fit into 16 bits.
    contrast = 128 - (128 * (black + white) + 254) // 255
    faded: torch.Tensor = (images.to(torch.int16) * contrast[:, None, None] >> 7) + black[:, None, None]
    return faded.to(torch.uint8)


def _generator(device: torch.device, seed: int) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)

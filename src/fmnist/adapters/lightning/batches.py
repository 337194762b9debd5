"""Batches of one epoch, from tensors that are already on the device: no loader processes, no work on single images."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from fmnist.domain.model.data.dataset import LabeledImages

Batch = tuple[torch.Tensor, torch.Tensor]

_VALIDATION_BATCH = 1000


@dataclass(frozen=True, slots=True)
class TensorSplit:
    """Images uint8 (n, 28, 28) and labels int64 (n,) on one device."""

    images: torch.Tensor
    labels: torch.Tensor

    @classmethod
    def of(cls, data: LabeledImages, device: torch.device) -> "TensorSplit":
        """Copy a split to the device."""
        # A copy, because torch must not share memory that numpy marks as read-only.
        images, labels = torch.tensor(data.images), torch.tensor(data.labels)
        return cls(images.to(device), labels.to(device, torch.int64))

    def __len__(self) -> int:
        return len(self.labels)


class ShuffledBatches:
    """Full batches in a random order that depends only on `seed`. The epoch leaves out rows that fill no batch.

    A split smaller than one batch gives one batch with all of its rows.

    Args:
        augment: makes the epoch's images from the split's images. It is called before the first batch.
    """

    def __init__(
        self, split: TensorSplit, batch_size: int, seed: int, augment: Callable[[torch.Tensor], torch.Tensor]
    ) -> None:
        self._split = split
        self._size = min(batch_size, len(split))
        self._seed = seed
        self._augment = augment

    def __len__(self) -> int:
        return len(self._split) // self._size

    def __iter__(self) -> Iterator[Batch]:
        images = self._augment(self._split.images)
        order = torch.randperm(len(self._split), generator=torch.Generator().manual_seed(self._seed))
        order = order.to(self._split.labels.device)
        for step in range(len(self)):
            rows = order[step * self._size : (step + 1) * self._size]
            yield images[rows], self._split.labels[rows]


class OrderedBatches:
    """All rows of a split in its own order. The last batch may be smaller."""

    def __init__(self, split: TensorSplit) -> None:
        self._split = split

    def __len__(self) -> int:
        return math.ceil(len(self._split) / _VALIDATION_BATCH)

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self._split), _VALIDATION_BATCH):
            rows = slice(start, start + _VALIDATION_BATCH)
            yield self._split.images[rows], self._split.labels[rows]


def epoch_seed(seed: int, epoch: int, rank: int) -> int:
    """Derive the seed of one worker's epoch, so that an epoch repeated after a failure gives the same batches."""
    return (seed * 1_000_003 + epoch * 1_009 + rank) % 2**63

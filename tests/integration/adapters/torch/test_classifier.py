"""What a network fails on: the model's own faults are told apart from those of the machine."""

import numpy as np
import pytest
import torch
from torch import nn

from fmnist.adapters.torch.classifier import TorchClassifier
from fmnist.domain.model.errors import CorruptModel
from fmnist.testing.data import toy_info


class Failing(nn.Module):
    """A network that raises an error at each call."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        raise self.error


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_machine_without_memory_is_not_blamed_on_the_model(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        TorchClassifier(Failing(error), toy_info(), "cpu").logits(np.zeros((2, 1, 28, 28), np.float32))
    assert caught.value is error


def test_network_that_does_not_accept_images_is_corrupt() -> None:
    with pytest.raises(CorruptModel, match="size mismatch"):
        TorchClassifier(Failing(RuntimeError("size mismatch")), toy_info(), "cpu").logits(
            np.zeros((2, 1, 28, 28), np.float32)
        )

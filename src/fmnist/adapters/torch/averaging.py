"""An exponential moving average of a network's weights: steadier than the weights that a step has just moved."""

import copy

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class AveragedNetwork(nn.Module):
    """A network of its own, never trained, whose weights and batch norm statistics follow another's.

    torch's `AveragedModel` does the same and waits for the GPU at every step, to read its own step count.

    Args:
        decay: share of the average that a step leaves as it was.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(requires_grad=False)
        self._blend = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]  # not annotated

    def follow(self, network: nn.Module) -> None:
        """Move towards the other network, after one of its steps."""
        self._blend(_weights(self.network), _weights(network), 0)


def _weights(network: nn.Module) -> list[torch.Tensor]:
    """Return what is averaged, which shares memory with the network; counters are not."""
    return [value for value in network.state_dict().values() if value.is_floating_point()]

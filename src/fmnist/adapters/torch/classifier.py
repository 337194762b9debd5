"""A torch network as a `Classifier`, on a GPU where there is one."""

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from fmnist.domain.model.registry import ModelInfo
from fmnist.ports.model_store import Classifier


class TorchClassifier(Classifier):
    """Runs a network on `device`; `None` takes the GPU when there is one.

    Safe to call from many threads: the network is in evaluation mode and never changes.
    """

    def __init__(self, network: nn.Module, info: ModelInfo, device: str | None = None) -> None:
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._network = network.to(self._device)
        self._info = info

    @property
    def info(self) -> ModelInfo:
        return self._info

    def logits(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            outputs: torch.Tensor = self._network(torch.from_numpy(inputs).to(self._device))
        return outputs.float().cpu().numpy()

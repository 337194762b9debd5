"""A torch network as a `Classifier`, on the GPU if there is one."""

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from fmnist.adapters.torch.precision import full_precision
from fmnist.domain.model.model import ModelInfo, no_answer
from fmnist.ports.model_store import Classifier

# The machine causes these, not the model, so they are not CorruptModel.
_DEVICE_ERRORS = (torch.OutOfMemoryError, torch.AcceleratorError, MemoryError)


class TorchClassifier(Classifier):
    """Runs a network on `device` in full float32. `None` is the GPU if there is one, or else the CPU.

    Many threads may call it, because the network is in evaluation mode and never changes.

    Raises:
        CorruptModel: from `logits`, if the network does not accept the images.
    """

    def __init__(self, network: nn.Module, info: ModelInfo, device: str | None = None) -> None:
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._network = network.to(self._device)
        self._info = info

    @property
    def info(self) -> ModelInfo:
        return self._info

    def logits(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        try:
            with torch.inference_mode(), full_precision():
                outputs: torch.Tensor = self._network(torch.from_numpy(inputs).to(self._device))
                return outputs.float().cpu().numpy()
        except _DEVICE_ERRORS:
            raise
        except Exception as error:
            raise no_answer(len(inputs), error) from error

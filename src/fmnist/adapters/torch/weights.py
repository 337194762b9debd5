"""Reads weights: a state dict written by `torch.save`. It unpickles only tensors and plain values."""

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import nn

from fmnist.adapters.torch.classifier import TorchClassifier
from fmnist.adapters.torch.networks import build_network
from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.errors import CorruptModel
from fmnist.domain.model.model import ModelInfo
from fmnist.ports.model_store import TrainedWeights


def load_network(weights: TrainedWeights, source: BinaryIO | None = None) -> nn.Module:
    """Return the network with these weights on the CPU, in evaluation mode. `source` replaces the weights' file.

    The network divides its outputs by the weights' temperature, so that every saved form does.

    Raises:
        CorruptModel: the file does not exist, or does not fit this architecture.
    """
    network = build_network(weights.architecture)
    try:
        network.load_state_dict(load_tensors(source or Path(weights.path)))
    except (CorruptModel, RuntimeError, TypeError, AttributeError) as error:
        raise CorruptModel(f"{weights.path} does not hold weights of {weights.architecture}: {error}") from error
    return (network if weights.temperature == 1 else _Tempered(network, weights.temperature)).eval()


def load_tensors(source: BinaryIO | Path) -> Any:
    """Load tensors and plain values of `torch.save` onto the CPU.

    Raises:
        CorruptModel: it cannot be read, or holds other objects.
    """
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # Without torch's message, which advises to unpickle it nevertheless.
        raise CorruptModel("it is damaged, or holds more than tensors") from error
    except Exception as error:
        # On untrusted bytes, torch raises many types.
        raise CorruptModel(f"it cannot be read: {error!r}") from error


class _Tempered(nn.Module):
    """A network whose outputs are divided by a temperature."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(inputs)
        return logits / self.temperature


@dataclass(frozen=True, slots=True)
class WeightsClassifier:
    """A `ClassifierFactory` that contains the weights, so that a worker does not need their file."""

    weights: TrainedWeights
    state: bytes
    info: ModelInfo

    @classmethod
    def of(cls, weights: TrainedWeights, dataset: DatasetVersion) -> "WeightsClassifier":
        """Read the weights' file. Normalization and class names come from `dataset`, the training data."""
        info = ModelInfo(
            architecture=weights.architecture,
            normalization=dataset.normalization,
            class_names=dataset.class_names,
            lineage={},
            metrics={},
        )
        return cls(weights, Path(weights.path).read_bytes(), info)

    def __call__(self) -> TorchClassifier:
        return TorchClassifier(load_network(self.weights, io.BytesIO(self.state)), self.info)

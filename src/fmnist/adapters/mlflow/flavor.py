"""MLflow's pytorch flavour in its `pt2` form: a torch.export graph, as MLflow writes it.

Importing this takes seconds, torch and all: only what saves a model does so.
"""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import mlflow.pytorch
import numpy as np
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec
from torch import nn

from fmnist.domain.model.data.images import SIDE
from fmnist.domain.model.model import ModelInfo


def write_flavor(model: Model, network: nn.Module, info: ModelInfo, folder: Path, extra_files: Sequence[Path]) -> None:
    """Write MLflow's files into `folder`, which must not exist yet, for a network in evaluation mode on the CPU."""
    # Of two images: torch.export takes an example batch of one for a batch that is always one.
    example = np.zeros((2, 1, SIDE, SIDE), np.float32)
    float32 = np.dtype(np.float32)
    mlflow.pytorch.save_model(
        network,
        folder,
        mlflow_model=model,
        serialization_format="pt2",
        input_example=example,
        # Without names: with them MLflow's own scoring server passes a dictionary, which its flavour refuses.
        signature=ModelSignature(
            inputs=Schema([TensorSpec(float32, (-1, *example.shape[1:]))]),
            outputs=Schema([TensorSpec(float32, (-1, len(info.class_names)))]),
        ),
        extra_files=[str(file) for file in extra_files],
        # Inferring them would load the model in another process, which takes ten seconds.
        pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in ("mlflow", "numpy", "torch")],
    )

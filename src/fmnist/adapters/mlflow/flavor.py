"""Writes MLflow's pytorch flavour in its `pt2` form, a torch.export graph.

Importing this takes seconds, because it imports torch: only code that saves a model may import it.
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
    # Two images, because torch.export would fix the batch size at 1 for an example of one.
    example = np.zeros((2, 1, SIDE, SIDE), np.float32)
    float32 = np.dtype(np.float32)
    mlflow.pytorch.save_model(
        network,
        folder,
        mlflow_model=model,
        serialization_format="pt2",
        input_example=example,
        # No names: with names, MLflow's scoring server passes a dictionary, which its pytorch flavour refuses.
        signature=ModelSignature(
            inputs=Schema([TensorSpec(float32, (-1, *example.shape[1:]))]),
            outputs=Schema([TensorSpec(float32, (-1, len(info.class_names)))]),
        ),
        extra_files=[str(file) for file in extra_files],
        # MLflow would infer them by loading the model in another process, which takes ten seconds.
        pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in ("mlflow", "numpy", "torch")],
    )

"""Reads `MLmodel`, MLflow's file in a model artifact: the model's id, its signature, and when it was made."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlflow.models import Model
from mlflow.types import Schema, TensorSpec

from fmnist.adapters.mlflow import artifact
from fmnist.domain.model.errors import CorruptModel


def read_mlmodel(file: Path) -> tuple[str, Mapping[str, Any], float]:
    """Return `uuid`, `signature` and `created` of a `ModelPackage`.

    Raises:
        CorruptModel: the file is damaged, or has no id or no tensor signature.
    """
    artifact.read_file(file)  # checks its size
    try:
        model = Model.load(file)
        signature = {"inputs": _tensors(model.signature.inputs), "outputs": _tensors(model.signature.outputs)}
        created = datetime.fromisoformat(model.utc_time_created).replace(tzinfo=UTC).timestamp()
    except Exception as error:
        # The YAML may have any shape, because MLflow does not check it.
        raise CorruptModel(f"{file.name} is damaged: {error}") from error
    if not isinstance(model.model_uuid, str):
        raise CorruptModel(f"{file.name} has no model_uuid: fmnist did not save this artifact")
    return model.model_uuid, signature, created


def _tensors(schema: Schema) -> list[dict[str, Any]]:
    tensors = []
    for spec in schema:
        if not isinstance(spec, TensorSpec):
            raise CorruptModel(f"its signature must have only tensors, found {spec}")
        name = {"name": spec.name} if spec.name else {}
        tensors.append({**name, "dtype": spec.type.name, "shape": list(spec.shape)})
    return tensors

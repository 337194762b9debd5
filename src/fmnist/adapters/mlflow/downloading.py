"""Fetches named files of a registered version's artifact, and no other. Nothing of them is loaded here."""

from collections.abc import Collection
from pathlib import Path

import mlflow.artifacts
from mlflow.models.model import MLMODEL_FILE_NAME

from fmnist.adapters.mlflow import artifact
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.errors import translated
from fmnist.adapters.mlflow.patience import awaiting_files
from fmnist.domain.model.errors import CorruptModel, ModelNotFound

ONNX_FORM = tuple(f"{artifact.FOLDER}/{name}" for name in artifact.FILES)
TORCH_FORM = (*ONNX_FORM, artifact.PT2_FILE)
PACKAGE = (*ONNX_FORM, MLMODEL_FILE_NAME)


def download_artifact(
    connection: MlflowConnection, name: str, version: int, scratch: Path, files: Collection[str]
) -> Path:
    """Fetch these files, named from the artifact's folder, into `scratch`, and return it.

    Raises:
        ModelNotFound: no such version.
        CorruptModel: the artifact lacks one, or one is larger than any that fmnist saves.
        StoreUnavailable: the store does not answer.
    """
    client, tracking_uri = connection.client(), connection.tracking_uri.reveal()
    with translated(connection.tracking_uri, f"models:/{name}/{version}", missing=ModelNotFound):
        # Not the models:/ URI itself: MLflow would look that up in the global registry.
        root = client.get_model_version_download_uri(name, str(version))
        wanted: dict[str, list[str]] = {}
        for file in files:
            folder, _, last = file.rpartition("/")
            wanted.setdefault(folder, []).append(last)
        with awaiting_files():
            for folder, names in wanted.items():
                _expect(f"{root}/{folder}".rstrip("/"), names, tracking_uri)
            for folder, names in wanted.items():
                for each in names:
                    mlflow.artifacts.download_artifacts(
                        f"{root}/{folder}/{each}" if folder else f"{root}/{each}",
                        dst_path=str(scratch / folder),
                        tracking_uri=tracking_uri,
                    )
    return scratch


def _expect(folder: str, names: Collection[str], tracking_uri: str) -> None:
    # Looked at first, because stores do not tell apart what is not there and what they cannot read.
    there = mlflow.artifacts.list_artifacts(folder, tracking_uri=tracking_uri)
    # A folder of a file's name is no file: MLflow would fetch all that is in it.
    folders = {Path(entry.path).name for entry in there if entry.is_dir}
    sizes = {Path(entry.path).name: entry.file_size for entry in there if not entry.is_dir}
    if missing := [name for name in names if name not in sizes or name in folders]:
        raise CorruptModel(
            f"its artifact has no {', '.join(missing)} in {folder.rpartition('/')[2]}: it was not saved by fmnist, or "
            "its files were removed"
        )
    for name in names:
        artifact.check_size(name, sizes[name] or 0)

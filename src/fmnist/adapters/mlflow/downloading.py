"""Fetches a registered version's artifact, or the parts of it that are needed. Nothing of it is loaded here."""

from collections.abc import Collection
from pathlib import Path

import mlflow.artifacts
from mlflow.models.model import MLMODEL_FILE_NAME

from fmnist.adapters.mlflow import artifact
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.errors import translated
from fmnist.adapters.mlflow.patience import awaiting_files
from fmnist.domain.model.errors import CorruptModel, ModelNotFound

SERVING_PARTS = (artifact.FOLDER, MLMODEL_FILE_NAME)


def download_artifact(
    connection: MlflowConnection, name: str, version: int, scratch: Path, parts: Collection[str] | None = None
) -> Path:
    """Fetch these files and folders of the artifact into `scratch`, or all of it, and return the artifact's folder.

    Raises:
        ModelNotFound: no such version.
        CorruptModel: the artifact lacks a part, or a file that fmnist saves.
        StoreUnavailable: the store does not answer.
    """
    client, tracking_uri = connection.client(), connection.tracking_uri.reveal()
    with translated(connection.tracking_uri, f"models:/{name}/{version}", missing=ModelNotFound):
        # Not the models:/ URI itself: MLflow would look that up in the global registry.
        root = client.get_model_version_download_uri(name, str(version))
        with awaiting_files():
            _expect(f"{root}/{artifact.FOLDER}", artifact.FILES, tracking_uri)
            if parts is None:
                return Path(mlflow.artifacts.download_artifacts(root, dst_path=str(scratch), tracking_uri=tracking_uri))
            _expect(root, parts, tracking_uri)
            for part in parts:
                mlflow.artifacts.download_artifacts(f"{root}/{part}", dst_path=str(scratch), tracking_uri=tracking_uri)
    return scratch


def _expect(folder: str, names: Collection[str], tracking_uri: str) -> None:
    # Looked at first, because stores do not tell apart what is not there and what they cannot read.
    there = {Path(entry.path).name for entry in mlflow.artifacts.list_artifacts(folder, tracking_uri=tracking_uri)}
    if missing := [name for name in names if name not in there]:
        raise CorruptModel(
            f"its artifact has no {', '.join(missing)} in {folder.rpartition('/')[2]}: it was not saved by fmnist, or "
            "its files were removed"
        )

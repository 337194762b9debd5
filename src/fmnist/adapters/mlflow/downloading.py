"""Downloads named files of a registered version's artifact, and no others. It does not load them."""

import posixpath
from collections.abc import Collection, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow.artifacts
from mlflow.models.model import MLMODEL_FILE_NAME
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository
from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request

from fmnist.adapters.mlflow import artifact
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.errors import translated
from fmnist.domain.model.address import without_credentials
from fmnist.domain.model.errors import CorruptModel, InvalidSetting, ModelNotFound
from fmnist.domain.model.model import CARD_FILE

_DESCRIPTION = (
    f"{artifact.FOLDER}/{artifact.INFO_FILE}",
    f"{artifact.FOLDER}/{artifact.GOLDEN_FILE}",
    MLMODEL_FILE_NAME,
)
ONNX_FORM = (f"{artifact.FOLDER}/{artifact.ONNX_FILE}", *_DESCRIPTION)
TORCH_FORM = (artifact.PT2_FILE, *_DESCRIPTION)
_OPTIONAL = {f"{artifact.FOLDER}/{name}" for name in (artifact.REFERENCE_FILE, CARD_FILE)}
_PART = 2**20


def download_artifact(
    connection: MlflowConnection, name: str, version: int, scratch: Path, files: Collection[str]
) -> Path:
    """Download files into `scratch`, and return it. `files` are paths inside of the artifact.

    The reference of the traffic and the model card are downloaded too, if the artifact has them.

    Raises:
        ModelNotFound: no such version.
        CorruptModel: a file is missing, or larger than any that fmnist saves.
        InvalidSetting: the artifact lies in a kind of store that is not supported.
        StoreUnavailable: the store does not answer.
    """
    client, tracking_uri = connection.client(), connection.tracking_uri.reveal()
    with translated(connection.tracking_uri, f"models:/{name}/{version}", missing=ModelNotFound):
        # Not the models:/ URI, which MLflow would look up in its global registry.
        root = client.get_model_version_download_uri(name, str(version))
        wanted: dict[str, list[str]] = {}
        for file in files:
            folder, _, last = file.rpartition("/")
            wanted.setdefault(folder, []).append(last)
        there = set[str]()
        for folder, names in wanted.items():
            there |= {f"{folder}/{name}" for name in _expect(f"{root}/{folder}".rstrip("/"), names, tracking_uri)}
        repository = get_artifact_repository(root, tracking_uri=tracking_uri)
        for file in [*files, *sorted(_OPTIONAL & there)]:
            _fetch(repository, file, scratch)
    return scratch


def _expect(folder: str, names: Collection[str], tracking_uri: str) -> Collection[str]:
    """Check that these files are there and not too large, and return the names of all files there."""
    # Listed first, because a failed download does not tell a missing file from an unreadable one.
    there = mlflow.artifacts.list_artifacts(folder, tracking_uri=tracking_uri)
    # MLflow would download everything inside of a folder that has a file's name.
    folders = {Path(entry.path).name for entry in there if entry.is_dir}
    sizes = {Path(entry.path).name: entry.file_size for entry in there if not entry.is_dir}
    if missing := [name for name in names if name not in sizes or name in folders]:
        raise CorruptModel(
            f"its artifact has no {', '.join(missing)} in {folder.rpartition('/')[2]}: fmnist did not save it, or "
            "files were removed"
        )
    for name in names:
        artifact.check_size(name, sizes[name] or 0)
    return sizes.keys()


def _fetch(repository: ArtifactRepository, file: str, scratch: Path) -> None:
    # Not MLflow's download, which has no size limit: the listed size may be wrong.
    target, size = scratch / file, 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with closing(_parts(repository, file)) as parts, target.open("wb") as out:
        for part in parts:
            size += len(part)
            artifact.check_size(target.name, size)
            out.write(part)


def _parts(repository: ArtifactRepository, file: str) -> Generator[bytes]:
    match repository:
        case LocalArtifactRepository():
            with Path(repository.get_local_path(file)).open("rb") as content:
                yield from iter(lambda: content.read(_PART), b"")
        case HttpArtifactRepository():
            credentials = get_default_host_creds(repository.artifact_uri)
            with http_request(credentials, f"/{file}", "GET", stream=True) as response:
                response.raise_for_status()
                yield from response.iter_content(_PART)
        case S3ArtifactRepository():
            store: Any = repository  # not typed; nothing public gives its client
            bucket, prefix = store.parse_s3_compliant_uri(store.artifact_uri)
            owner = store._bucket_owner_params  # noqa: SLF001
            answer = store._get_s3_client().get_object(Bucket=bucket, Key=posixpath.join(prefix, file), **owner)  # noqa: SLF001
            with closing(answer["Body"]) as body:
                yield from body.iter_chunks(_PART)
        case RunsArtifactRepository() | ModelsArtifactRepository():
            yield from _parts(repository.repo, file)
        case _:
            raise InvalidSetting(
                f"its artifact is at {without_credentials(repository.artifact_uri)}: expected a directory, S3 or an "
                "MLflow server; start the server with --serve-artifacts for new runs, and register this version again"
            )

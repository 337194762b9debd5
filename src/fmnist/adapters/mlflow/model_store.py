"""Models in MLflow's registry. A model is saved in a run, without pickle. Only saving imports torch."""

import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Run
from mlflow.entities.model_registry import ModelVersion as RegistryEntry
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.models.model import MLMODEL_FILE_NAME

from fmnist.adapters.mlflow.artifact import read_card
from fmnist.adapters.mlflow.connection import MlflowConnection, all_pages
from fmnist.adapters.mlflow.downloading import ONNX_FORM, TORCH_FORM, download_artifact
from fmnist.adapters.mlflow.errors import translated
from fmnist.adapters.mlflow.mlmodel import read_mlmodel
from fmnist.adapters.mlflow.packed import PackedModel, PackedNetwork
from fmnist.adapters.mlflow.reference import read_reference
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.errors import CorruptModel, ModelNotFound, RunNotFound
from fmnist.domain.model.model import ModelInfo, ModelUri, ModelVersion, check_alias, check_model_name
from fmnist.domain.model.traffic.sketch import Sketch
from fmnist.ports.model_store import ModelPackage, ModelStore, TrainedWeights

_DESCRIPTION_LENGTH = 5000  # MLflow's database column for a version's description
_CUT = "\n\nThe rest is in the artifact, `extra_files/model_card.md`.\n"
_ARTIFACT = "model"  # platform contract: `runs:/RUN/model`


class MlflowModelStore(ModelStore):
    """A `ModelStore` that connects at its first call.

    Args:
        threads: threads of ONNX Runtime, which runs the models; 0 means all cores.
        on_gpu: tells whether models run on a GPU: then they run with torch instead. By default they never do.
    """

    def __init__(
        self, connection: MlflowConnection, threads: int = 0, *, on_gpu: Callable[[], bool] = lambda: False
    ) -> None:
        self._connection = connection
        self._uri = connection.tracking_uri
        self._threads = threads
        self._on_gpu = on_gpu

    def save(
        self,
        run_id: str,
        name: str,
        weights: TrainedWeights,
        info: ModelInfo,
        golden: Images,
        *,
        reference: Sketch | None = None,
        card: str | None = None,
    ) -> ModelVersion:
        check_model_name(name)
        client = self._connection.client()
        with translated(self._uri, f"run {run_id!r}", missing=RunNotFound):
            run = client.get_run(run_id)

        from fmnist.adapters.mlflow.saving import build_artifact

        model = Model(run_id=run_id)
        with tempfile.TemporaryDirectory(prefix="fmnist-model-") as scratch:
            # Built and checked before anything is stored, so that a bad model leaves nothing in MLflow.
            folder = build_artifact(model, weights, info, golden, card, Path(scratch), reference)
            logged = self._upload(run, model, folder, info)
        return self._register(name, logged.artifact_location, run_id, info.lineage, card, logged.model_id)

    def download(self, version: ModelVersion) -> ModelPackage:
        on_gpu = self._on_gpu()
        files = TORCH_FORM if on_gpu else ONNX_FORM
        with tempfile.TemporaryDirectory(prefix="fmnist-model-") as scratch:
            try:
                folder = download_artifact(self._connection, version.name, version.version, Path(scratch), files)
                uuid, signature, created = read_mlmodel(folder / MLMODEL_FILE_NAME)
                reference, card = read_reference(folder), read_card(folder)
                factory = PackedNetwork.read(folder) if on_gpu else PackedModel.read(folder, self._threads)
            except CorruptModel as error:
                raise CorruptModel(f"{version.uri}: {error}") from error
        return ModelPackage(
            version=version,
            uuid=uuid,
            signature=signature,
            created=created,
            factory=factory,
            reference=reference,
            card=card,
            golden=factory.golden.images,
        )

    def resolve(self, uri: str) -> ModelVersion:
        wanted, client = ModelUri.parse(uri), self._connection.client(uri, missing=ModelNotFound)
        with translated(self._uri, uri, missing=ModelNotFound):
            number = wanted.version
            if wanted.alias is not None:
                aliases = client.get_registered_model(wanted.name).aliases
                if wanted.alias not in aliases:
                    there = ", ".join(sorted(aliases)) or "none"
                    raise ModelNotFound(f"{uri}: {wanted.name} has no alias {wanted.alias!r}; its aliases: {there}")
                number = int(aliases[wanted.alias])
            return _version(client.get_model_version(wanted.name, str(number)))

    def versions(self, name: str) -> list[ModelVersion]:
        query = f"name = '{check_model_name(name)}'"
        if self._connection.is_new():
            return []
        client = self._connection.client()
        with translated(self._uri, f"versions of {name}"):
            found = all_pages(lambda token: client.search_model_versions(query, page_token=token))
            if not found:
                return []
            # A search does not return aliases.
            aliases = client.get_registered_model(name).aliases
        return sorted((_version(entry, aliases) for entry in found), key=lambda entry: entry.version, reverse=True)

    def copy(self, source: ModelVersion, name: str, tags: Mapping[str, str] | None = None) -> ModelVersion:
        # As MLflow's `copy_model_version`, which prints to the terminal.
        current, client = self.resolve(source.uri), self._connection.client()
        with translated(self._uri, source.uri, missing=ModelNotFound):
            card = client.get_model_version(source.name, str(source.version)).description
        return self._register(
            check_model_name(name), current.uri, current.run_id, {**current.tags, **(tags or {})}, card
        )

    def label(self, version: ModelVersion, *, alias: str | None = None, tags: Mapping[str, str] | None = None) -> None:
        client, number = self._connection.client(version.uri, missing=ModelNotFound), str(version.version)
        if alias is not None:
            check_alias(alias)
        with translated(self._uri, version.uri, missing=ModelNotFound):
            for key, value in (tags or {}).items():
                client.set_model_version_tag(version.name, number, key, value)
            if alias is not None:
                client.set_registered_model_alias(version.name, alias, number)

    def _upload(self, run: Run, model: Model, folder: Path, info: ModelInfo) -> LoggedModel:
        """Store the artifact as the run's model, as MLflow's `log_model`, but without active run and global URI."""
        client, run_id = self._connection.client(), run.info.run_id
        with translated(self._uri, f"the model of run {run_id!r}"):
            logged = client.create_logged_model(
                run.info.experiment_id, _ARTIFACT, run_id, tags=dict(info.lineage), params=run.data.params
            )
            try:
                model.artifact_path = logged.artifact_location
                model.model_id = model.model_uuid = logged.model_id
                model.save(str(folder / MLMODEL_FILE_NAME))
                client.log_model_artifacts(logged.model_id, str(folder))
                client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
                client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
            except BaseException:
                with suppress(Exception):
                    client.finalize_logged_model(logged.model_id, LoggedModelStatus.FAILED)
                raise
        return logged

    def _register(
        self,
        name: str,
        source: str,
        run_id: str,
        tags: Mapping[str, str],
        card: str | None,
        model_id: str | None = None,
    ) -> ModelVersion:
        client = self._connection.client()
        with translated(self._uri, f"registered model {name!r}", missing=ModelNotFound):
            try:
                client.create_registered_model(name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            return _version(
                client.create_model_version(
                    name, source, run_id or None, tags=dict(tags), description=_shown(card), model_id=model_id
                )
            )


def gpu_is_here() -> bool:
    """Return whether this machine has a GPU. Importing torch takes seconds, so the driver's device is checked first."""
    if Path("/dev/nvidiactl").exists() and find_spec("torch"):  # pragma: no cover - needs a GPU
        import torch

        return torch.cuda.is_available()
    return False


def _shown(card: str | None) -> str | None:
    """Cut a card to the length of a version's description. The artifact has the whole card."""
    if card is None or len(card) <= _DESCRIPTION_LENGTH:
        return card
    whole = card[: _DESCRIPTION_LENGTH - len(_CUT)]
    return whole[: whole.rfind("\n")] + _CUT


def _version(entry: RegistryEntry, aliases: Mapping[str, str] | None = None) -> ModelVersion:
    """Convert MLflow's entry. Entries of a search lack aliases: then `aliases` maps the model's aliases to versions."""
    number = int(entry.version)
    own = entry.aliases if aliases is None else [alias for alias, target in aliases.items() if int(target) == number]
    return ModelVersion(
        name=entry.name,
        version=number,
        run_id=entry.run_id or "",
        aliases=tuple(sorted(own)),
        tags=dict(entry.tags),
        created=entry.creation_timestamp / 1000,
    )

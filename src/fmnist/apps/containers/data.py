"""The data app: builds data versions, and runs the stages of the pipeline."""

from pathlib import Path

from dependency_injector import providers

from fmnist.adapters.dvc import stages
from fmnist.adapters.dvc.builder import RegistryBuilder
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.adapters.idx.sources import raw_directory
from fmnist.apps.containers.base import BaseContainer
from fmnist.apps.settings import Settings


def _builder(settings: Settings, registry: RegistrySettings, source: Path | None = None) -> RegistryBuilder:
    return RegistryBuilder(registry, downloads=_downloads(settings), source=source or settings.fmnist_raw_dir)


def _download(checkout: Path, settings: Settings) -> None:
    stages.download(raw_directory(downloads=_downloads(settings), source=settings.fmnist_raw_dir), checkout)


def _downloads(settings: Settings) -> Path:
    return settings.fmnist_home / "raw"


class DataContainer(BaseContainer):
    """The data registry, and the parts that write to it."""

    builder = providers.Factory(_builder, settings=BaseContainer.settings, registry=BaseContainer.registry_settings)
    download = providers.Callable(_download, settings=BaseContainer.settings)
    process = providers.Callable(stages.process)
    analyze = providers.Callable(stages.analyze)

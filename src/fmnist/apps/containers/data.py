"""The data app: builds data versions, and runs the stages of the pipeline."""

from pathlib import Path

from dependency_injector import providers

from fmnist.adapters.dvc import stages
from fmnist.adapters.dvc.builder import RegistryBuilder
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.adapters.idx.sources import raw_directory
from fmnist.apps.containers.base import BaseContainer
from fmnist.apps.settings import Settings


def builder(settings: Settings, registry: RegistrySettings, source: Path | None = None) -> RegistryBuilder:
    """Return the builder of data versions; `source` is a directory that holds the official files."""
    return RegistryBuilder(registry, downloads=_downloads(settings), source=source or settings.fmnist_raw_dir)


def download(checkout: Path, settings: Settings) -> None:
    """Copy the official files into a clone of a registry."""
    stages.download(raw_directory(downloads=_downloads(settings), source=settings.fmnist_raw_dir), checkout)


def _downloads(settings: Settings) -> Path:
    return settings.fmnist_home / "raw"


class DataContainer(BaseContainer):
    """The data registry, and the parts that write to it."""

    builder = providers.Factory(builder, settings=BaseContainer.settings, registry=BaseContainer.registry_settings)
    download = providers.Callable(download, settings=BaseContainer.settings)
    process = providers.Callable(stages.process)
    analyze = providers.Callable(stages.analyze)

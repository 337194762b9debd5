"""The data app: building versions, and the pipeline's stages."""

from dependency_injector import providers

from fmnist.adapters.dvc import stages
from fmnist.adapters.dvc.builder import RegistryBuilder
from fmnist.adapters.idx.sources import raw_directory
from fmnist.apps.containers.base import BaseContainer

_downloads = BaseContainer.settings.provided.fmnist_home.joinpath.call("raw")


class DataContainer(BaseContainer):
    """The base's registry to read from, and what writes to it."""

    builder = providers.Factory(RegistryBuilder, BaseContainer.registry_settings, downloads=_downloads)
    raw_directory = providers.Callable(
        raw_directory, downloads=_downloads, source=BaseContainer.settings.provided.fmnist_raw_dir
    )
    download = providers.Callable(stages.download, raw_directory)
    process = providers.Callable(stages.process)
    analyze = providers.Callable(stages.analyze)

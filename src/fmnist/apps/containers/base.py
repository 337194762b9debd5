"""What every app needs: the settings, and the data registry.

In every container, a provider calls a function or class with keyword arguments. The functions read the settings, so
that a type checker sees which setting goes where.
"""

from dependency_injector import containers, providers

from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.adapters.dvc.settings import RegistryPaths, RegistrySettings
from fmnist.apps.containers.s3 import s3_settings
from fmnist.apps.settings import Settings


def registry_settings(settings: Settings) -> RegistrySettings:
    """Return the location of the data registry, and the paths inside it."""
    return RegistrySettings(
        repo=settings.data_repo,
        remote=settings.dvc_remote,
        remote_url=settings.data_remote_url,
        paths=RegistryPaths(
            train=settings.dvc_train_data_path,
            val=settings.dvc_val_data_path,
            test=settings.dvc_test_data_path,
            metadata=settings.dvc_metrics_path,
        ),
        s3=s3_settings(settings),
    )


class BaseContainer(containers.DeclarativeContainer):
    """Settings and data registry."""

    settings = providers.Dependency(instance_of=Settings)
    registry_settings = providers.Factory(registry_settings, settings=settings)
    data_registry = providers.Singleton(DvcDataRegistry, settings=registry_settings)

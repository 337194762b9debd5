"""The compute on Ray. It imports little, so that its process can start before the rest of the train app is imported."""

from fmnist.adapters.parquet.files import SplitReader
from fmnist.adapters.parquet.storage import Storage
from fmnist.adapters.ray.isolation import IsolatedCompute, RayComputeFactory
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.apps.containers.storage import checkpoint_storage, s3_settings
from fmnist.apps.settings import Settings


def ray_compute(settings: Settings) -> IsolatedCompute:
    """Return the compute on the cluster of the settings. Its process starts at the first call, or by `start`."""
    factory = RayComputeFactory(
        cluster=ClusterSettings(address=settings.ray_address, verbose=settings.verbose),
        reader=SplitReader(Storage(s3_settings(settings))),
        storage=checkpoint_storage(settings),
    )
    return IsolatedCompute(factory)

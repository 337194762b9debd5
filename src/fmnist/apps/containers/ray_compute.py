"""The compute on Ray. It imports little, so that its process can start before the rest of the train app is imported."""

from fmnist.adapters.parquet.files import SplitReader
from fmnist.adapters.parquet.storage import S3Settings, Storage
from fmnist.adapters.ray.isolation import IsolatedCompute, RayComputeFactory
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.adapters.ray.storage import CheckpointStorage
from fmnist.apps.containers.s3 import s3_settings
from fmnist.apps.settings import Settings


def checkpoint_storage(settings: Settings) -> CheckpointStorage:
    """Return the storage of Ray's checkpoints. S3 has the data's credentials, and its own endpoint."""
    if settings.ray_storage_url is None:
        return CheckpointStorage(settings.ray_storage_location)
    data = s3_settings(settings)
    s3 = S3Settings(settings.ray_storage_url, data.access_key_id, data.secret_access_key, data.verify_tls)
    return CheckpointStorage(settings.ray_storage_location, s3)


def ray_compute(settings: Settings) -> IsolatedCompute:
    """Return the compute on the cluster of the settings. Its process starts at the first call, or by `start`."""
    factory = RayComputeFactory(
        cluster=ClusterSettings(address=settings.ray_address, verbose=settings.verbose),
        reader=SplitReader(Storage(s3_settings(settings))),
        storage=checkpoint_storage(settings),
    )
    return IsolatedCompute(factory)

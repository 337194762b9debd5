"""The S3 settings of data, and the storage of checkpoints."""

from fmnist.adapters.parquet.storage import S3Settings
from fmnist.adapters.ray.storage import CheckpointStorage
from fmnist.apps.settings import Settings


def s3_settings(settings: Settings) -> S3Settings:
    """Return the S3 settings for data."""
    secret = settings.aws_secret_access_key
    return S3Settings(
        endpoint_url=settings.aws_endpoint_url,
        access_key_id=settings.aws_access_key_id,
        secret_access_key=secret.get_secret_value() if secret else None,
        verify_tls=not settings.aws_no_verify_ssl,
    )


def checkpoint_storage(settings: Settings) -> CheckpointStorage:
    """Return the storage of Ray's checkpoints. S3 has the data's credentials, and its own endpoint."""
    if settings.ray_storage_url is None:
        return CheckpointStorage(settings.ray_storage_location)
    data = s3_settings(settings)
    s3 = S3Settings(settings.ray_storage_url, data.access_key_id, data.secret_access_key, data.verify_tls)
    return CheckpointStorage(settings.ray_storage_location, s3)

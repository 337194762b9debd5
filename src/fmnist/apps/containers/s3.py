"""The S3 settings of data."""

from fmnist.adapters.parquet.storage import S3Settings
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

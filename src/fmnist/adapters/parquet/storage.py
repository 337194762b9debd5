"""Reads whole files by URI, from a disk or from S3. It never hands out bytes that do not have their promised MD5."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import fsspec

from fmnist.domain.model.dataset import SplitFile
from fmnist.domain.model.errors import CorruptData, StoreUnavailable


@dataclass(frozen=True, slots=True)
class S3Settings:
    """How S3 is reached; what is None is left to boto's own search (environment, profile, instance role).

    Attributes:
        endpoint_url: of an S3-compatible store; None is AWS itself.
        verify_tls: switched off by name only, for self-signed stores.
    """

    endpoint_url: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    verify_tls: bool = True


@dataclass(frozen=True, slots=True)
class Storage:
    """Where split files lie. Plain settings, so that it pickles; every read makes its own connection."""

    s3: S3Settings = field(default_factory=S3Settings)

    def read(self, file: SplitFile) -> bytes:
        """Return the file's content, checked.

        Raises:
            CorruptData: absent, or other bytes than `file.md5`; the message names split and URI.
            StoreUnavailable: the disk or store does not answer, or does not let us read.
        """
        content = self._content(file)
        # DVC does not compare hashes when it reads, so nobody did before us. MD5 is what DVC records.
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != file.md5:
            raise CorruptData(
                f"split {file.split!r} at {file.uri} is damaged: its {len(content)} bytes have MD5 {found}, "
                f"the registry promises {file.md5}; restore it from a copy of the store or build the version again"
            )
        return content

    def _content(self, file: SplitFile) -> bytes:
        is_s3 = file.uri.startswith("s3://")
        try:
            filesystem, path = fsspec.core.url_to_fs(file.uri, **(_s3fs_options(self.s3) if is_s3 else {}))
            content: bytes = filesystem.cat_file(path)
        except FileNotFoundError as error:
            raise CorruptData(
                f"split {file.split!r} is not at {file.uri}: push it there again (dvc push), or correct the address "
                "of the DVC remote"
            ) from error
        except (ValueError, ImportError) as error:
            raise StoreUnavailable(
                f"split {file.split!r} at {file.uri} is nowhere that we can read: {error}"
            ) from error
        except _unavailable() as error:
            where = f" (endpoint {self.s3.endpoint_url or 'of AWS'}; see the AWS_... variables)" if is_s3 else ""
            raise StoreUnavailable(f"split {file.split!r} at {file.uri} cannot be read{where}: {error}") from error
        return content


def _s3fs_options(s3: S3Settings) -> dict[str, Any]:
    return {
        "key": s3.access_key_id,
        "secret": s3.secret_access_key,
        "endpoint_url": s3.endpoint_url,
        "client_kwargs": {"verify": s3.verify_tls},
        # A store that is away is told within seconds, and a slow one is given its time.
        "config_kwargs": {"connect_timeout": 5, "read_timeout": 60, "retries": {"max_attempts": 2}},
        # fsspec would hand the same connection, or a listing of the past, to whoever asks with the same settings.
        "skip_instance_cache": True,
        "use_listings_cache": False,
    }


def _unavailable() -> tuple[type[Exception], ...]:
    """What reading raises when a store is there in name only; boto's errors are no OSError, and boto is optional."""
    try:
        from botocore.exceptions import BotoCoreError
    except ImportError:
        return (OSError,)
    return (OSError, BotoCoreError)

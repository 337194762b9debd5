"""Reads whole files by URI, from a disk or from S3. It never returns bytes whose MD5 is not the expected one."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import fsspec
from fsspec.asyn import sync

from fmnist.adapters.environment import proxy_advice
from fmnist.domain.model.address import without_credentials
from fmnist.domain.model.data.dataset import SplitFile
from fmnist.domain.model.errors import CorruptData, StoreUnavailable

# A store that is down is reported within seconds; one that accepts connections but never answers, within a minute.
CONNECT_SECONDS = 5
READ_SECONDS = 20

MOST_BYTES = 2**30  # limit for a file whose size the registry does not record
_REPAIR = "restore it from a copy of the store or build the version again"


@dataclass(frozen=True, slots=True)
class S3Settings:
    """How to reach S3. For a value of None, boto searches the environment, the profile and the instance role.

    Attributes:
        endpoint_url: URL of an S3-compatible store. None is the one that the data registry names, or else AWS.
        verify_tls: verify the store's certificate. Only an explicit setting turns it off, for self-signed stores.
    """

    endpoint_url: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    verify_tls: bool = True


@dataclass(frozen=True, slots=True)
class Storage:
    """The storage of split files. It holds only plain settings, so it is picklable. Every read makes a connection."""

    s3: S3Settings = field(default_factory=S3Settings)

    def read(self, file: SplitFile) -> bytes:
        """Return the file's content, checked.

        Raises:
            CorruptData: the file does not exist, or does not match `file.md5`. The message names split and URI.
            StoreUnavailable: the disk or store does not answer, or denies access.
        """
        most = MOST_BYTES if file.size is None else max(file.size, 0)
        content = self._content(file, most + 1)
        if len(content) > most:
            raise CorruptData(
                f"split {file.split!r} at {file.uri} is damaged: it has more than {most} bytes; {_REPAIR}"
            )
        # DVC does not compare hashes when it reads, so this is the only check. DVC records MD5.
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != file.md5:
            raise CorruptData(
                f"split {file.split!r} at {file.uri} is damaged: its {len(content)} bytes have MD5 {found}, "
                f"expected {file.md5} by the registry; {_REPAIR}"
            )
        return content

    def _content(self, file: SplitFile, most: int) -> bytes:
        is_s3 = file.uri.startswith("s3://")
        s3 = replace(self.s3, endpoint_url=self.s3.endpoint_url or file.endpoint)
        try:
            if "://" not in file.uri:
                with Path(file.uri).open("rb") as local:  # fsspec would split a path at `::`
                    return local.read(most)
            filesystem, path = (s3_filesystem(s3), file.uri) if is_s3 else fsspec.core.url_to_fs(file.uri)
            if is_s3 or file.uri.startswith(("http://", "https://")):
                # As a stream with our own limit, because a store may ignore a requested range.
                stream = _stream(filesystem, path, most, is_s3=is_s3)
                return bytes(sync(filesystem.loop, _first_bytes, stream, most))
            with filesystem.open(path) as opened:
                return bytes(opened.read(most))
        except FileNotFoundError as error:
            if _lacks_bucket(error):
                raise _unreadable(file, s3, error) from error
            raise CorruptData(
                f"split {file.split!r} is not at {file.uri}: push it there again (dvc push), or correct the URL of the "
                "DVC remote"
            ) from error
        except (ValueError, ImportError) as error:
            raise StoreUnavailable(
                f"split {file.split!r} at {file.uri} is in a place that cannot be read: {error}"
            ) from error
        except unavailable() as error:
            raise _unreadable(file, s3, error) from error


def s3_filesystem(s3: S3Settings, attempts: int = 3) -> Any:
    """Return fsspec's `s3` file system. It tries each request `attempts` times, with growing waits."""
    store = fsspec.filesystem(
        "s3",
        key=s3.access_key_id,
        secret=s3.secret_access_key,
        endpoint_url=s3.endpoint_url,
        client_kwargs={"verify": None if s3.verify_tls else False},  # None uses AWS_CA_BUNDLE, True does not
        config_kwargs={
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "retries": {"mode": "standard", "total_max_attempts": attempts},
        },
        # fsspec would otherwise share connections and old listings between uses with the same settings.
        skip_instance_cache=True,
        use_listings_cache=False,
    )
    store.retries = 1  # botocore retries already, and s3fs would repeat that five times
    return store


def unavailable() -> tuple[type[Exception], ...]:
    """Return the exceptions of a disk or store that fails. boto and aiohttp are optional, and raise no OSError."""
    try:
        from aiohttp import ClientError
        from botocore.exceptions import BotoCoreError
    except ImportError:
        return (OSError,)
    return (OSError, BotoCoreError, ClientError)


def _stream(filesystem: Any, path: str, most: int, *, is_s3: bool) -> Any:
    if not is_s3:
        return sync(filesystem.loop, filesystem.open_async, path, size=most)  # without `size`, an extra request asks it
    bucket, key, _ = filesystem.split_path(path)
    return filesystem.call_s3("get_object", Bucket=bucket, Key=key)["Body"]


async def _first_bytes(stream: Any, most: int) -> bytes:
    content = bytearray()
    async with stream:
        while len(content) < most and (part := await stream.read(most - len(content))):
            content += part
    return bytes(content)


def way_advice(s3: S3Settings, error: Exception) -> str | None:
    """Return advice if the connection to S3 fails by its certificate or proxy, or else None."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "set AWS_CA_BUNDLE to its CA certificate file; AWS_NO_VERIFY_SSL=true accepts any certificate"
    if "proxy URL" in str(error):
        return proxy_advice(s3.endpoint_url or "https://amazonaws.com")
    return None


def s3_advice(s3: S3Settings, error: Exception) -> str:
    """Return what to check if S3 denies access or does not answer."""
    if isinstance(error, PermissionError):
        return "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and the permissions of that key"
    return way_advice(s3, error) or "check that the store runs, and the AWS_... variables"


def _unreadable(file: SplitFile, s3: S3Settings, error: Exception) -> StoreUnavailable:
    where = advice = ""
    if file.uri.startswith("s3://"):
        where = f" (endpoint {without_credentials(s3.endpoint_url or 'of AWS')})"
        if isinstance(error, FileNotFoundError):
            advice = "; correct the URL of the DVC remote (DVC_REMOTE_URL), or AWS_ENDPOINT_URL"
        else:
            advice = f"; {s3_advice(s3, error)}"
    reason = without_credentials(str(error)) or type(error).__name__
    return StoreUnavailable(f"split {file.split!r} at {file.uri} cannot be read{where}: {reason}{advice}")


def _lacks_bucket(error: FileNotFoundError) -> bool:
    """Return whether the whole bucket is missing: then the setting is wrong. s3fs raises the same error for a file."""
    answer = getattr(error.__cause__, "response", {})
    return bool(answer.get("Error", {}).get("Code") == "NoSuchBucket")

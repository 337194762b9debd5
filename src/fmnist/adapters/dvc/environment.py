"""Environment variables for DVC, in this process and in its commands. They hide the user's own DVC settings."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import certifi

# pygit2 reads this file at import, and fails if it cannot. We never use TLS through it, so any valid file will do.
AUTHORITIES = {"SSL_CERT_FILE": certifi.where()}


@contextmanager
def dvc_variables() -> Iterator[dict[str, str]]:
    """Yield variables that override the user's DVC settings. Their folders are removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="fmnist-dvc-") as scratch:
        yield {
            # This folder does not exist.
            **dict.fromkeys(("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"), f"{scratch}/config"),
            "DVC_SITE_CACHE_DIR": f"{scratch}/cache",
            "DVC_NO_ANALYTICS": "1",
        }

"""What DVC is told by the environment, here and in its commands: a person's settings would change what it finds."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import certifi

# libgit2 reads them when it is imported, and raises where a person's cannot be read. It never speaks TLS for us.
AUTHORITIES = {"SSL_CERT_FILE": certifi.where()}


@contextmanager
def dvc_variables() -> Iterator[dict[str, str]]:
    """Yield what overrules a person's DVC; its places are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="fmnist-dvc-") as scratch:
        yield {
            # Nothing is there.
            **dict.fromkeys(("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"), f"{scratch}/config"),
            "DVC_SITE_CACHE_DIR": f"{scratch}/cache",
            "DVC_NO_ANALYTICS": "1",
        }

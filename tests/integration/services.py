"""Real services for tests, started from what the stack is made of; the shared ones are fixtures in conftest.py."""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from fmnist.adapters.parquet.storage import S3Settings
from stack.process import Service, start, stop, wait_until_healthy
from stack.services import HOST, ObjectStore, free_ports


@contextmanager
def running(service: Service, directory: Path) -> Iterator[psutil.Process]:
    """Run the service, with its log in the directory, until the end of the block; it may be stopped before."""
    log = directory / f"{service.name}.log"
    process = start(service, log)
    try:
        wait_until_healthy(service, process, log)
        yield process
    finally:
        stop(process)


def parent_and_child(home: Path) -> Service:
    """Return a service of two processes: a shell, which ends with its child, and the child, which listens."""
    (port,) = free_ports(1)
    script = '"$0" -m http.server --bind "$1" --directory "$2" "$3" & trap "kill $!" TERM; wait'
    return Service(
        name="parent-and-child",
        command=("sh", "-c", script, sys.executable, HOST, str(home), str(port)),
        address=f"tcp://{HOST}:{port}",
        home=home,
    )


def new_object_store() -> ObjectStore:
    """Return an S3 store that is still to be run, on a free port and with keys that no other text contains."""
    (port,) = free_ports(1)
    return ObjectStore(port, f"key-{secrets.token_hex(8)}", f"secret-{secrets.token_hex(16)}")


def s3_settings(store: ObjectStore) -> S3Settings:
    """Return how an adapter reaches the store."""
    return S3Settings(store.endpoint_url, store.access_key_id, store.secret_access_key)

"""Real services for tests, started with the parts of the stack. Shared ones are fixtures in conftest.py."""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from fmnist.adapters.parquet.storage import S3Settings
from stack.services import ObjectStore, Service, free_ports
from stack.supervision import answers


@contextmanager
def running(service: Service, directory: Path) -> Iterator[psutil.Process]:
    """Run the service until the end of the block, with its log in the directory. The block may stop it earlier."""
    log = directory / f"{service.name}.log"
    for each in (service.home, directory):
        each.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = psutil.Popen(
            service.command,
            env={**os.environ, **service.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + service.patience
        while not answers(service.address):
            assert process.poll() is None, f"{service.name} ended: {log.read_text()}"
            assert time.monotonic() < deadline, f"{service.name} does not answer: {log.read_text()}"
            time.sleep(0.1)
        yield process
    finally:
        stop(process)


def stop(process: psutil.Process) -> None:
    """Stop a service in order, and kill its remaining processes after 30 s."""
    with suppress(psutil.NoSuchProcess):
        family = [process, *process.children(recursive=True)]
        process.terminate()
        _, left = psutil.wait_procs([process], timeout=30)
        _, left = psutil.wait_procs(family, timeout=0 if left else 3)
        for survivor in left:
            with suppress(psutil.NoSuchProcess):
                survivor.kill()
    with suppress(ProcessLookupError):  # children of a killed parent
        os.killpg(process.pid, signal.SIGKILL)
    psutil.wait_procs([process], timeout=5)


def new_object_store() -> ObjectStore:
    """Return an S3 store that is not started yet, on a free port and with keys that no other text contains."""
    (port,) = free_ports(1)
    return ObjectStore(port, f"key-{secrets.token_hex(8)}", f"secret-{secrets.token_hex(16)}")


def s3_settings(store: ObjectStore) -> S3Settings:
    """Return the settings with which an adapter reaches the store."""
    return S3Settings(store.endpoint_url, store.access_key_id, store.secret_access_key)

"""Six models and a cluster that serves them, shared by all tests of the serve app."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fmnist.adapters.dvc.settings import RegistrySettings
from tests.integration.apps.command import Command
from tests.integration.apps.serving.models import GOOD, Models, make_models, uri
from tests.integration.apps.serving.server import Cluster, cluster, wait_until


@pytest.fixture(scope="session")
def models(toy_registry: RegistrySettings, tmp_path_factory: pytest.TempPathFactory) -> Models:
    # Poll every second and use short timeouts, because tests wait for both.
    impatient = {"MODEL_POLL_SECONDS": "1", "MODEL_LOAD_TIMEOUT_SECONDS": "5", "REQUEST_TIMEOUT_SECONDS": "20"}
    return make_models(Command(tmp_path_factory.mktemp("models"), toy_registry, impatient))


@pytest.fixture(scope="session")
def running(models: Models) -> Iterator[Cluster]:
    # Ray keeps sockets in it, whose paths must be short.
    directory = Path(tempfile.mkdtemp(prefix="fmnist-ray-"))
    try:
        with cluster(models.command, directory) as started:
            yield started
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def service(running: Cluster) -> Cluster:
    """One replica that serves the first model, after any earlier test."""
    if not running.still_serves(uri(GOOD[0])):
        running.deploy(uri(GOOD[0]))
        wait_until(lambda: running.serves(uri(GOOD[0])), "the first model serves")
    return running

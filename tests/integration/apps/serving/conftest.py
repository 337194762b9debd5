"""Six models, and two hosts that serve them: one process and a cluster. All tests of the serve app share them."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fmnist.adapters.dvc.settings import RegistrySettings
from tests.integration.apps.command import Command
from tests.integration.apps.serving.cluster import Cluster, cluster
from tests.integration.apps.serving.host import Host, wait_until
from tests.integration.apps.serving.local import Local, local
from tests.integration.apps.serving.models import GOOD, Models, make_models, uri


@pytest.fixture(scope="session")
def models(toy_registry: RegistrySettings, tmp_path_factory: pytest.TempPathFactory) -> Models:
    # Poll every second, and use short timeouts and a short queue, because tests wait for them.
    impatient = {
        "MODEL_POLL_SECONDS": "1",
        "MODEL_LOAD_TIMEOUT_SECONDS": "5",
        "REQUEST_TIMEOUT_SECONDS": "20",
        "REQUEST_QUEUE_IMAGES": "1000",
    }
    # Both hosts share it.
    impatient["FEEDBACK_PLACE"] = str(tmp_path_factory.mktemp("feedback"))
    return make_models(Command(tmp_path_factory.mktemp("models"), toy_registry, impatient))


@pytest.fixture(scope="session")
def running_cluster(models: Models) -> Iterator[Cluster]:
    # Ray keeps sockets in it, whose paths must be short.
    directory = Path(tempfile.mkdtemp(prefix="fmnist-ray-"))
    try:
        with cluster(models.command, directory) as started:
            yield started
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def running_process(models: Models) -> Iterator[Local]:
    with local(models, GOOD[0]) as started:
        yield started


@pytest.fixture
def on_ray(running_cluster: Cluster) -> Cluster:
    """One replica that serves the first model, after any earlier test."""
    if not running_cluster.still_serves(uri(GOOD[0])):
        running_cluster.deploy(uri(GOOD[0]))
        wait_until(lambda: running_cluster.serves(uri(GOOD[0])), "the first model serves")
    return running_cluster


@pytest.fixture
def in_process(running_process: Local) -> Local:
    """The service in one process, which serves the first model, after any earlier test."""
    running_process.choose(GOOD[0])
    wait_until(lambda: running_process.is_well(uri(GOOD[0])), "the first model serves")
    return running_process


@pytest.fixture(params=["in_process", "on_ray"])
def service(request: pytest.FixtureRequest) -> Host:
    """Each host in turn."""
    host: Host = request.getfixturevalue(request.param)
    return host

"""A model is held against the data that it was trained on before it serves."""

import logging
import re

import pytest

from tests.unit.domain.services.serving_support import GONE, Deployment, served


@pytest.fixture(params=["it does not answer", "it has no such version", "the model names none", "or the newest"])
def incomparable(request: pytest.FixtureRequest, deployment: Deployment) -> str:
    if request.param == "it does not answer":
        deployment.registry.gate.error = GONE
        return deployment.add()
    lineage = {
        "it has no such version": {"dvc_data_version": "fashion-mnist-v7.0.0"},
        "the model names none": {},
        "or the newest": {"dvc_data_version": "latest"},
    }
    return deployment.add(lineage=lineage[request.param])


def test_recorded_serves_degraded(deployment: Deployment, incomparable: str, caplog: pytest.LogCaptureFixture) -> None:
    replica = deployment.replica("recorded")
    replica.deploy(incomparable)
    assert replica.current is not None
    assert replica.current.degraded is not None
    assert f"normalization of {incomparable} could not be compared" in replica.current.degraded
    assert replica.status.reload_error is None
    [warning] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert replica.current.degraded in warning.getMessage()


def test_strict_refuses(deployment: Deployment, incomparable: str) -> None:
    replica = deployment.replica("strict")
    replica.deploy(incomparable)
    assert replica.current is None
    assert replica.status.reload_error is not None
    assert "could not be compared" in replica.status.reload_error


def test_strict_serves_when_the_registry_is_back(deployment: Deployment) -> None:
    uri = deployment.add()
    replica = deployment.replica("strict")
    deployment.registry.gate.error = GONE
    replica.deploy(uri)
    deployment.registry.gate.error = None
    replica.poll(None)
    assert (served(replica), replica.status.reload_error) == (uri, None)


def test_strict_restarts_without_the_registry_from_what_another_replica_compared(deployment: Deployment) -> None:
    uri = deployment.add()
    deployment.replica("strict").deploy(uri)
    deployment.registry.gate.error = GONE
    replica = deployment.replica("strict")
    replica.deploy(uri)
    assert served(replica) == uri


def test_registry_that_hangs_leaves_time_to_serve_without_it(deployment: Deployment) -> None:
    uri = deployment.add()
    replica = deployment.replica("recorded", patience=0.3)
    deployment.registry.gate.close()
    replica.deploy(uri)
    deployment.registry.gate.open()
    assert replica.current is not None
    assert replica.current.degraded is not None
    assert re.search(r"no answer within 0\.[12] s", replica.current.degraded)

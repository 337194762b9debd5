"""Before a model serves, its normalization is compared with its training data."""

import logging
import re

import pytest

from tests.unit.domain.services.serving_support import CHAMPION, GONE, NAME, Deployment, served


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


def test_mode_recorded_serves_degraded_without_the_registry(
    deployment: Deployment, incomparable: str, caplog: pytest.LogCaptureFixture
) -> None:
    replica = deployment.replica("recorded")
    replica.deploy(incomparable)
    assert replica.current is not None
    assert replica.current.degraded is not None
    assert f"normalization of {incomparable} could not be compared" in replica.current.degraded
    assert replica.status.reload_error is None
    [warning] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert replica.current.degraded in warning.getMessage()


def test_mode_strict_refuses_without_the_registry(deployment: Deployment, incomparable: str) -> None:
    replica = deployment.replica("strict")
    replica.deploy(incomparable)
    assert replica.current is None
    assert replica.status.reload_error is not None
    assert "could not be compared" in replica.status.reload_error


def test_mode_strict_serves_when_the_registry_is_back(deployment: Deployment) -> None:
    uri = deployment.add()
    replica = deployment.replica("strict")
    deployment.registry.gate.error = GONE
    replica.deploy(uri)
    deployment.registry.gate.error = None
    replica.poll(None)
    assert (served(replica), replica.status.reload_error) == (uri, None)


def test_mode_strict_restarts_without_the_registry_if_another_replica_compared(deployment: Deployment) -> None:
    uri = deployment.add()
    deployment.replica("strict").deploy(uri)
    deployment.registry.gate.error = GONE
    replica = deployment.replica("strict")
    replica.deploy(uri)
    assert served(replica) == uri


@pytest.mark.parametrize("desired", ["the model that was kept", "one that is not there"])
def test_mode_strict_does_not_serve_a_kept_model_that_was_not_compared(deployment: Deployment, desired: str) -> None:
    uri = deployment.add()
    deployment.registry.gate.error = GONE
    deployment.replica("recorded").deploy(uri)
    replica = deployment.replica("strict")
    replica.deploy(uri if desired == "the model that was kept" else f"models:/{NAME}/99")
    assert deployment.memory.last_good_uri() == uri
    assert replica.current is None
    assert replica.status.reload_error is not None


def test_mode_strict_serves_a_kept_model_after_comparing_it(deployment: Deployment) -> None:
    uri = deployment.add()
    deployment.keep(uri, compared=False)
    first, later = deployment.replica("strict"), deployment.replica("strict")
    first.deploy(uri)
    deployment.registry.gate.error = GONE
    later.deploy(uri)
    assert (served(first), served(later), deployment.store.downloads.calls) == (uri, uri, [])


@pytest.mark.parametrize("max_age", [None, 0.0])
def test_degraded_ends_when_the_registry_is_back(deployment: Deployment, max_age: float | None) -> None:
    uri = deployment.add()
    deployment.registry.gate.error = GONE
    replica = deployment.replica()
    replica.deploy(uri)
    replica.poll(max_age)
    assert replica.current is not None
    assert replica.current.degraded is not None
    deployment.registry.gate.error = None
    replica.poll(max_age)
    assert replica.current.degraded is None
    assert (served(replica), replica.status.reload_error) == (uri, None)
    assert deployment.store.downloads.calls == [uri]
    asked = len(deployment.registry.gate.calls)
    replica.poll(max_age)
    assert len(deployment.registry.gate.calls) == asked, "a compared model is not compared again"


def test_model_that_is_compared_later_can_serve_in_mode_strict(deployment: Deployment) -> None:
    uri = deployment.add()
    deployment.registry.gate.error = GONE
    replica = deployment.replica()
    replica.deploy(uri)
    deployment.registry.gate.error = None
    replica.poll(None)
    deployment.registry.gate.error = GONE
    strict = deployment.replica("strict")
    strict.deploy(uri)
    assert served(strict) == uri


def test_mismatch_that_is_found_late_is_reported_and_the_model_keeps_serving(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    wrong, right = deployment.add("champion", normalization=deployment.other_normalization()), deployment.add()
    deployment.registry.gate.error = GONE
    replica = deployment.replica()
    replica.deploy(CHAMPION)
    deployment.registry.gate.error = None
    caplog.clear()
    for _ in range(3):
        replica.poll(0.0)
        deployment.registry.gate.error = GONE  # a known mismatch is not forgotten
    error = replica.status.reload_error
    assert error is not None
    assert f"{deployment.other_normalization()}, but data version" in error
    assert str(deployment.normalization) in error
    assert replica.current is not None
    assert (served(replica), replica.current.degraded) == (wrong, error)
    [record] = caplog.records
    assert (record.levelno, f"{wrong} continues to serve" in record.getMessage()) == (logging.ERROR, True)
    replica.deploy(wrong)
    assert replica.status.reload_error == error
    deployment.registry.gate.error = None
    deployment.move("champion", right)
    replica.deploy(CHAMPION)
    replica.poll(0.0)
    assert replica.current.degraded is None
    assert (served(replica), replica.status.reload_error) == (right, None)


@pytest.mark.parametrize("error", [GONE, KeyError("a bug")])
def test_alias_is_followed_although_the_registry_fails(deployment: Deployment, error: Exception) -> None:
    deployment.add("champion")
    deployment.registry.gate.error = GONE
    replica = deployment.replica()
    replica.deploy(CHAMPION)
    second = deployment.add("champion", lineage={})
    deployment.registry.gate.error = error
    replica.poll(0.0)
    assert (served(replica), replica.status.reload_error) == (second, None)


@pytest.mark.parametrize("differs", [False, True])
def test_last_good_model_is_compared_too(deployment: Deployment, differs: bool) -> None:
    good = deployment.add(**({"normalization": deployment.other_normalization()} if differs else {}))
    deployment.registry.gate.error = GONE
    replica = deployment.replica()
    replica.deploy(good)
    replica.deploy(deployment.add(spoilt=True))
    deployment.registry.gate.error = None
    replica.poll(None)
    assert replica.current is not None
    assert ("but data version" in (replica.current.degraded or "")) == differs
    assert (replica.current.degraded is None) != differs
    # The failure of the desired model is more important.
    assert replica.status.reload_error is not None
    assert "is damaged" in replica.status.reload_error


def test_registry_that_hangs_does_not_prevent_serving(deployment: Deployment) -> None:
    uri = deployment.add()
    replica = deployment.replica("recorded", patience=0.3)
    deployment.registry.gate.close()
    replica.deploy(uri)
    deployment.registry.gate.open()
    assert replica.current is not None
    assert replica.current.degraded is not None
    assert re.search(r"no answer within 0\.[12] s", replica.current.degraded)

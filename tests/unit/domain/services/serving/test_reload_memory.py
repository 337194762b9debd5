"""The shared memory helps replicas, but no deploy depends on it."""

import logging
import pickle

import pytest

from tests.unit.domain.services.serving_support import CHAMPION, GONE, NAME, Deployment, served


@pytest.mark.parametrize("desired", [CHAMPION, None, f"models:/{NAME}/1"])
def test_deploy_works_although_the_memory_fails(
    deployment: Deployment, desired: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    uri = deployment.add("champion")
    deployment.memory.gate.error = GONE
    replica = deployment.replica()
    replica.deploy(desired)
    assert (served(replica), replica.status.reload_error) == (uri, None)
    assert len(deployment.memory.gate.calls) == 1, "a memory that fails is called once, not at each step"
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_memory_that_hangs_delays_a_deploy_only_briefly(deployment: Deployment) -> None:
    uri = deployment.add("champion")
    deployment.memory.gate.close()
    replica = deployment.replica(patience=1.0)
    replica.deploy(CHAMPION)
    assert (served(replica), replica.status.reload_error) == (uri, None)
    deployment.memory.gate.open()


@pytest.mark.parametrize("max_age", [None, 0.0, 3600.0])
def test_memory_that_lost_the_model_gets_it_again(deployment: Deployment, max_age: float | None) -> None:
    uri = deployment.add("champion")
    replica = deployment.replica()
    replica.deploy(CHAMPION)
    deployment.memory.forget()
    deployment.store.downloads.error = GONE
    replica.poll(max_age)
    assert deployment.memory.last_good_uri() == uri
    assert deployment.memory.pinned(CHAMPION) == uri


def test_model_that_the_memory_cannot_keep_still_serves(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def too_large(*_: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(pickle, "dumps", too_large)
    uri, replica = deployment.add(), deployment.replica()
    replica.deploy(uri)
    assert (served(replica), replica.status.reload_error) == (uri, None)
    assert "continuing without the memory that the replicas share" in caplog.text


def test_memory_gets_no_model_that_failed(deployment: Deployment) -> None:
    good, bad = deployment.add(), deployment.add(spoilt=True)
    replica = deployment.replica()
    replica.deploy(good)
    replica.deploy(bad)
    replica.poll(0.0)
    assert deployment.memory.last_good_uri() == good


def test_memory_gets_a_model_only_once(deployment: Deployment) -> None:
    uri = deployment.add()
    for _ in range(3):
        deployment.replica().deploy(uri)
    assert deployment.memory.gate.calls.count("remember") == 1


def test_slow_replica_does_not_replace_the_newer_model_in_the_memory(deployment: Deployment) -> None:
    old, new = deployment.add(), deployment.add()
    behind, ahead = deployment.replica(), deployment.replica()
    behind.deploy(old)
    ahead.deploy(new)
    behind.poll(0.0)
    assert deployment.memory.last_good_uri() == new


def test_last_good_model_is_not_pinned_as_the_desired_one(deployment: Deployment) -> None:
    good = deployment.add("champion")
    replica = deployment.replica()
    replica.deploy(CHAMPION)
    bad = deployment.add("champion", spoilt=True)
    replica.poll(0.0)
    deployment.memory.forget()
    replica.poll(0.0)
    assert deployment.memory.last_good_uri() == good
    assert deployment.memory.pinned(CHAMPION) == bad


def test_memory_follows_a_rollback(deployment: Deployment) -> None:
    old, new = deployment.add(), deployment.add()
    replica = deployment.replica()
    for uri in (old, new, old):
        replica.deploy(uri)
        assert deployment.memory.last_good_uri() == uri


def test_memory_follows_an_alias_that_moved(deployment: Deployment) -> None:
    deployment.add("champion")
    replica = deployment.replica()
    replica.deploy(CHAMPION)
    second = deployment.add("champion")
    replica.poll(0.0)
    assert deployment.memory.last_good_uri() == second


def test_memory_keeps_its_model_if_the_serving_one_has_a_late_mismatch(deployment: Deployment) -> None:
    good, wrong = deployment.add(), deployment.add(normalization=deployment.other_normalization())
    deployment.registry.gate.error = GONE
    replica = deployment.replica()
    replica.deploy(wrong)
    deployment.registry.gate.error = None
    deployment.keep(good)
    replica.poll(None)
    assert served(replica) == wrong
    assert deployment.memory.last_good_uri() == good


def test_last_good_model_that_does_not_load_is_not_served(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    deployment.keep(deployment.add(spoilt=True))
    replica = deployment.replica()
    replica.deploy(f"models:/{NAME}/99")
    assert replica.current is None
    assert replica.status.reload_error is not None
    assert "no version 99" in replica.status.reload_error
    assert f"models:/{NAME}/1 served last, but does not load now" in caplog.text


def test_last_good_model_with_a_wrong_normalization_is_not_served(deployment: Deployment) -> None:
    uri = deployment.add(normalization=deployment.other_normalization())
    deployment.keep(uri)
    replica = deployment.replica()
    replica.deploy(f"models:/{NAME}/99")
    assert replica.current is None

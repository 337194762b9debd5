"""What replicas have in common helps them, and no deploy depends on it."""

import logging
import pickle

import pytest

from tests.unit.domain.services.serving_support import CHAMPION, GONE, NAME, Deployment, served


@pytest.mark.parametrize("desired", [CHAMPION, None, f"models:/{NAME}/1"])
def test_no_deploy_needs_it(deployment: Deployment, desired: str | None, caplog: pytest.LogCaptureFixture) -> None:
    uri = deployment.add("champion")
    deployment.memory.gate.error = GONE
    replica = deployment.replica()
    replica.deploy(desired)
    assert (served(replica), replica.status.reload_error) == (uri, None)
    assert len(deployment.memory.gate.calls) == 1, "a memory that fails is asked once and not at each step"
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_one_that_hangs_holds_a_deploy_up_for_a_while_only(deployment: Deployment) -> None:
    uri = deployment.add("champion")
    deployment.memory.gate.close()
    replica = deployment.replica(patience=1.0)
    replica.deploy(CHAMPION)
    assert (served(replica), replica.status.reload_error) == (uri, None)
    deployment.memory.gate.open()


@pytest.mark.parametrize("max_age", [None, 0.0, 3600.0])
def test_it_is_given_the_model_again_when_it_lost_it(deployment: Deployment, max_age: float | None) -> None:
    uri = deployment.add("champion")
    replica = deployment.replica()
    replica.deploy(CHAMPION)
    deployment.memory.forget()
    deployment.store.downloads.error = GONE
    replica.poll(max_age)
    assert deployment.memory.last_good_uri() == uri
    assert deployment.memory.pinned(CHAMPION) == uri


def test_model_that_cannot_be_kept_serves_all_the_same(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def too_large(*_: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(pickle, "dumps", too_large)
    uri, replica = deployment.add(), deployment.replica()
    replica.deploy(uri)
    assert (served(replica), replica.status.reload_error) == (uri, None)
    assert "continuing without the memory that the replicas share" in caplog.text


def test_it_is_told_of_no_model_that_failed(deployment: Deployment) -> None:
    good, bad = deployment.add(), deployment.add(spoilt=True)
    replica = deployment.replica()
    replica.deploy(good)
    replica.deploy(bad)
    replica.poll(0.0)
    assert deployment.memory.last_good_uri() == good


def test_it_is_given_a_model_once(deployment: Deployment) -> None:
    uri = deployment.add()
    for _ in range(3):
        deployment.replica().deploy(uri)
    assert deployment.memory.gate.calls.count("remember") == 1


def test_replica_that_lags_behind_leaves_the_newer_model_in_it(deployment: Deployment) -> None:
    old, new = deployment.add(), deployment.add()
    behind, ahead = deployment.replica(), deployment.replica()
    behind.deploy(old)
    ahead.deploy(new)
    behind.poll(0.0)
    assert deployment.memory.last_good_uri() == new


def test_what_serves_instead_of_the_desired_is_not_pinned_as_it(deployment: Deployment) -> None:
    good = deployment.add("champion")
    replica = deployment.replica()
    replica.deploy(CHAMPION)
    bad = deployment.add("champion", spoilt=True)
    replica.poll(0.0)
    deployment.memory.forget()
    replica.poll(0.0)
    assert deployment.memory.last_good_uri() == good
    assert deployment.memory.pinned(CHAMPION) == bad


def test_it_follows_a_rollback(deployment: Deployment) -> None:
    old, new = deployment.add(), deployment.add()
    replica = deployment.replica()
    for uri in (old, new, old):
        replica.deploy(uri)
        assert deployment.memory.last_good_uri() == uri


def test_it_follows_an_alias_that_moved(deployment: Deployment) -> None:
    deployment.add("champion")
    replica = deployment.replica()
    replica.deploy(CHAMPION)
    second = deployment.add("champion")
    replica.poll(0.0)
    assert deployment.memory.last_good_uri() == second


def test_it_keeps_its_model_when_the_one_that_serves_turns_out_to_be_wrong(deployment: Deployment) -> None:
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


def test_last_good_model_that_normalizes_wrongly_by_now_is_not_served(deployment: Deployment) -> None:
    uri = deployment.add(normalization=deployment.other_normalization())
    deployment.keep(uri)
    replica = deployment.replica()
    replica.deploy(f"models:/{NAME}/99")
    assert replica.current is None

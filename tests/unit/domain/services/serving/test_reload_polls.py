"""A replica follows its alias by polling, and makes no unnecessary calls."""

import pytest

from fmnist.domain.model.errors import InvalidSetting
from tests.unit.domain.services.serving_support import CHAMPION, GONE, NAME, Deployment, served


def test_an_alias_that_moved_is_followed(deployment: Deployment) -> None:
    deployment.add("champion")
    replica = deployment.replica()
    replica.deploy(CHAMPION)
    second = deployment.add("champion")
    replica.poll(0.0)
    assert (served(replica), replica.status.desired, replica.status.reload_error) == (second, CHAMPION, None)


def test_newest_follows_a_newly_registered_version(deployment: Deployment) -> None:
    deployment.add()
    replica = deployment.replica()
    replica.deploy(None)
    second = deployment.add()
    replica.poll(0.0)
    assert served(replica) == second


def test_one_alias_lookup_serves_all_replicas(deployment: Deployment) -> None:
    deployment.add("champion")
    replicas = [deployment.replica() for _ in range(3)]
    for replica in replicas:
        replica.deploy(CHAMPION)
    second = deployment.add("champion")
    deployment.memory.now = 60
    for replica in replicas:
        replica.poll(30)
    assert [served(replica) for replica in replicas] == [second] * 3
    assert deployment.store.lookups.calls == [CHAMPION] * 2


def test_alias_is_not_followed_without_polling(deployment: Deployment) -> None:
    uri = deployment.add("champion")
    replica = deployment.replica()
    replica.deploy(CHAMPION)
    deployment.add("champion")
    deployment.memory.forget()
    replica.poll(None)
    assert served(replica) == uri
    assert deployment.store.lookups.calls == [CHAMPION]


@pytest.mark.parametrize("max_age", [None, 0.0])
def test_serving_version_is_not_looked_up_again(deployment: Deployment, max_age: float | None) -> None:
    uri = deployment.add()
    replica = deployment.replica()
    replica.deploy(uri)
    model = replica.current
    deployment.store.lookups.error = GONE
    replica.poll(max_age)
    assert replica.current is model
    assert deployment.store.downloads.calls == [uri]
    assert replica.status.reload_error is None


@pytest.mark.parametrize("max_age", [None, 0.0])
@pytest.mark.parametrize("error", [GONE, KeyError("registered_model"), InvalidSetting("the server says 400")])
@pytest.mark.parametrize("desired", [CHAMPION, None, f"models:/{NAME}/1"])
def test_desired_model_is_served_when_the_store_works_again_after_any_error(
    deployment: Deployment, desired: str | None, error: Exception, max_age: float | None
) -> None:
    uri = deployment.add("champion")
    replica = deployment.replica()
    deployment.store.lookups.error = deployment.store.downloads.error = error
    replica.deploy(desired)
    replica.poll(max_age)
    assert served(replica) is None
    deployment.store.lookups.error = deployment.store.downloads.error = None
    replica.poll(max_age)
    assert (served(replica), replica.status.reload_error) == (uri, None)


def test_version_that_is_registered_after_its_deploy_is_served(deployment: Deployment) -> None:
    deployment.add()
    replica = deployment.replica()
    replica.deploy(f"models:/{NAME}/2")
    second = deployment.add()
    replica.poll(None)
    assert served(replica) == second


def test_the_same_failure_is_logged_once(deployment: Deployment, caplog: pytest.LogCaptureFixture) -> None:
    replica = deployment.replica()
    deployment.store.lookups.error = GONE
    replica.deploy(None)
    replica.poll(0.0)
    replica.poll(0.0)
    assert len(caplog.records) == 1
    assert len(deployment.reloads) == 3


def test_invalid_uri_is_logged_once_and_no_store_is_called(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    replica = deployment.replica()
    replica.deploy("s3://bucket/model")
    replica.poll(0.0)
    assert len(caplog.records) == 1
    assert deployment.store.lookups.calls == deployment.store.downloads.calls == []
    assert replica.status.reload_error is not None


@pytest.mark.parametrize("desired", [CHAMPION, None, f"models:/{NAME}/2"])
def test_damaged_version_is_not_downloaded_again(deployment: Deployment, desired: str | None) -> None:
    good = deployment.add()
    bad = deployment.add("champion", spoilt=True)
    replica = deployment.replica()
    replica.deploy(good)
    replica.deploy(desired)
    error = replica.status.reload_error
    for _ in range(3):
        replica.poll(0.0)
    assert deployment.store.downloads.calls == [good, bad]
    assert (served(replica), replica.status.reload_error) == (good, error)


def test_damaged_version_is_left_when_the_alias_moves_on(deployment: Deployment) -> None:
    good = deployment.add("champion")
    replica = deployment.replica()
    replica.deploy(CHAMPION)
    bad = deployment.add("champion", spoilt=True)
    replica.poll(0.0)
    assert replica.status.reload_error is not None
    deployment.move("champion", good)
    replica.poll(0.0)
    assert (served(replica), replica.status.reload_error) == (good, None)
    deployment.move("champion", bad)
    replica.poll(0.0)
    assert deployment.store.downloads.calls == [good, bad, bad]


def test_damaged_version_is_reported_when_it_is_desired_again(deployment: Deployment) -> None:
    replica = deployment.replica()
    deployment.add("champion")
    replica.deploy(CHAMPION)
    bad = deployment.add("champion", spoilt=True)
    replica.poll(0.0)
    good = deployment.add("champion")
    replica.poll(0.0)
    assert (served(replica), replica.status.reload_error) == (good, None)
    deployment.move("champion", bad)
    replica.poll(0.0)
    assert (served(replica), replica.status.reload_error is None) == (good, False)


def test_damaged_version_is_tried_again_when_it_is_deployed_again(deployment: Deployment) -> None:
    bad = deployment.add(spoilt=True)
    replica = deployment.replica()
    replica.deploy(bad)
    replica.deploy(bad)
    assert deployment.store.downloads.calls == [bad, bad]


def test_last_good_model_is_served_as_soon_as_the_memory_has_it(deployment: Deployment) -> None:
    good, bad = deployment.add(), deployment.add(spoilt=True)
    replica = deployment.replica()
    replica.deploy(bad)
    deployment.replica().deploy(good)
    replica.poll(None)
    assert served(replica) == good
    assert replica.status.reload_error is not None

"""A replica serves the desired model after it has passed every check, and the old model until then."""

import logging
from collections.abc import Callable

import numpy as np
import pytest

from tests.unit.domain.services.serving_support import CHAMPION, GONE, NAME, Deployment, served


def test_before_the_first_deploy_nothing_serves_and_no_store_is_called(deployment: Deployment) -> None:
    deployment.add()
    replica = deployment.replica()
    replica.poll(0.0)
    assert (replica.current, replica.status.served, replica.status.reload_error) == (None, None, None)
    assert replica.status.desired == f"newest version of {NAME}"
    assert deployment.store.lookups.calls == []


def test_deployed_version_is_served_with_its_metadata(deployment: Deployment) -> None:
    uri = deployment.add()
    deployment.add()
    replica = deployment.replica()
    replica.deploy(uri)
    package = deployment.store.download(deployment.store.resolve(uri))
    model = replica.current
    assert model is not None
    assert (model.version, model.uuid, model.signature, model.created, model.degraded) == (
        package.version,
        package.uuid,
        package.signature,
        package.created,
        None,
    )
    assert model.prediction(np.zeros((2, 28, 28), np.uint8))[1].class_name == "a"
    assert (replica.status.desired, replica.status.served, replica.status.reload_error) == (uri, model, None)
    assert deployment.reloads == [(uri, None)]


@pytest.mark.parametrize("desired", [CHAMPION, None])
def test_alias_and_newest_are_served_as_their_version(deployment: Deployment, desired: str | None) -> None:
    deployment.add()
    uri = deployment.add("champion")
    replica = deployment.replica()
    replica.deploy(desired)
    assert served(replica) == uri
    assert replica.status.desired == (desired or f"newest version of {NAME}")


@pytest.mark.parametrize("desired", [CHAMPION, None])
def test_replica_that_starts_later_serves_the_version_that_the_first_one_pinned(
    deployment: Deployment, desired: str | None
) -> None:
    first, later = deployment.replica(), deployment.replica()
    uri = deployment.add("champion")
    first.deploy(desired)
    deployment.add("champion")
    deployment.store.lookups.error = deployment.store.downloads.error = GONE
    later.deploy(desired)
    assert (served(first), served(later), later.status.reload_error) == (uri, uri, None)


def test_replica_gets_the_model_from_the_shared_memory_and_not_from_the_store(deployment: Deployment) -> None:
    uri = deployment.add()
    deployment.replica().deploy(uri)
    deployment.replica().deploy(uri)
    assert deployment.store.downloads.calls == [uri]


def test_newest_of_a_model_without_versions_is_an_error_of_the_reload(deployment: Deployment) -> None:
    replica = deployment.replica()
    replica.deploy(None)
    assert replica.current is None
    assert replica.status.reload_error is not None
    assert f"no version of {NAME} is registered yet" in replica.status.reload_error


def break_store(deployment: Deployment) -> str:
    deployment.store.downloads.error = GONE
    return deployment.add()


def surprise(deployment: Deployment) -> str:
    deployment.store.downloads.error = ZeroDivisionError("a bug\nof a vendor")
    return deployment.add()


FAILURES: dict[str, tuple[Callable[[Deployment], str], str]] = {
    "no URI": (lambda _: "", "must be models:/NAME/VERSION"),
    "another scheme": (lambda _: "s3://bucket/model", "must be models:/NAME/VERSION"),
    "no such version": (lambda _: f"models:/{NAME}/99", "no version 99"),
    "no such alias": (lambda _: f"models:/{NAME}@nobody", "no alias 'nobody'"),
    "no such model": (lambda _: "models:/other/1", "no registered model 'other'"),
    "a damaged artifact": (lambda deployment: deployment.add(spoilt=True), "is damaged"),
    "a store that is down": (break_store, "nobody answers"),
    "an error that nobody foresaw": (surprise, "ZeroDivisionError: a bug of a vendor"),
    "an answer of another form": (lambda deployment: deployment.add(class_names=("a", "b")), "expected"),
    "an answer that is no number": (lambda deployment: deployment.add(mean=float("nan")), "the largest nan"),
    "another normalization": (
        lambda deployment: deployment.add(normalization=deployment.other_normalization()),
        "but data version fashion-mnist-v1.0.0 has Normalization",
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_failed_reload_keeps_the_old_model_and_gives_the_reason_in_one_line(
    deployment: Deployment, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    provoke, message = FAILURES[failure]
    good = deployment.add()
    replica = deployment.replica()
    replica.deploy(good)
    before = replica.current
    bad = provoke(deployment)
    caplog.clear()
    replica.deploy(bad)
    assert replica.current is before
    assert replica.status.desired == bad
    error = replica.status.reload_error
    assert error is not None
    assert message in error
    assert "\n" not in error
    assert deployment.reloads == [(good, None), (bad, error)]
    [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.levelno == logging.ERROR
    assert f"{good} continues to serve" in record.getMessage()
    assert (record.exc_info is not None) == (failure == "an error that nobody foresaw")


@pytest.mark.parametrize("failure", FAILURES)
def test_successful_deploy_clears_the_error(deployment: Deployment, failure: str) -> None:
    replica = deployment.replica()
    replica.deploy(FAILURES[failure][0](deployment))
    assert replica.current is None
    deployment.store.downloads.error = None
    good = deployment.add()
    replica.deploy(good)
    assert (served(replica), replica.status.reload_error) == (good, None)


@pytest.mark.parametrize("failure", FAILURES)
def test_replica_whose_first_load_fails_serves_the_last_good_model(deployment: Deployment, failure: str) -> None:
    good = deployment.add()
    deployment.replica().deploy(good)
    replica = deployment.replica()
    replica.deploy(FAILURES[failure][0](deployment))
    assert served(replica) == good
    assert replica.status.reload_error is not None
    assert FAILURES[failure][1] in replica.status.reload_error


def test_log_of_a_reload_names_the_new_and_the_replaced_model(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first, second = deployment.add(), deployment.add()
    replica = deployment.replica()
    replica.deploy(first)
    replica.deploy(second)
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    assert messages[0].startswith(f"{first} is in service after 0.")
    assert messages[1].endswith(f"in place of {first}")


def test_log_of_a_shadow_never_says_that_it_is_in_service(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    good, bad = deployment.add(), deployment.add(spoilt=True)
    shadow = deployment.replica(role="shadow")
    shadow.deploy(good)
    shadow.deploy(bad)
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    assert messages[0].startswith(f"{good} is loaded after 0.")
    assert messages[0].endswith("as the shadow")
    assert messages[1].startswith(f"{bad} is not loaded as the shadow: ")


def test_deploy_of_the_serving_model_loads_nothing(deployment: Deployment) -> None:
    uri = deployment.add("champion")
    replica = deployment.replica()
    replica.deploy(uri)
    model = replica.current
    replica.deploy(CHAMPION)
    assert replica.current is model
    assert deployment.store.downloads.calls == [uri]
    assert replica.status.desired == CHAMPION

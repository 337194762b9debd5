"""Which model answers during successful reloads, failed reloads, and the death of replicas."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.integration.apps.serving.models import (
    CORRUPT,
    GOOD,
    NAME,
    OTHER_NORMALIZATION,
    OTHER_SHAPE,
    PICKLED,
    Models,
    uri,
)
from tests.integration.apps.serving.server import Cluster, Load, wait_until

BAD = {
    "no such version": uri(99),
    "no such alias": f"models:/{NAME}@nobody",
    "no model URI": "s3://bucket/model",
    "a damaged artifact": uri(CORRUPT),
    "another input shape": uri(OTHER_SHAPE),
    "another normalization than the data's": uri(OTHER_NORMALIZATION),
    "a pickle": uri(PICKLED),
}


def reload_under_load(service: Cluster, times: int) -> None:
    """Reload the two good models in turn. Check that no answer is lost, and that each names the model that made it."""
    with Load(service.url) as load:
        for turn in range(times):
            wanted = uri(GOOD[(turn + 1) % 2])
            service.deploy(wanted)
            wait_until(lambda wanted=wanted: service.serves(wanted), f"{wanted} serves")
    assert load.failures == []
    assert {model for _, model, _ in load.answers} == {uri(version) for version in GOOD}
    assert all(model == uri(answer) for _, model, answer in load.answers)


def test_reloads_under_load_lose_no_request_and_mix_no_models(service: Cluster) -> None:
    reload_under_load(service, 3)


@pytest.mark.soak
def test_twenty_reloads_under_load_lose_no_request_and_mix_no_models(service: Cluster) -> None:
    reload_under_load(service, 20)


@pytest.mark.parametrize("reason", BAD)
def test_failed_reload_keeps_serving_the_old_model(service: Cluster, models: Models, reason: str) -> None:
    with Load(service.url, connections=2) as load:
        service.deploy(BAD[reason])
        wait_until(lambda: service.health()["reload_error"] is not None, "the reload has failed")
        health = service.health()
    assert load.failures == []
    assert {model for _, model, _ in load.answers} == {uri(GOOD[0])}
    assert health["desired_model"] == BAD[reason]
    assert health["model_uri"] == uri(GOOD[0])
    assert not models.evidence.exists()
    service.deploy(uri(GOOD[1]))
    wait_until(lambda: service.serves(uri(GOOD[1])), "a good reload works afterwards")
    assert service.health()["reload_error"] is None


@contextmanager
def hanging(database: Path) -> Iterator[None]:
    """Block all reads of the store until the end of the block."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


def test_requests_are_answered_while_the_store_hangs(service: Cluster, models: Models) -> None:
    with Load(service.url, connections=2) as load, hanging(models.database):
        service.deploy(uri(GOOD[1]))
        wait_until(lambda: service.health()["reload_error"] is not None, "the reload was given up")
    assert load.failures == []
    assert {model for _, model, _ in load.answers} == {uri(GOOD[0])}
    wait_until(lambda: service.serves(uri(GOOD[1])), "the desired model serves when the store is back")


def test_the_last_good_model_survives_the_replica_that_served_it(service: Cluster, models: Models) -> None:
    service.deploy(uri(CORRUPT))
    wait_until(lambda: service.health()["reload_error"] is not None, "the reload has failed")
    (old,) = service.replicas()
    with hanging(models.database):
        old.kill()
        wait_until(lambda: [each.pid for each in service.replicas()] not in ([], [old.pid]), "there is a new replica")
        wait_until(lambda: service.serves(uri(GOOD[0])), "the model that was good serves, without a store")


def test_a_killed_replica_is_replaced_quickly(service: Cluster) -> None:
    service.deploy(uri(GOOD[0]), num_replicas=2)
    wait_until(lambda: len(service.replicas()) == 2, "there are two replicas")
    with Load(service.url) as load:
        wait_until(lambda: len(load.answers) > 50, "requests are answered")
        service.replicas()[0].kill()
        before = len(load.answers)
        wait_until(lambda: len(load.answers) > before + 50, "requests go on being answered", patience=20)
        wait_until(lambda: len(service.replicas()) == 2, "there are two replicas again")
    # Requests on their way to the replica are lost, and those that the router still sends there.
    assert len(load.failures) <= 2 * load.connections, load.failures


def test_an_alias_that_moves_is_followed_without_a_deploy(service: Cluster, models: Models) -> None:
    models.point("champion", GOOD[0])
    service.deploy(f"models:/{NAME}@champion")
    wait_until(lambda: service.health()["desired_model"].endswith("@champion"), "the alias is deployed")
    with Load(service.url) as load:
        models.point("champion", GOOD[1])
        wait_until(lambda: service.serves(uri(GOOD[1])), "the promoted model serves")
    assert load.failures == []


def test_an_alias_that_is_deployed_again_is_looked_up_again(service: Cluster, models: Models) -> None:
    champion = f"models:/{NAME}@champion"
    models.point("champion", GOOD[0])
    service.deploy(champion)
    wait_until(lambda: service.health()["desired_model"] == champion, "the alias is deployed")
    service.deploy(uri(99))
    wait_until(lambda: service.health()["reload_error"] is not None, "a version that is not there is refused")
    models.point("champion", GOOD[1])
    service.deploy(champion)
    wait_until(lambda: service.serves(uri(GOOD[1])), "what the alias stands for by now serves")
    assert service.health()["desired_model"] == champion
    assert service.health()["reload_error"] is None


def test_without_a_model_uri_the_newest_version_is_desired_and_shown(service: Cluster) -> None:
    service.deploy(None)
    wait_until(lambda: "newest" in service.health()["desired_model"], "the newest is desired")
    # The newest version is the pickled one. It is refused, and the old model keeps serving.
    wait_until(lambda: service.health()["reload_error"] is not None, "it is refused")
    assert service.health()["model_uri"] == uri(GOOD[0])

"""Which model answers during successful reloads, failed reloads, and the death of replicas."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.integration.apps.serving.cluster import Cluster
from tests.integration.apps.serving.host import Host, Load, wait_until
from tests.integration.apps.serving.local import Local
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

BAD_VERSIONS = {
    "a damaged artifact": CORRUPT,
    "another input shape": OTHER_SHAPE,
    "another normalization than the data's": OTHER_NORMALIZATION,
    "a pickle": PICKLED,
}
BAD_URIS = {
    "no such version": uri(99),
    "no such alias": f"models:/{NAME}@nobody",
    "no model URI": "s3://bucket/model",
}


def reload_under_load(service: Host, times: int) -> None:
    """Reload the two good models in turn. Check that no answer is lost, and that each names the model that made it."""
    with Load(service.url) as load:
        for turn in range(times):
            version = GOOD[(turn + 1) % 2]
            service.choose(version)
            wait_until(lambda version=version: service.serves(uri(version)), f"version {version} serves")
    assert load.failures == []
    assert {model for _, model, _ in load.answers} == {uri(version) for version in GOOD}
    assert all(model == uri(answer) for _, model, answer in load.answers)


def test_reloads_under_load_lose_no_request_and_mix_no_models(service: Host) -> None:
    reload_under_load(service, 3)


@pytest.mark.soak
def test_twenty_reloads_under_load_lose_no_request_and_mix_no_models(service: Host) -> None:
    reload_under_load(service, 20)


@pytest.mark.parametrize("reason", BAD_VERSIONS)
def test_bad_version_keeps_the_old_model_in_service(service: Host, models: Models, reason: str) -> None:
    with Load(service.url, connections=2) as load:
        desired = service.choose(BAD_VERSIONS[reason])
        wait_until(lambda: service.health()["reload_error"] is not None, "the reload has failed")
        health = service.health()
    assert load.failures == []
    assert {model for _, model, _ in load.answers} == {uri(GOOD[0])}
    assert (health["desired_model"], health["model_uri"]) == (desired, uri(GOOD[0]))
    assert not models.evidence.exists()
    service.choose(GOOD[1])
    wait_until(lambda: service.is_well(uri(GOOD[1])), "a good reload works afterwards")


@pytest.mark.parametrize("reason", BAD_URIS)
def test_bad_uri_keeps_the_old_model_in_service(on_ray: Cluster, reason: str) -> None:
    on_ray.deploy(BAD_URIS[reason])
    wait_until(lambda: on_ray.health()["reload_error"] is not None, "the reload has failed")
    health = on_ray.health()
    assert (health["desired_model"], health["model_uri"]) == (BAD_URIS[reason], uri(GOOD[0]))
    on_ray.deploy(uri(GOOD[1]))
    wait_until(lambda: on_ray.is_well(uri(GOOD[1])), "a good reload works afterwards")


@contextmanager
def hanging(database: Path) -> Iterator[None]:
    """Block all reads of the store until the end of the block."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


def test_requests_are_answered_while_the_store_hangs(on_ray: Cluster, models: Models) -> None:
    with Load(on_ray.url, connections=2) as load, hanging(models.database):
        on_ray.deploy(uri(GOOD[1]))
        wait_until(lambda: on_ray.health()["reload_error"] is not None, "the reload was given up")
    assert load.failures == []
    assert {model for _, model, _ in load.answers} == {uri(GOOD[0])}
    wait_until(lambda: on_ray.serves(uri(GOOD[1])), "the desired model serves when the store is back")


def test_a_process_answers_requests_while_the_store_hangs(in_process: Local, models: Models) -> None:
    with Load(in_process.url, connections=2) as load, hanging(models.database):
        wait_until(lambda: in_process.health()["reload_error"] is not None, "the check for a newer model was given up")
    assert load.failures == []
    assert {model for _, model, _ in load.answers} == {uri(GOOD[0])}
    in_process.choose(GOOD[1])
    wait_until(lambda: in_process.is_well(uri(GOOD[1])), "the alias is followed again when the store is back")


def test_the_last_good_model_survives_the_replica_that_served_it(on_ray: Cluster, models: Models) -> None:
    on_ray.deploy(uri(CORRUPT))
    wait_until(lambda: on_ray.health()["reload_error"] is not None, "the reload has failed")
    (old,) = on_ray.processes()
    with hanging(models.database):
        old.kill()
        wait_until(lambda: [each.pid for each in on_ray.processes()] not in ([], [old.pid]), "there is a new replica")
        wait_until(lambda: on_ray.serves(uri(GOOD[0])), "the model that was good serves, without a store")


def test_a_killed_replica_is_replaced_quickly(on_ray: Cluster) -> None:
    on_ray.deploy(uri(GOOD[0]), num_replicas=2)
    wait_until(lambda: len(on_ray.processes()) == 2, "there are two replicas")
    with Load(on_ray.url) as load:
        wait_until(lambda: len(load.answers) > 50, "requests are answered")
        on_ray.processes()[0].kill()
        before = len(load.answers)
        wait_until(lambda: len(load.answers) > before + 50, "requests go on being answered", patience=20)
        wait_until(lambda: len(on_ray.processes()) == 2, "there are two replicas again")
    # Requests on their way to the replica are lost, and those that the router still sends there.
    assert len(load.failures) <= 2 * load.connections, load.failures


def test_an_alias_that_moves_is_followed_without_a_deploy(on_ray: Cluster, models: Models) -> None:
    models.point("champion", GOOD[0])
    on_ray.deploy(f"models:/{NAME}@champion")
    wait_until(lambda: on_ray.health()["desired_model"].endswith("@champion"), "the alias is deployed")
    with Load(on_ray.url) as load:
        models.point("champion", GOOD[1])
        wait_until(lambda: on_ray.serves(uri(GOOD[1])), "the promoted model serves")
    assert load.failures == []


def test_an_alias_that_is_deployed_again_is_looked_up_again(on_ray: Cluster, models: Models) -> None:
    champion = f"models:/{NAME}@champion"
    models.point("champion", GOOD[0])
    on_ray.deploy(champion)
    wait_until(lambda: on_ray.health()["desired_model"] == champion, "the alias is deployed")
    on_ray.deploy(uri(99))
    wait_until(lambda: on_ray.health()["reload_error"] is not None, "a version that is not there is refused")
    models.point("champion", GOOD[1])
    on_ray.deploy(champion)
    wait_until(lambda: on_ray.serves(uri(GOOD[1])), "what the alias stands for by now serves")
    assert on_ray.health()["desired_model"] == champion
    assert on_ray.health()["reload_error"] is None


def test_without_a_model_uri_the_newest_version_is_desired_and_shown(on_ray: Cluster) -> None:
    on_ray.deploy(None)
    wait_until(lambda: "newest" in on_ray.health()["desired_model"], "the newest is desired")
    # The newest version is the pickled one. It is refused, and the old model keeps serving.
    wait_until(lambda: on_ray.health()["reload_error"] is not None, "it is refused")
    assert on_ray.health()["model_uri"] == uri(GOOD[0])

"""Stores that hang and overlapping deploys never lead to a wrong model."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.services.serving.reload import ModelServing, ServingStatus
from tests.unit.domain.services.serving_support import CHAMPION, GONE, NAME, Deployment, Gate, served


@contextmanager
def in_background(call: Callable[[], None]) -> Iterator[threading.Thread]:
    """Run `call` in a thread during the block. The block must make it end."""
    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(30)
        assert not thread.is_alive(), "the call is still running"


@pytest.fixture
def replica(deployment: Deployment) -> Iterator[ModelServing]:
    """A replica that serves version 1 and has short timeouts. At the end, the store releases hanging calls."""
    replica = deployment.replica()
    replica.deploy(deployment.add())
    gates = (deployment.store.lookups, deployment.store.downloads)
    yield deployment.replica(patience=0.3)
    for gate in gates:
        gate.open()


def test_deploy_times_out_and_keeps_the_old_model(deployment: Deployment, replica: ModelServing) -> None:
    replica.deploy(f"models:/{NAME}/1")
    second = deployment.add()
    deployment.store.downloads.close()
    replica.deploy(second)
    assert served(replica) == f"models:/{NAME}/1"
    assert replica.status.reload_error is not None
    assert f"{second} from the model store: no answer within 0." in replica.status.reload_error


def test_starting_replica_serves_the_last_good_model_if_the_store_hangs(
    deployment: Deployment, replica: ModelServing
) -> None:
    second = deployment.add("champion")
    deployment.store.lookups.close()
    deployment.memory.load_seconds = 0.05
    replica.deploy(CHAMPION)
    assert served(replica) == f"models:/{NAME}/1"
    assert replica.status.reload_error is not None
    assert CHAMPION in replica.status.reload_error
    assert second not in deployment.store.downloads.calls


def test_version_is_not_requested_again_while_a_call_hangs(deployment: Deployment, replica: ModelServing) -> None:
    second = deployment.add()
    deployment.store.downloads.close()
    replica.deploy(second)
    for _ in range(5):
        replica.poll(None)
    assert deployment.store.downloads.calls.count(second) == 1
    assert replica.status.reload_error is not None
    assert "an earlier call still waits" in replica.status.reload_error


def test_alias_is_followed_although_an_older_download_hangs(deployment: Deployment, replica: ModelServing) -> None:
    deployment.add("champion")
    gate = deployment.store.downloads
    gate.close()
    replica.deploy(CHAMPION)
    third = deployment.add("champion")
    deployment.store.downloads = Gate()
    replica.poll(0.0)
    gate.open()
    assert (served(replica), replica.status.reload_error) == (third, None)


def test_model_that_arrives_after_the_timeout_is_served_by_the_next_poll(
    deployment: Deployment, replica: ModelServing
) -> None:
    second = deployment.add()
    deployment.store.downloads.close()
    replica.deploy(second)
    before = replica.current
    [hanging] = [thread for thread in threading.enumerate() if second in thread.name]
    deployment.store.downloads.open()
    hanging.join(30)
    assert replica.current is before
    replica.poll(None)
    assert (served(replica), replica.status.reload_error) == (second, None)


def test_only_the_newest_of_overlapping_deploys_is_served(deployment: Deployment) -> None:
    slow, quick = deployment.add(), deployment.add()
    replica = deployment.replica()
    deployment.store.downloads.close()
    with in_background(lambda: replica.deploy(slow)):
        assert deployment.store.downloads.entered.wait(30)
        gate, deployment.store.downloads = deployment.store.downloads, Gate()
        replica.deploy(quick)
        assert (served(replica), replica.status.desired) == (quick, quick)
        gate.open()
    assert (served(replica), replica.status.desired, replica.status.reload_error) == (quick, quick, None)
    assert deployment.memory.last_good_uri() == quick
    assert deployment.reloads == [(quick, None)]


def test_next_deploy_clears_the_error_of_the_last_one(deployment: Deployment) -> None:
    uri = deployment.add()
    replica = deployment.replica()
    replica.deploy("models:/nobody/1")
    deployment.store.downloads.close()
    with in_background(lambda: replica.deploy(uri)):
        assert deployment.store.downloads.entered.wait(30)
        assert replica.status == ServingStatus(desired=uri, served=None, reload_error=None)
        deployment.store.downloads.open()


def test_memory_that_kept_an_older_model_late_gets_the_newer_one(deployment: Deployment) -> None:
    slow, quick = deployment.add(), deployment.add()
    replica = deployment.replica()
    gate = deployment.memory.remembering
    gate.close()
    with in_background(lambda: replica.deploy(slow)):
        assert gate.entered.wait(30)
        deployment.memory.remembering = Gate()
        replica.deploy(quick)
        gate.open()
    assert deployment.memory.last_good_uri() == slow, "otherwise this test shows nothing"
    replica.poll(None)
    assert deployment.memory.last_good_uri() == quick


def test_failure_of_an_older_deploy_is_not_reported(deployment: Deployment) -> None:
    slow, quick = deployment.add(spoilt=True), deployment.add()
    replica = deployment.replica()
    deployment.store.downloads.close()
    with in_background(lambda: replica.deploy(slow)):
        assert deployment.store.downloads.entered.wait(30)
        gate, deployment.store.downloads = deployment.store.downloads, Gate()
        replica.deploy(quick)
        gate.open()
    assert (served(replica), replica.status.reload_error) == (quick, None)


def test_late_comparison_with_the_registry_does_not_change_a_newer_deploy(deployment: Deployment) -> None:
    slow, quick = deployment.add(), deployment.add()
    replica = deployment.replica()
    deployment.registry.gate.error = GONE
    replica.deploy(slow)
    gate = deployment.registry.gate = Gate()
    gate.close()
    with in_background(lambda: replica.poll(None)):
        assert gate.entered.wait(30)
        deployment.registry.gate = Gate()
        replica.deploy(quick)
        gate.open()
    assert (served(replica), replica.status.desired, replica.status.mismatch) == (quick, quick, None)


def test_late_alias_lookup_is_not_pinned(deployment: Deployment) -> None:
    deployment.add("champion")
    quick = deployment.add()
    replica = deployment.replica()
    deployment.store.lookups.close()
    with in_background(lambda: replica.deploy(CHAMPION)):
        assert deployment.store.lookups.entered.wait(30)
        replica.deploy(quick)
        deployment.memory.forget()
        deployment.store.lookups.open()
    assert served(replica) == quick
    assert deployment.memory.pinned(CHAMPION) is None
    assert deployment.store.downloads.calls == [quick]


def test_deploys_from_many_threads_end_with_one_of_them(deployment: Deployment) -> None:
    uris = [deployment.add(spoilt=number % 3 == 0) for number in range(9)]
    replica = deployment.replica()
    start = threading.Barrier(len(uris))

    def deploy(uri: str) -> None:
        start.wait(30)
        replica.deploy(uri)

    threads = [threading.Thread(target=deploy, args=(uri,)) for uri in uris]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    desired, failed = replica.status.desired, replica.status.reload_error is not None
    assert failed == (uris.index(desired) % 3 == 0)
    if not failed:
        assert served(replica) == desired


def test_poll_does_not_interfere_with_a_deploy(deployment: Deployment) -> None:
    uri = deployment.add()
    replica = deployment.replica()
    deployment.store.downloads.close()
    with in_background(lambda: replica.deploy(uri)):
        assert deployment.store.downloads.entered.wait(30)
        replica.poll(0.0)
        deployment.store.downloads.open()
    assert served(replica) == uri
    assert deployment.store.downloads.calls == [uri]


actions = st.lists(
    st.tuples(
        st.sampled_from(["deploy", "poll"]), st.sampled_from(["good", "spoilt", "wrong", "down", "absent", "old"])
    ),
    max_size=12,
)


@given(actions)
def test_only_good_models_ever_serve(actions: list[tuple[str, str]]) -> None:
    with TemporaryDirectory() as folder:
        deployment = Deployment(Path(folder))
        replicas = [deployment.replica(), deployment.replica("strict")]
        good: list[str] = []
        deployed = ""
        for number, (action, kind) in enumerate(actions):
            deployment.store.downloads.error = GONE if kind == "down" else None
            deployment.registry.gate.error = GONE if kind == "down" and number % 2 else None
            if kind == "good":
                good.append(deployment.add("champion"))
            elif kind == "spoilt":
                deployment.add("champion", spoilt=True)
            elif kind == "wrong":
                deployment.add("champion", normalization=deployment.other_normalization())
            elif kind == "old" and good:
                deployment.move("champion", good[0])
            replica = replicas[number % 2]
            before = served(replica)
            desired = {"good": good[-1] if good else "", "absent": "models:/nobody/1"}.get(kind, CHAMPION)
            if action == "poll":
                replica.poll(0.0)
            else:
                replica.deploy(deployed := desired)
            assert served(replica) in {*good, None}
            assert before is None or replica.current is not None, "a model serves until another one replaces it"
            if action == "deploy" and kind == "good":
                assert (served(replica), replica.status.reload_error) == (good[-1], None)
            # A replica that missed the last deploy does not change the shared pin.
            if action == "poll" and replica.status.desired == deployed == CHAMPION and not replica.status.reload_error:
                assert served(replica) == deployment.memory.pinned(CHAMPION)

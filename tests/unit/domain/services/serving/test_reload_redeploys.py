"""An alias that is deployed again is looked up again, for all replicas, without polling."""

import pytest

from tests.unit.domain.services.serving_support import CHAMPION, NAME, Deployment, served

DESIRED = pytest.mark.parametrize("desired", [CHAMPION, None])
BETWEEN = pytest.mark.parametrize(
    "between",
    [f"models:/{NAME}/1", f"models:/{NAME}/99", f"models:/{NAME}@nobody", "s3://bucket/model", f"models:/{NAME}@other"],
)


@DESIRED
@BETWEEN
def test_alias_is_looked_up_again_after_another_deploy(
    deployment: Deployment, desired: str | None, between: str
) -> None:
    first = deployment.add("champion", "other")
    replicas = [deployment.replica() for _ in range(2)]
    for replica in replicas:
        replica.deploy(desired)
    for replica in replicas:
        replica.deploy(between)
    assert [served(replica) for replica in replicas] == [first, first]
    second = deployment.add("champion")
    for replica in replicas:
        replica.deploy(desired)
    later = deployment.replica()
    deployment.add("champion")
    later.deploy(desired)
    for replica in replicas:
        replica.poll(None)
    assert [served(replica) for replica in (*replicas, later)] == [second] * 3
    assert [replica.status.reload_error for replica in (*replicas, later)] == [None] * 3


@DESIRED
def test_replica_that_gets_a_deploy_late_does_not_undo_it(deployment: Deployment, desired: str | None) -> None:
    first = deployment.add("champion")
    ahead, behind = deployment.replica(), deployment.replica()
    ahead.deploy(desired)
    behind.deploy(desired)
    ahead.deploy(first)
    behind.poll(0.0)
    behind.poll(None)
    second = deployment.add("champion")
    ahead.deploy(desired)
    assert served(ahead) == second


def test_replica_that_missed_deploys_in_between_serves_the_same_model(deployment: Deployment) -> None:
    # Serve sends a replica only the last configuration, and nothing if that did not change.
    first = deployment.add("champion")
    told, untold = deployment.replica(), deployment.replica()
    told.deploy(CHAMPION)
    untold.deploy(CHAMPION)
    told.deploy(f"models:/{NAME}/99")
    second = deployment.add("champion")
    told.deploy(CHAMPION)
    assert (served(told), served(untold)) == (second, first)
    untold.poll(None)
    assert (served(told), served(untold)) == (second, second)
    assert deployment.memory.last_good_uri() == second


def test_deploy_that_the_memory_missed_is_sent_later(deployment: Deployment) -> None:
    first = deployment.add("champion")
    replica = deployment.replica()
    replica.deploy(CHAMPION)
    deployment.memory.gate.error = ConnectionError("not now")
    replica.deploy(first)
    deployment.memory.gate.error = None
    replica.poll(None)
    second = deployment.add("champion")
    replica.deploy(CHAMPION)
    assert served(replica) == second

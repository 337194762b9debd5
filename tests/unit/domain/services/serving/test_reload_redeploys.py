"""An alias that is deployed again stands for what it stands for then, in every replica, without polling."""

import pytest

from tests.unit.domain.services.serving_support import CHAMPION, NAME, Deployment, served

DESIRED = pytest.mark.parametrize("desired", [CHAMPION, None])
BETWEEN = pytest.mark.parametrize(
    "between",
    [f"models:/{NAME}/1", f"models:/{NAME}/99", f"models:/{NAME}@nobody", "s3://bucket/model", f"models:/{NAME}@other"],
)


@DESIRED
@BETWEEN
def test_it_is_looked_up_anew_after_a_deploy_of_anything_else(
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
def test_replica_that_hears_of_a_deploy_late_does_not_undo_it(deployment: Deployment, desired: str | None) -> None:
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


def test_replica_that_never_heard_of_the_deploys_between_comes_to_agree(deployment: Deployment) -> None:
    # Serve tells a replica of the last configuration alone, and of nothing when that is what it had before.
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


def test_deploy_that_the_memory_did_not_hear_of_is_told_later(deployment: Deployment) -> None:
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

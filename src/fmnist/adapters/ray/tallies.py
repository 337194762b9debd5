"""The counts that the replicas of a deployment share, on the head node."""

from collections.abc import Hashable

from fmnist.adapters.memory.tallies import MemoryTallies
from fmnist.adapters.ray.shared_actor import SharedActor
from fmnist.ports.tallies import AnyTally, Tallies

# Raise the number when a tally changes: an actor of an earlier release may still run on the cluster.
_ACTOR = "tallies-1"


class RayTallies(Tallies[AnyTally]):
    """Counts of the type `kind` of the application `name`, shared by all replicas with this name on a cluster."""

    def __init__(self, name: str, kind: type[AnyTally]) -> None:
        self._actor = SharedActor(MemoryTallies, f"{_ACTOR}:{kind.__name__}:{name}", kind)

    def add(self, key: Hashable, tally: AnyTally) -> None:
        self._actor.ask("add", key, tally)

    def total(self, key: Hashable) -> AnyTally:
        found: AnyTally = self._actor.ask("total", key)
        return found

"""The comparisons that the replicas of a deployment share, on the head node."""

from fmnist.adapters.memory.agreements import MemoryAgreements
from fmnist.adapters.ray.shared_actor import SharedActor
from fmnist.domain.model.traffic.agreement import Agreement, Pair
from fmnist.ports.agreements import Agreements

# Raise the number when `Agreement` changes: an actor of an earlier release may still run on the cluster.
_ACTOR = "agreements-1"


class RayAgreements(Agreements):
    """The comparisons of the application `name`, shared by all replicas with this name on a cluster."""

    def __init__(self, name: str) -> None:
        self._actor = SharedActor(MemoryAgreements, f"{_ACTOR}:{name}")

    def add(self, pair: Pair, agreement: Agreement) -> None:
        self._actor.ask("add", pair, agreement)

    def total(self, pair: Pair) -> Agreement:
        found: Agreement = self._actor.ask("total", pair)
        return found

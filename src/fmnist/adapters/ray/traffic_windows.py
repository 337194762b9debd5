"""The windows that the replicas of a deployment share, on the head node."""

from fmnist.adapters.memory.traffic_windows import MemoryTrafficWindows
from fmnist.adapters.ray.shared_actor import SharedActor
from fmnist.domain.model.traffic.sketch import Sketch, TrafficWindow
from fmnist.ports.traffic_windows import TrafficWindows

# Raise the number when a sketch changes: an actor of an earlier release may still run on the cluster.
_ACTOR = "traffic-windows-1"


class RayTrafficWindows(TrafficWindows):
    """Windows of `minutes` of the application `name`, shared by all replicas with this name on a cluster."""

    def __init__(self, name: str, minutes: int) -> None:
        self._actor = SharedActor(MemoryTrafficWindows, f"{_ACTOR}:{minutes}:{name}", minutes)

    def add(self, model_uri: str, minute: int, sketch: Sketch) -> None:
        self._actor.ask("add", model_uri, minute, sketch)

    def window(self, model_uri: str) -> TrafficWindow:
        found: TrafficWindow = self._actor.ask("window", model_uri)
        return found

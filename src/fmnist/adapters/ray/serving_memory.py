"""The memory that replicas of a deployment share, on the head node.

It holds models as bytes, so that it need not import their classes.
"""

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from fmnist.adapters.memory.serving_memory import MemoryServingMemory
from fmnist.adapters.ray.shared_actor import SharedActor
from fmnist.ports.serving_memory import KeptModel, ServingMemory

# Raise the number when the actor's methods change: an actor of an earlier release may still run on the cluster.
_ACTOR = "serving-memory-2"
_P = ParamSpec("_P")
_T = TypeVar("_T")


class RayServingMemory(ServingMemory):
    """The memory of the application `name`, shared by all replicas with this name on a cluster.

    `deploy` is a string that is new for each deployment of the application. A pin is valid only for its own `deploy`,
    because an alias may point to another version at the next deployment.
    """

    def __init__(self, name: str, deploy: str) -> None:
        self._actor = SharedActor(MemoryServingMemory, f"{_ACTOR}:{name}")
        self._deploy = deploy

    def expect(self, desired: str) -> None:
        self._ask(MemoryServingMemory.expect, self._key(desired))

    def pinned(self, desired: str, max_age: float | None = None) -> str | None:
        return self._ask(MemoryServingMemory.pinned, self._key(desired), max_age)

    def pin(self, desired: str, uri: str) -> None:
        self._ask(MemoryServingMemory.pin, self._key(desired), uri)

    def remember(self, model: KeptModel) -> None:
        self._ask(MemoryServingMemory.remember, model)

    def last_good_id(self) -> tuple[str, bool] | None:
        return self._ask(MemoryServingMemory.last_good_id)

    def last_good(self, uri: str | None = None) -> KeptModel | None:
        return self._ask(MemoryServingMemory.last_good, uri)

    def _key(self, desired: str) -> str:
        return f"{self._deploy} {desired}"

    def _ask(
        self, method: Callable[Concatenate[MemoryServingMemory, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        answer: _T = self._actor.ask(method.__name__, *args, **kwargs)
        return answer

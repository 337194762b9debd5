"""The memory that replicas of a deployment share: a detached actor on the head node, which survives lost replicas.

It lives as long as the cluster. It holds models as bytes, so that it need not import their classes.
"""

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import ray
from ray.exceptions import GetTimeoutError, RayError

from fmnist.adapters.memory.serving_memory import MemoryServingMemory
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.ports.serving_memory import KeptModel, ServingMemory

# Raise the number when the actor's methods change: an actor of an earlier release may still run on the cluster.
_ACTOR = "serving-memory-2"
_OPTIONS: dict[str, Any] = {
    "namespace": "fmnist",
    "lifetime": "detached",
    "get_if_exists": True,
    "max_restarts": -1,
    "num_cpus": 0,
    # On the head node, because any other node may go away. Without the head node there is no cluster.
    "resources": {"node:__internal_head__": 0.001},
}
_ANSWER_SECONDS = 10

_P = ParamSpec("_P")
_T = TypeVar("_T")


class RayServingMemory(ServingMemory):
    """The memory of the application `name`, shared by all replicas with this name on a cluster.

    `deploy` is a string that is new for each deployment of the application. A pin is valid only for its own `deploy`,
    because an alias may point to another version at the next deployment.
    """

    def __init__(self, name: str, deploy: str) -> None:
        self._name = name
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
        try:
            actor = ray.remote(MemoryServingMemory).options(name=f"{_ACTOR}:{self._name}", **_OPTIONS).remote()
            answer: _T = ray.get(getattr(actor, method.__name__).remote(*args, **kwargs), timeout=_ANSWER_SECONDS)
        except (RayError, GetTimeoutError, ValueError) as error:
            raise StoreUnavailable(f"the replicas' shared memory on the head node does not answer: {error}") from error
        return answer

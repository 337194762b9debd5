"""An object that all replicas of an application share: a detached actor on the head node, which survives lost replicas.

It lives as long as the cluster.
"""

from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError

from fmnist.domain.model.errors import StoreUnavailable

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


class SharedActor:
    """The actor `name`, an object of `kind` that is made with `arguments` if there is none yet."""

    def __init__(self, kind: type, name: str, *arguments: Any) -> None:
        self._kind = kind
        self._name = name
        self._arguments = arguments

    def ask(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the object.

        Raises:
            StoreUnavailable: the actor does not answer.
        """
        try:
            actor = ray.remote(self._kind).options(name=self._name, **_OPTIONS).remote(*self._arguments)
            return ray.get(getattr(actor, method).remote(*args, **kwargs), timeout=_ANSWER_SECONDS)
        except (RayError, GetTimeoutError, ValueError) as error:
            raise StoreUnavailable(f"the replicas' shared memory on the head node does not answer: {error}") from error

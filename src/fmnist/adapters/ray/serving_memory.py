"""What the replicas of a deployment share: a detached actor on the head node, which no lost replica takes along.

It lives as long as the cluster does. The models in it are bytes to it, so that it never has to know their classes.
"""

import logging
import pickle
import time
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError

from fmnist.domain.model.errors import StoreUnavailable
from fmnist.ports.model_store import ModelPackage
from fmnist.ports.serving_memory import ServingMemory

logger = logging.getLogger(__name__)

_NAMESPACE = "fmnist"
_ANSWER_SECONDS = 10
# A node that may go away is no place for what has to outlive the others; with the head node goes the cluster.
_HEAD = {"node:__internal_head__": 0.001}


class _Memory:
    """The actor: one pin, and one model as bytes."""

    def __init__(self) -> None:
        self._pin: tuple[str, str, float] | None = None
        self._good: tuple[str, bytes] | None = None

    def pin(self, desired: str, uri: str) -> None:
        self._pin = (desired, uri, time.monotonic())

    def pinned(self, desired: str, max_age: float | None) -> str | None:
        if self._pin is None or self._pin[0] != desired:
            return None
        return self._pin[1] if max_age is None or time.monotonic() - self._pin[2] < max_age else None

    def remember(self, uri: str, package: bytes) -> None:
        self._good = (uri, package)

    def last_good_uri(self) -> str | None:
        return self._good and self._good[0]

    def last_good(self) -> bytes | None:
        return self._good and self._good[1]


class RayServingMemory(ServingMemory):
    """The memory of the application `name`, shared by all that give the same name on a cluster.

    A pin counts within one `deploy`, any string that is new for each deployment of the application: what an alias
    stood for when it was deployed before is nothing to go by.
    """

    def __init__(self, name: str, deploy: str) -> None:
        self._name = name
        self._deploy = deploy

    def pinned(self, desired: str, max_age: float | None = None) -> str | None:
        uri: str | None = self._ask("pinned", self._key(desired), max_age)
        return uri

    def pin(self, desired: str, uri: str) -> None:
        self._ask("pin", self._key(desired), uri)

    def remember(self, package: ModelPackage) -> None:
        self._ask("remember", package.version.uri, pickle.dumps(package))

    def last_good_uri(self) -> str | None:
        uri: str | None = self._ask("last_good_uri")
        return uri

    def last_good(self) -> ModelPackage | None:
        content: bytes | None = self._ask("last_good")
        if content is None:
            return None
        try:
            package: ModelPackage = pickle.loads(content)  # noqa: S301 - written by this class, in this cluster
        except Exception as error:  # noqa: BLE001 - whatever another release's classes make of it
            logger.warning("the last good model was kept by another release of fmnist and is of no use: %s", error)
            return None
        return package

    def _key(self, desired: str) -> str:
        return f"{self._deploy} {desired}"

    def _ask(self, method: str, *arguments: object) -> Any:
        try:
            memory = (
                ray.remote(_Memory)
                .options(
                    name=f"serving-memory:{self._name}",
                    namespace=_NAMESPACE,
                    lifetime="detached",
                    get_if_exists=True,
                    max_restarts=-1,
                    num_cpus=0,
                    resources=_HEAD,
                )
                .remote()
            )
            return ray.get(getattr(memory, method).remote(*arguments), timeout=_ANSWER_SECONDS)
        except (RayError, GetTimeoutError, ValueError) as error:
            raise StoreUnavailable(f"the replicas' memory on the head node does not answer: {error}") from error

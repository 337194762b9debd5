"""What the replicas of a deployment share: a detached actor on the head node, which no lost replica takes along.

It lives as long as the cluster does. The models in it are bytes to it, so that it never has to know their classes.
"""

import logging
import pickle
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError

from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.serving_notes import ServingNotes
from fmnist.ports.serving_memory import KeptModel, ServingMemory

logger = logging.getLogger(__name__)

_NAMESPACE = "fmnist"
_ANSWER_SECONDS = 10
# A node that may go away is no place for what has to outlive the others; with the head node goes the cluster.
_HEAD = {"node:__internal_head__": 0.001}


class RayServingMemory(ServingMemory):
    """The memory of the application `name`, shared by all that give the same name on a cluster.

    A pin counts within one `deploy`, any string that is new for each deployment of the application: what an alias
    stood for when it was deployed before is nothing to go by.
    """

    def __init__(self, name: str, deploy: str) -> None:
        self._name = name
        self._deploy = deploy

    def expect(self, desired: str) -> None:
        self._ask("expect", self._key(desired))

    def pinned(self, desired: str, max_age: float | None = None) -> str | None:
        uri: str | None = self._ask("pinned", self._key(desired), max_age)
        return uri

    def pin(self, desired: str, uri: str) -> None:
        self._ask("pin", self._key(desired), uri)

    def remember(self, model: KeptModel) -> None:
        self._ask("remember", model.package.version.uri, pickle.dumps(model))

    def last_good_uri(self) -> str | None:
        uri: str | None = self._ask("last_good_uri")
        return uri

    def last_good(self) -> KeptModel | None:
        content: bytes | None = self._ask("last_good")
        if content is None:
            return None
        try:
            model: KeptModel = pickle.loads(content)  # noqa: S301 - written by this class, in this cluster
        except Exception as error:  # noqa: BLE001 - whatever another release's classes make of it
            logger.warning("the last good model was kept by another release of fmnist and is of no use: %s", error)
            return None
        return model

    def _key(self, desired: str) -> str:
        return f"{self._deploy} {desired}"

    def _ask(self, method: str, *arguments: object) -> Any:
        try:
            memory = (
                ray.remote(ServingNotes)
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

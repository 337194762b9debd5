"""What the replicas of one deployment know in common, and what outlives each of them."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol

from fmnist.ports.model_store import ModelPackage


@dataclass(frozen=True, slots=True)
class KeptModel:
    """A model that served, and whether its normalization was compared with the data registry's. Picklable."""

    package: ModelPackage
    compared: bool


class ServingMemory(Protocol):
    """Remembers, for all replicas of a deployment, the version they agreed on and the last model that was good.

    Every method raises `StoreUnavailable` when the memory does not answer.
    """

    @abstractmethod
    def expect(self, desired: str) -> None:
        """Note that `desired` is what is deployed now: the pin of anything else is forgotten, and no other is taken."""

    @abstractmethod
    def pinned(self, desired: str, max_age: float | None = None) -> str | None:
        """Return the version's URI that `desired` was pinned to, when that was the last pin.

        None when another `desired` was expected or pinned since, or none was pinned yet, or when the pin is `max_age`
        seconds old or older.
        """

    @abstractmethod
    def pin(self, desired: str, uri: str) -> None:
        """Note that `desired`, such as an alias, now stands for the version at `uri`, in place of the pin before.

        Does nothing when another `desired` is expected: whoever pins this one has not heard of that yet.
        """

    @abstractmethod
    def remember(self, model: KeptModel) -> None:
        """Keep the model that was just checked and serves, in place of the one that was kept before."""

    @abstractmethod
    def last_good_uri(self) -> str | None:
        """Return which version `last_good` would return, without fetching it."""

    @abstractmethod
    def last_good(self) -> KeptModel | None:
        """Return the model that was kept, or None."""

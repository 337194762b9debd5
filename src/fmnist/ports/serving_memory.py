"""What the replicas of one deployment know in common, and what outlives each of them."""

from abc import abstractmethod
from typing import Protocol

from fmnist.ports.model_store import ModelPackage


class ServingMemory(Protocol):
    """Remembers, for all replicas of a deployment, the version they agreed on and the last model that was good.

    Every method raises `StoreUnavailable` when the memory does not answer.
    """

    @abstractmethod
    def pinned(self, desired: str, max_age: float | None = None) -> str | None:
        """Return the version's URI that `desired` was pinned to, when that was the last pin.

        None when another `desired` was pinned since, or none yet, or when the pin is `max_age` seconds old or older.
        """

    @abstractmethod
    def pin(self, desired: str, uri: str) -> None:
        """Note that `desired`, such as an alias, now stands for the version at `uri`, in place of the pin before."""

    @abstractmethod
    def remember(self, package: ModelPackage) -> None:
        """Keep the model that was just checked and serves, in place of the one that was kept before."""

    @abstractmethod
    def last_good_uri(self) -> str | None:
        """Return which version `last_good` would return, without fetching it."""

    @abstractmethod
    def last_good(self) -> ModelPackage | None:
        """Return the model that was kept, or None."""

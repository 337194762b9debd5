"""How far models agree, counted by all replicas of a service, by pair of versions."""

from abc import abstractmethod
from typing import Protocol

from fmnist.domain.model.traffic.agreement import Agreement, Pair


class Agreements(Protocol):
    """Adds up comparisons. It may forget a pair when many others were compared since.

    Every method raises `StoreUnavailable` when it does not answer.
    """

    @abstractmethod
    def add(self, pair: Pair, agreement: Agreement) -> None:
        """Add a comparison of some images."""

    @abstractmethod
    def total(self, pair: Pair) -> Agreement:
        """Return the comparison of all images. It may be empty."""

"""The recent traffic of all replicas of a service, as sketches by model version and minute."""

from abc import abstractmethod
from typing import Protocol

from fmnist.domain.model.traffic.sketch import Sketch, TrafficWindow


class TrafficWindows(Protocol):
    """Adds up sketches, and forgets those that are older than the window.

    Every method raises `StoreUnavailable` when the windows do not answer.
    """

    @abstractmethod
    def add(self, model_uri: str, minute: int, sketch: Sketch) -> None:
        """Add a sketch of images that this version answered in one minute, counted since 1970 (UTC)."""

    @abstractmethod
    def window(self, model_uri: str) -> TrafficWindow:
        """Return the window of this version. It may be empty."""

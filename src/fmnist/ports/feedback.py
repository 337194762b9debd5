"""The last answers of all replicas of a service, and the true classes that were told of them."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from fmnist.domain.model.traffic.feedback import Answer, Labelling, RealizedAccuracy, TrueClass


class Feedback(Protocol):
    """Keeps the newest answers, up to 100,000 images of them, and the first label of each image.

    Every method raises `StoreUnavailable` when the place of the feedback does not answer. A call can then be repeated:
    what was added already changes nothing.
    """

    @abstractmethod
    def add(self, answers: Sequence[Answer]) -> None:
        """Add answers. A second answer under one id removes the labels of the first, and the id takes none any more."""

    @abstractmethod
    def label(self, given: Sequence[TrueClass], milliseconds: int) -> Labelling:
        """Accept true classes 0-9 that came at this time since 1970 (UTC): all of them, or none if one is refused."""

    @abstractmethod
    def accuracy(self, model_uri: str, since: int = 0) -> RealizedAccuracy | None:
        """Return the accuracy of this version on its labelled images, if any.

        Only answers count that were given from `since` on, in milliseconds since 1970 (UTC).
        """

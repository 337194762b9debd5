"""The desired state of the service: written by a deployment, followed by a cluster, and read by whoever asks why."""

from abc import abstractmethod
from typing import Protocol

from fmnist.domain.model.promotion.desired_state import Desired


class DesiredState(Protocol):
    """A place where it is written which model the service is to run, with a history. Both methods raise
    `StoreUnavailable` when it does not answer, and `InvalidSetting` where it describes no service of ours.
    """

    @abstractmethod
    def read(self) -> Desired:
        """Return what is written there now."""

    @abstractmethod
    def write(self, model_uri: str, image: str | None, *, after: str, message: str) -> Desired:
        """Write which model is to be served, in which image where one is given, and return what is there now.

        What is written there already is not written again: the revision stays. `message` says who and why.

        Raises:
            Conflict: the place is no longer at revision `after`; nothing was written.
            InvalidSetting: the service runs no image of that name.
        """

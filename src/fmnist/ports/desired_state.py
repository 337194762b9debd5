"""The desired state of the service. A deployment writes it, and a cluster follows it."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol

from fmnist.domain.model.promotion.canary import Canary


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """The desired state at one revision.

    Attributes:
        model_uri: model that the service must serve; None if none is named.
        canary: the challenger beside it; None without a valid one.
        revision: identifies the written state, such as a Git commit.
    """

    model_uri: str | None
    canary: Canary | None = None
    revision: str


class DesiredState(Protocol):
    """A store, with history, of the model that the service must run. Both methods raise `StoreUnavailable` if the
    store does not answer, and `InvalidSetting` if it does not describe a service of fmnist.
    """

    @abstractmethod
    def read(self) -> Desired:
        """Return the current desired state."""

    @abstractmethod
    def write(
        self, model_uri: str, image: str | None, *, canary: Canary | None = None, after: str, message: str
    ) -> Desired:
        """Write the model to serve, its image if given, and the canary. Return the new desired state.

        Without a canary, one that is there is removed. If the state already has these values nothing is written, and
        the revision stays. `message` says who and why.

        Raises:
            Conflict: the store is no longer at revision `after`; nothing was written.
            InvalidSetting: the service runs no image of that name, or can have no canary.
        """

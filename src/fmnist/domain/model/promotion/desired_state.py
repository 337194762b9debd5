"""The desired state of a service, which a cluster follows."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """The desired state at one revision.

    Attributes:
        model_uri: model that the service must serve; None if none is named.
        revision: identifies the written state, such as a Git commit.
    """

    model_uri: str | None
    revision: str

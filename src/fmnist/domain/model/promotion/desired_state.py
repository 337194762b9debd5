"""What a service is to run, as it is written down for a cluster to follow."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What is written down at one revision.

    Attributes:
        model_uri: that the service is to answer with; None where none is named.
        revision: of the place where this is written, such as a commit.
    """

    model_uri: str | None
    revision: str

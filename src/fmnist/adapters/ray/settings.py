"""Settings of a Ray cluster, as plain values that need no import of Ray."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """How to reach Ray.

    Attributes:
        address: address of an existing cluster (`auto`, `HOST:PORT`); None starts one for this process.
        verbose: show all logs of Ray and of its workers, to find errors.
        forward_logs: show what workers print. `verbose` includes it.
        metrics: export Ray's metrics from this process, and from a cluster that it starts.
    """

    address: str | None = None
    verbose: bool = False
    forward_logs: bool = False
    metrics: bool = False

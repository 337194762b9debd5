"""How a Ray cluster is reached, as plain values: who holds them need not import Ray."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """How Ray is reached.

    Attributes:
        address: of a cluster that is there (`auto`, `HOST:PORT`, `ray://...`); None starts one in this process's name.
        verbose: show all that Ray and its workers have to say, for finding out what went wrong.
        forward_logs: show what workers print, and nothing else; always so when verbose.
        metrics: have this process, and a cluster that it starts, export Ray's metrics.
    """

    address: str | None = None
    verbose: bool = False
    forward_logs: bool = False
    metrics: bool = False

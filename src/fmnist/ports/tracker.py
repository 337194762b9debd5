"""The record of training runs: their inputs, their metrics, and how each run ended."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from fmnist.domain.model.data.dataset import DatasetVersion


class RunStatus(StrEnum):
    """Status of a run."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run, as read from the tracker.

    Attributes:
        history: all logged values by metric name, as (step, value) pairs in the order of logging.
        started: seconds since 1970 (UTC).
        parent: id of the run that this run is a part of; None for a run of its own.
    """

    run_id: str
    name: str
    status: RunStatus
    params: Mapping[str, str]
    tags: Mapping[str, str]
    history: Mapping[str, tuple[tuple[int, float], ...]]
    started: float
    parent: str | None = None


class Tracker(Protocol):
    """Starts runs, writes to them by id, and reads them back. Every method raises `StoreUnavailable` if the
    tracker does not answer. Methods that take a run id raise `RunNotFound` if there is no such run.
    """

    @abstractmethod
    def start(
        self, name: str, tags: Mapping[str, str], dataset: DatasetVersion | None = None, parent: str | None = None
    ) -> str:
        """Open a run with status RUNNING, and return its id.

        The data version of its training is recorded with it, with source and digest. `parent` is the id of the run
        that this run is a part of.

        Raises:
            RunNotFound: there is no run `parent`.
        """

    @abstractmethod
    def set_status(self, run_id: str, status: RunStatus) -> None:
        """Set the status of the run. RUNNING reopens it, and any other status ends it."""

    @abstractmethod
    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        step: int = 0,
    ) -> None:
        """Record parameters (each written once), tags (the last value counts), and metrics at `step`.

        Raises:
            InvalidSetting: a parameter already has another value. The same value is accepted.
        """

    @abstractmethod
    def log_artifact(self, run_id: str, path: str, content: bytes) -> None:
        """Store a file, such as a JSON document, a figure or a page, under the relative `path`."""

    @abstractmethod
    def get(self, run_id: str) -> RunRecord:
        """Return a run."""

    @abstractmethod
    def find(self, tags: Mapping[str, str]) -> list[RunRecord]:
        """Return the runs that carry all of these tags, newest first."""

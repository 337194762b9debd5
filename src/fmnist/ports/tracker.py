"""The record of training runs: what went in, what was measured, and how each of them ended."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from fmnist.domain.model.data.dataset import DatasetVersion


class RunStatus(StrEnum):
    """How a run stands."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as it was read back.

    Attributes:
        history: every logged value by metric name, as (step, value) pairs in the order of their logging.
        started: seconds since 1970 (UTC).
    """

    run_id: str
    name: str
    status: RunStatus
    params: Mapping[str, str]
    tags: Mapping[str, str]
    history: Mapping[str, tuple[tuple[int, float], ...]]
    started: float


class Tracker(Protocol):
    """Starts runs, writes to them by id, and reads them back. Every method raises `StoreUnavailable` when the
    tracker does not answer, and those that name a run raise `RunNotFound` when there is none of that id.
    """

    @abstractmethod
    def start(self, name: str, tags: Mapping[str, str], dataset: DatasetVersion | None = None) -> str:
        """Open a run, which stands at RUNNING, and return its id.

        The data version that it is trained on is recorded with it, with source and digest.
        """

    @abstractmethod
    def set_status(self, run_id: str, status: RunStatus) -> None:
        """Say how the run stands: RUNNING takes it up again, anything else ends it."""

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
        """Record parameters (each written once), tags (the last one counts), and metrics at `step`.

        Raises:
            InvalidSetting: a parameter already has another value; the same value again is fine.
        """

    @abstractmethod
    def log_artifact(self, run_id: str, path: str, content: bytes) -> None:
        """Store a file, such as a JSON document, a figure or a page, under the relative `path`."""

    @abstractmethod
    def get(self, run_id: str) -> RunRecord:
        """Read a run back."""

    @abstractmethod
    def find(self, tags: Mapping[str, str]) -> list[RunRecord]:
        """Return the runs that carry all of these tags, newest first."""

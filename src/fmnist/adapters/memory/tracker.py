"""A tracker that keeps its runs in a dictionary. It keeps all of them, and nothing leaves the process."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.errors import InvalidSetting, RunNotFound
from fmnist.ports.tracker import RunRecord, RunStatus, Tracker


@dataclass(slots=True)
class _Run:
    name: str
    dataset: DatasetVersion | None
    parent: str | None = None
    status: RunStatus = RunStatus.RUNNING
    started: float = field(default_factory=time.time)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    history: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    artifacts: dict[str, bytes] = field(default_factory=dict)


class MemoryTracker(Tracker):
    """A `Tracker` without a store. `artifacts` and `dataset` show tests what the port cannot read back."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}

    def start(
        self, name: str, tags: Mapping[str, str], dataset: DatasetVersion | None = None, parent: str | None = None
    ) -> str:
        if parent is not None:
            self._run(parent)
        run_id = uuid.uuid4().hex
        self._runs[run_id] = _Run(name, dataset, parent, tags=dict(tags))
        return run_id

    def set_status(self, run_id: str, status: RunStatus) -> None:
        self._run(run_id).status = status

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        step: int = 0,
    ) -> None:
        run = self._run(run_id)
        for name, value in (params or {}).items():
            if run.params.get(name, value) != value:
                raise InvalidSetting(
                    f"run {run_id} has parameter {name} = {run.params[name]!r}, which cannot change to {value!r}"
                )
        run.params |= params or {}
        run.tags |= tags or {}
        for name, number in (metrics or {}).items():
            run.history.setdefault(name, []).append((step, number))

    def log_artifact(self, run_id: str, path: str, content: bytes) -> None:
        self._run(run_id).artifacts[path] = content

    def get(self, run_id: str) -> RunRecord:
        run = self._run(run_id)
        return RunRecord(
            run_id=run_id,
            name=run.name,
            status=run.status,
            params=dict(run.params),
            tags=dict(run.tags),
            history={name: tuple(values) for name, values in run.history.items()},
            started=run.started,
            parent=run.parent,
        )

    def find(self, tags: Mapping[str, str]) -> list[RunRecord]:
        newest_first = reversed(self._runs.items())
        return [self.get(run_id) for run_id, run in newest_first if tags.items() <= run.tags.items()]

    def artifacts(self, run_id: str) -> Mapping[str, bytes]:
        """Return the artifacts of a run by their paths."""
        return self._run(run_id).artifacts

    def dataset(self, run_id: str) -> DatasetVersion | None:
        """Return the data version that the run is trained on."""
        return self._run(run_id).dataset

    def _run(self, run_id: str) -> _Run:
        try:
            return self._runs[run_id]
        except KeyError:
            raise RunNotFound(f"no run {run_id!r}: the tracker has {len(self._runs)} runs") from None

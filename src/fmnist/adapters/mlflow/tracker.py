"""Training runs in MLflow. Each write names its run id and none uses an active run, so threads cannot mix up runs."""

import json
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path, PurePosixPath

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from fmnist.adapters.mlflow.connection import MlflowConnection, all_pages
from fmnist.adapters.mlflow.errors import translated
from fmnist.domain.model.data.dataset import DatasetVersion, SplitFile
from fmnist.domain.model.errors import RunNotFound
from fmnist.ports.tracker import RunRecord, RunStatus, Tracker

_RUN_ID = re.compile(r"[A-Za-z0-9][\w-]*", re.ASCII)
_PLAIN_VALUE = re.compile(r"[\w .:/@+-]*", re.ASCII)


class MlflowTracker(Tracker):
    """A `Tracker` that connects at its first call.

    Args:
        system_metrics: record CPU, memory and GPU of this machine as `system/...` while one of its runs is RUNNING.
    """

    def __init__(self, connection: MlflowConnection, *, system_metrics: bool = False) -> None:
        self._connection = connection
        self._uri = connection.tracking_uri
        self._system_metrics = system_metrics
        self._monitors: dict[str, SystemMetricsMonitor] = {}

    def start(
        self, name: str, tags: Mapping[str, str], dataset: DatasetVersion | None = None, parent: str | None = None
    ) -> str:
        if parent is not None:
            self.get(parent)  # MLflow accepts any text
        experiment, client = self._connection.ensure_experiment(), self._connection.client()
        family = {} if parent is None else {MLFLOW_PARENT_RUN_ID: parent}
        with translated(self._uri, f"a new run {name!r}"):
            run_id = str(client.create_run(experiment, run_name=name, tags={**tags, **family}).info.run_id)
            if dataset is not None:
                try:
                    client.log_inputs(run_id, [_training_input(dataset)])
                except BaseException:
                    with suppress(Exception):  # the server may be down, and the first error matters more
                        client.set_terminated(run_id, status=RunStatus.FAILED.value)
                    raise
        self._monitor(run_id)
        return run_id

    def set_status(self, run_id: str, status: RunStatus) -> None:
        client = self._connection.client()
        with self._about(run_id):
            if status is RunStatus.RUNNING:
                experiment = client.get_run(run_id).info.experiment_id
                self._connection.expect_artifacts([client.get_experiment(experiment)])
                client.update_run(run_id, status=status.value)
                self._monitor(run_id)
            else:
                if monitor := self._monitors.pop(run_id, None):
                    monitor.finish()
                client.set_terminated(run_id, status=status.value)

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        step: int = 0,
    ) -> None:
        client, now = self._connection.client(), time.time_ns() // 1_000_000
        with self._about(run_id):
            # One call for all, because each call takes 5-7 ms on sqlite, and up to 90 ms on a server.
            client.log_batch(
                run_id,
                metrics=[Metric(name, value, now, step) for name, value in (metrics or {}).items()],
                params=[Param(name, value) for name, value in (params or {}).items()],
                tags=[RunTag(name, value) for name, value in (tags or {}).items()],
            )

    def log_artifact(self, run_id: str, path: str, content: bytes) -> None:
        client, target = self._connection.client(), PurePosixPath(path)
        folder = None if target.parent == PurePosixPath() else str(target.parent)
        with tempfile.TemporaryDirectory(prefix="fmnist-artifact-") as scratch, self._about(run_id):
            file = Path(scratch, target.name)
            file.write_bytes(content)
            client.log_artifact(run_id, str(file), folder)

    def get(self, run_id: str) -> RunRecord:
        client = self._connection.client(f"run {run_id!r}")
        with self._about(run_id):
            return self._record(client.get_run(run_id))

    def find(self, tags: Mapping[str, str]) -> list[RunRecord]:
        if (experiment := self._connection.experiment_id()) is None:
            return []
        client = self._connection.client()
        # MLflow's filter language has no escapes, so values with quotes are compared here.
        plain = {name: value for name, value in tags.items() if _PLAIN_VALUE.fullmatch(value)}
        clauses = " AND ".join(f"tags.`{name}` = '{value}'" for name, value in plain.items())
        with translated(self._uri, f"runs with {dict(tags)}"):
            found = all_pages(
                lambda token: client.search_runs(
                    [experiment], clauses, order_by=["attributes.start_time DESC"], page_token=token
                )
            )
            return [self._record(run) for run in found if tags.items() <= run.data.tags.items()]

    def _monitor(self, run_id: str) -> None:
        # MLflow does this only for its active run, and we have none.
        if self._system_metrics and run_id not in self._monitors:
            monitor = SystemMetricsMonitor(run_id, resume_logging=True, tracking_uri=self._uri.reveal())
            self._monitors[run_id] = monitor
            monitor.start()

    def _record(self, run: Run) -> RunRecord:
        run_id = run.info.run_id
        return RunRecord(
            run_id=run_id,
            name=run.info.run_name,
            status=RunStatus(run.info.status),
            params=dict(run.data.params),
            tags={name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.")},
            history={name: self._history(run_id, name) for name in run.data.metrics},
            started=run.info.start_time / 1000,
            parent=run.data.tags.get(MLFLOW_PARENT_RUN_ID),
        )

    def _history(self, run_id: str, metric: str) -> tuple[tuple[int, float], ...]:
        values = self._connection.client().get_metric_history(run_id, metric)
        return tuple((value.step, value.value) for value in sorted(values, key=lambda value: value.timestamp))

    def _about(self, run_id: str) -> AbstractContextManager[None]:
        """Translate errors of calls on one run. For a malformed id, MLflow would say 'invalid parameter'."""
        if not _RUN_ID.fullmatch(run_id):
            raise RunNotFound(f"run {run_id!r} is not in MLflow at {self._uri}: this is not a run id")
        return translated(self._uri, f"run {run_id!r}", missing=RunNotFound)


def _training_input(dataset: DatasetVersion) -> DatasetInput:
    splits = {split: _recorded(files) for split, files in dataset.splits.items()}
    # Only MLflow's "code" source needs no file. Its tags say where the data is.
    source = {"tags": {"registry": dataset.source, "commit": dataset.commit, "splits": splits}}
    entity = Dataset(name=dataset.version, digest=dataset.digest, source_type="code", source=json.dumps(source))
    return DatasetInput(entity, [InputTag("mlflow.data.context", "training")])


def _recorded(files: Sequence[SplitFile]) -> dict[str, object]:
    """Return what is recorded of a split. Of several files it is only their number, because MLflow limits the text."""
    return {"files": len(files)} if len(files) > 1 else {"uri": files[0].uri, "md5": files[0].md5}

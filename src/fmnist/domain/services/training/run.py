"""The training job: from a data version to a registered model, recorded as a run of the tracker."""

import dataclasses
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass

from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.data.metadata import split_sizes
from fmnist.domain.model.errors import BadInput, CorruptData, InvalidSetting, ReportFailed, TrainingFailed
from fmnist.domain.model.evaluation.card import model_card
from fmnist.domain.model.evaluation.report import DEVICE_TAG, ModelReport, RenderReport, TrainingStory
from fmnist.domain.model.model import ModelInfo, ModelVersion
from fmnist.domain.model.training.run import Lineage, TrainingResult, TrainingSpec, best_epoch
from fmnist.domain.services.evaluation.evaluate import report_files
from fmnist.domain.services.training.ending import mark_ended
from fmnist.domain.services.training.epoch_log import EpochLog
from fmnist.domain.services.training.final_measurement import FinalMeasurement
from fmnist.ports.compute import Compute, FitResult, OnProgress
from fmnist.ports.data_registry import DataRegistry
from fmnist.ports.model_store import ModelStore
from fmnist.ports.tracker import RunStatus, Tracker

logger = logging.getLogger(__name__)

# Errors that a resumed run would meet again.
_LASTING = (BadInput, CorruptData, TrainingFailed)

REPORT_FOLDER = "report"  # among the run's artifacts

# Steps after training, as the message after an outage lists them.
_FINAL_METRICS, _MODEL, _REPORT, _END = "the metrics of the chosen epoch", "the model", "its report", "its final status"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The workflow, image and commit of this process. With the data version they make a run's lineage."""

    argo_workflow_uid: str
    docker_image_tag: str
    git_commit: str


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """Trains, evaluates, saves, registers and reports. A failed or interrupted run does not stay at RUNNING.

    Attributes:
        model_name: the registered model that each run adds a version to.
        render: draws the report on the run's model.
        uninterrupted: makes a context in which an interrupt waits. A process that turns signals into
            `KeyboardInterrupt` supplies it. Then no interrupt can come between the start of a run and its id.
        lock: makes a context for a run's id that one process at a time can enter.
        check_lock: raises the errors of a new run's lock before the run exists.
        on_resumable: called with the id of a run that ended early and can be resumed.
    """

    registry: DataRegistry
    tracker: Tracker
    compute: Compute
    store: ModelStore
    model_name: str
    render: RenderReport
    uninterrupted: Callable[[], AbstractContextManager[None]] = nullcontext
    lock: Callable[[str], AbstractContextManager[object]] = nullcontext
    check_lock: Callable[[], object] = lambda: None
    on_resumable: Callable[[str], object] = lambda _: None

    def start(
        self,
        spec: TrainingSpec,
        provenance: Provenance,
        on_progress: OnProgress,
        *,
        run_name: str,
        data_version: str | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> TrainingResult:
        """Train by `spec` on a data version (None: the newest) in a new run. `notes` are further tags.

        Raises:
            BadInput: the spec, the data version or the model's name is not valid; no run was opened.
            StoreUnavailable: the model store, the compute or the lock is not available; no run was opened.
            FmnistError: the run failed, and is marked FAILED.
            KeyboardInterrupt: the run was interrupted, and is marked KILLED.
        """
        dataset = self.registry.resolve(data_version)
        lineage = Lineage(
            **dataclasses.asdict(provenance),
            dvc_data_version=dataset.version,
            dvc_data_sha=dataset.commit,
            data_digest=dataset.digest,
        )
        tags = {**lineage.tags(), **(notes or {})}
        return self._carry_out(
            lambda: self.tracker.start(run_name, tags, dataset), spec, dataset, lineage, on_progress, is_new=True
        )

    def resume(self, run_id: str, on_progress: OnProgress) -> TrainingResult:
        """Resume a failed or interrupted run from its last checkpoint. The result is that of an uninterrupted run.

        Spec, data version and lineage are those of the run, even if another workflow or image resumes it.

        Raises:
            RunNotFound: the tracker has no such run.
            InvalidSetting: the run is finished, fmnist did not start it, its data has changed, or another process is
                at work on it.
        """
        with self.lock(run_id):
            record = self.tracker.get(run_id)
            if record.status is RunStatus.FINISHED:
                raise InvalidSetting(f"run {run_id} is FINISHED: there is nothing to resume")
            lineage, spec = Lineage.from_tags(record.tags), TrainingSpec.from_params(record.params)
            dataset = self.registry.resolve(lineage.dvc_data_version)
            if dataset.digest != lineage.data_digest:
                raise InvalidSetting(
                    f"the data of {dataset.version} has changed since run {run_id} started: expected digest "
                    f"{lineage.data_digest}, found {dataset.digest}; start a new run"
                )
            if record.status is RunStatus.RUNNING:
                logger.warning("run %s is marked RUNNING: make sure that no other machine is at work on it", run_id)

            def reopen() -> str:
                self.tracker.set_status(run_id, RunStatus.RUNNING)
                return run_id

            return self._carry_out(reopen, spec, dataset, lineage, on_progress, is_new=False)

    def _carry_out(
        self,
        open_run: Callable[[], str],
        spec: TrainingSpec,
        dataset: DatasetVersion,
        lineage: Lineage,
        on_progress: OnProgress,
        *,
        is_new: bool,
    ) -> TrainingResult:
        # What would fail later is checked before a run is opened. `versions` checks the model's name.
        self.store.versions(self.model_name)
        self.compute.prepare(spec, dataset)
        self.check_lock()
        epochs, left, resumable = None, list[str](), not is_new
        with ExitStack() as held:
            try:
                with self.uninterrupted():
                    run_id = open_run()
                    epochs = EpochLog(self.tracker, run_id)
                logger.info("run %s: %s on %s", run_id, spec.recipe.architecture, dataset.version)
                if is_new:
                    held.enter_context(self.lock(run_id))
                    self._describe(run_id, spec, dataset)
                    resumable = True
                fit = self.compute.fit(spec, dataset, run_id, epochs.watch(on_progress))
                left = [_FINAL_METRICS, _MODEL, _REPORT, _END]
                result = self._conclude(run_id, fit, spec, dataset, lineage, epochs, left)
                self.tracker.set_status(run_id, RunStatus.FINISHED)
            except BaseException as error:
                if epochs is not None:
                    with self.uninterrupted():
                        self._abandon(run_id, error, [str(epochs), *left], resumable=resumable)
                        # After the status, which is urgent, and under the lock: it may still write checkpoints.
                        self.compute.close()
                raise
        return result

    def _abandon(self, run_id: str, reason: BaseException, unrecorded: list[str], *, resumable: bool) -> None:
        mark_ended(self.tracker, run_id, reason)
        if any(unrecorded):
            logger.warning("not recorded for run %s: %s", run_id, "; ".join(filter(None, unrecorded)))
        if resumable and not isinstance(reason, _LASTING):
            self.on_resumable(run_id)

    def _describe(self, run_id: str, spec: TrainingSpec, dataset: DatasetVersion) -> None:
        params = {
            **spec.params(),
            "global_batch_size": str(spec.global_batch_size),
            "dvc_repo_url": dataset.source,
            "dvc_data_version": dataset.version,
            **{f"dvc_{split}_data_path": path for split, path in dataset.paths.items() if split != "metadata"},
            "dvc_metrics_path": dataset.paths["metadata"],
        }
        self.tracker.log_artifact(run_id, "dvc_data_metrics.json", json.dumps(dataset.metadata, indent=2).encode())
        # Written last: a run with parameters has its whole description, and can be resumed.
        self.tracker.log(run_id, params=params)

    def _conclude(
        self,
        run_id: str,
        fit: FitResult,
        spec: TrainingSpec,
        dataset: DatasetVersion,
        lineage: Lineage,
        epochs: EpochLog,
        left: list[str],
    ) -> TrainingResult:
        """Measure the chosen weights on `val` and once on `test`. Then save, register and report on them.

        Each step that is recorded is removed from `left`.
        """
        final = FinalMeasurement.of(self.compute, fit.weights, dataset)
        metrics, story = final.metrics(), _story(fit, spec, dataset)
        # Readers of a run see the last value of a metric, so it must be that of the registered model. It is logged as
        # one more epoch. So a run that is resumed after this point does not log it again.
        epochs.write([*fit.history, metrics | story.speed()])
        tags = {"best_epoch": str(story.best_epoch), "temperature": f"{final.weights.temperature:.4f}"}
        self.tracker.log(run_id, tags={**tags, DEVICE_TAG: fit.device})
        left.remove(_FINAL_METRICS)
        info = ModelInfo(
            architecture=fit.weights.architecture,
            normalization=dataset.normalization,
            class_names=dataset.class_names,
            lineage={"run_id": run_id, **lineage.tags()},
            metrics=metrics,
        )
        report = ModelReport(
            info=info,
            measured=final.test or final.val,
            val=final.val if final.test else None,
            calibration=final.calibration,
            story=story,
            source=dataset.source,
            counts=split_sizes(dataset.metadata),
        )
        model = self._saved(run_id) or self.store.save(
            run_id,
            self.model_name,
            final.weights,
            info,
            final.golden,
            reference=final.reference,
            card=model_card(report),
        )
        left.remove(_MODEL)
        self._log_report(run_id, model.uri, report)
        left.remove(_REPORT)
        return TrainingResult(
            run_id=run_id,
            model=model,
            history=fit.history,
            best_epoch=story.best_epoch,
            val=final.val.evaluation,
            test=final.test.evaluation if final.test else None,
            seconds=fit.seconds,
        )

    def _log_report(self, run_id: str, uri: str, report: ModelReport) -> None:
        """Draw the report and log it. An error of drawing is only a warning: the model is valid without a report."""
        try:
            files = report_files(self.render, uri, report)
        except ReportFailed as error:
            logger.warning("run %s has no report: %s", run_id, error)
            return
        for path, content in files.items():
            self.tracker.log_artifact(run_id, f"{REPORT_FOLDER}/{path}", content)

    def _saved(self, run_id: str) -> ModelVersion | None:
        """Return the run's model if an earlier attempt registered it before it was interrupted."""
        return next((version for version in self.store.versions(self.model_name) if version.run_id == run_id), None)


def _story(fit: FitResult, spec: TrainingSpec, dataset: DatasetVersion) -> TrainingStory:
    images = split_sizes(dataset.metadata).get("train")
    if images is not None and spec.limit_train is not None:
        images = min(images, spec.limit_train)
    return TrainingStory(
        params=spec.params(),
        history=fit.history,
        best_epoch=best_epoch(fit.history),
        seconds=fit.seconds or None,
        images_per_second=len(fit.history) * images / fit.seconds if images and fit.seconds else None,
        device=fit.device,
    )

"""The main job: from a data version to a registered model, with a run that tells how it came about."""

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass

from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.data.metadata import split_sizes
from fmnist.domain.model.errors import BadInput, CorruptData, FmnistError, InvalidSetting, ReportFailed, TrainingFailed
from fmnist.domain.model.evaluation.card import model_card
from fmnist.domain.model.evaluation.report import DEVICE_TAG, ModelReport, RenderReport, TrainingStory
from fmnist.domain.model.model import ModelInfo, ModelVersion
from fmnist.domain.model.training.run import Lineage, TrainingResult, TrainingSpec, best_epoch
from fmnist.domain.services.bounded_calls import BoundedCalls
from fmnist.domain.services.evaluation.evaluate import report_files
from fmnist.domain.services.training.epoch_log import EpochLog
from fmnist.domain.services.training.final_measurement import FinalMeasurement
from fmnist.domain.services.training.unrecorded import FINAL_METRICS, MODEL, REPORT, Unrecorded
from fmnist.ports.compute import Compute, FitResult, OnProgress
from fmnist.ports.data_registry import DataRegistry
from fmnist.ports.model_store import ModelStore
from fmnist.ports.tracker import RunStatus, Tracker

logger = logging.getLogger(__name__)

# After these a run would fail again in the same way.
_LASTING = (BadInput, CorruptData, TrainingFailed)

REPORT_FOLDER = "report"  # among the run's artifacts

_MARK_SECONDS = 20  # whoever tells a process to end often gives it 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What the process knows of its own origin; together with the data version it makes a run's lineage."""

    argo_workflow_uid: str
    docker_image_tag: str
    git_commit: str


class TrainingRun:
    """Trains, evaluates, saves, registers and reports; whatever happens, the run does not stay at RUNNING.

    Args:
        model_name: the registered model that each run adds a version to.
        render: draws the report on the run's model.
        uninterrupted: makes a context in which an interrupt waits; a process that turns signals into
            `KeyboardInterrupt` supplies it, so that none strikes where a run has begun and nobody knows its id yet.
        lock: makes a context, by a run's id, that one process at a time may be in.
        check_lock: raises what the lock of a new run would, before there is that run.
        on_resumable: is told the id of a run that ended early and can be resumed.
    """

    def __init__(
        self,
        registry: DataRegistry,
        tracker: Tracker,
        compute: Compute,
        store: ModelStore,
        model_name: str,
        render: RenderReport,
        uninterrupted: Callable[[], AbstractContextManager[None]] = nullcontext,
        lock: Callable[[str], AbstractContextManager[object]] = nullcontext,
        check_lock: Callable[[], object] = lambda: None,
        on_resumable: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._registry = registry
        self._tracker = tracker
        self._compute = compute
        self._store = store
        self._model_name = model_name
        self._render = render
        self._uninterrupted = uninterrupted
        self._lock = lock
        self._check_lock = check_lock
        self._on_resumable = on_resumable

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
        """Train by `spec` on a data version (None: the newest) in a new run; `notes` are further tags.

        Raises:
            BadInput: before a run is opened, when the spec, the data version or the model's name cannot be.
            StoreUnavailable: before a run is opened, when the model store or the compute is not there, or no lock can
                be taken.
            FmnistError: the run failed, and is marked FAILED.
            KeyboardInterrupt: the run was interrupted, and is marked KILLED.
        """
        dataset = self._registry.resolve(data_version)
        lineage = _lineage(provenance, dataset)
        tags = {**lineage.tags(), **(notes or {})}
        return self._carry_out(
            lambda: self._tracker.start(run_name, tags, dataset), spec, dataset, lineage, on_progress, is_new=True
        )

    def resume(self, run_id: str, on_progress: OnProgress) -> TrainingResult:
        """Go on with a run that failed or was interrupted, from its last checkpoint, to the result it would have had.

        Spec, data version and lineage are those of the run, whichever workflow or image goes on with it.

        Raises:
            RunNotFound: the tracker knows no such run.
            InvalidSetting: the run finished, was not begun here, or its data version now holds other data; or another
                process is at work on it.
        """
        with self._lock(run_id):
            return self._resume(run_id, on_progress)

    def _resume(self, run_id: str, on_progress: OnProgress) -> TrainingResult:
        record = self._tracker.get(run_id)
        if record.status is RunStatus.FINISHED:
            raise InvalidSetting(f"run {run_id} is FINISHED: there is nothing to resume")
        lineage, spec = Lineage.from_tags(record.tags), TrainingSpec.from_params(record.params)
        dataset = self._registry.resolve(lineage.dvc_data_version)
        if dataset.digest != lineage.data_digest:
            raise InvalidSetting(
                f"{dataset.version} holds other data now (digest {dataset.digest}) than when run {run_id} began "
                f"(digest {lineage.data_digest}): train anew"
            )
        if record.status is RunStatus.RUNNING:
            logger.warning("run %s is marked RUNNING: see that no other machine is at work on it", run_id)

        def reopen() -> str:
            self._tracker.set_status(run_id, RunStatus.RUNNING)
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
        # What could not go on later must open no run: the store checks the model's name when it is asked for it.
        self._store.versions(self._model_name)
        self._compute.prepare(spec, dataset)
        self._check_lock()
        unrecorded, resumable = None, not is_new
        with ExitStack() as held:
            try:
                with self._uninterrupted():
                    run_id = open_run()
                    unrecorded = Unrecorded(EpochLog(self._tracker, run_id))
                logger.info("run %s: %s on %s", run_id, spec.recipe.architecture, dataset.version)
                if is_new:
                    held.enter_context(self._lock(run_id))
                    self._describe(run_id, spec, dataset)
                    resumable = True
                fit = self._compute.fit(spec, dataset, run_id, unrecorded.epochs.watch(on_progress))
                unrecorded.trained()
                result = self._conclude(run_id, fit, spec, dataset, lineage, unrecorded)
                self._tracker.set_status(run_id, RunStatus.FINISHED)
            except BaseException as error:
                if unrecorded is not None:
                    with self._uninterrupted():
                        self._abandon(run_id, error, unrecorded, resumable=resumable)
                        # After the mark, which is urgent, and under the lock: it may still write checkpoints.
                        self._compute.close()
                raise
        return result

    def _abandon(self, run_id: str, reason: BaseException, unrecorded: Unrecorded, *, resumable: bool) -> None:
        status = RunStatus.KILLED if isinstance(reason, KeyboardInterrupt) else RunStatus.FAILED
        try:
            BoundedCalls().run("its status", lambda: self._tracker.set_status(run_id, status), _MARK_SECONDS)
        except FmnistError as error:
            # What ended the run is on its way up already, and says more than this does.
            logger.warning("run %s could not be marked %s: %s", run_id, status, error)
        if str(unrecorded):
            logger.warning("not recorded of run %s: %s", run_id, unrecorded)
        if resumable and not isinstance(reason, _LASTING):
            self._on_resumable(run_id)

    def _describe(self, run_id: str, spec: TrainingSpec, dataset: DatasetVersion) -> None:
        params = {
            **spec.params(),
            "global_batch_size": str(spec.global_batch_size),
            "dvc_repo_url": dataset.source,
            "dvc_data_version": dataset.version,
            **{f"dvc_{split}_data_path": path for split, path in dataset.paths.items() if split != "metadata"},
            "dvc_metrics_path": dataset.paths["metadata"],
        }
        self._tracker.log_artifact(run_id, "dvc_data_metrics.json", json.dumps(dataset.metadata, indent=2).encode())
        # Last: a run that has its parameters has all of its description, and can be resumed.
        self._tracker.log(run_id, params=params)

    def _conclude(
        self,
        run_id: str,
        fit: FitResult,
        spec: TrainingSpec,
        dataset: DatasetVersion,
        lineage: Lineage,
        unrecorded: Unrecorded,
    ) -> TrainingResult:
        """Measure the chosen weights on `val` and once on `test`, then save and register them, and report on them."""
        final = FinalMeasurement.of(self._compute, fit.weights, dataset)
        metrics, story = final.metrics(), _story(fit, spec, dataset)
        # The last value of a metric is what readers of a run see, so it has to be that of the registered model.
        # It is logged as one more epoch, so that a run resumed after this point does not log it again.
        unrecorded.epochs.write([*fit.history, metrics | story.speed()])
        tags = {"best_epoch": str(story.best_epoch), "temperature": f"{final.weights.temperature:.4f}"}
        self._tracker.log(run_id, tags={**tags, DEVICE_TAG: fit.device})
        unrecorded.done(FINAL_METRICS)
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
        model = self._saved(run_id) or self._store.save(
            run_id, self._model_name, final.weights, info, final.golden, card=model_card(report)
        )
        unrecorded.done(MODEL)
        self._log_report(run_id, model.uri, report)
        unrecorded.done(REPORT)
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
        """Draw the report and record it. One that cannot be drawn would fail again, and the model is sound without."""
        try:
            files = report_files(self._render, uri, report)
        except ReportFailed as error:
            logger.warning("run %s has no report: %s", run_id, error)
            return
        for path, content in files.items():
            self._tracker.log_artifact(run_id, f"{REPORT_FOLDER}/{path}", content)

    def _saved(self, run_id: str) -> ModelVersion | None:
        """Return the run's model when an earlier attempt has registered it, and broke off after that."""
        return next((version for version in self._store.versions(self._model_name) if version.run_id == run_id), None)


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


def _lineage(provenance: Provenance, dataset: DatasetVersion) -> Lineage:
    return Lineage(
        argo_workflow_uid=provenance.argo_workflow_uid,
        docker_image_tag=provenance.docker_image_tag,
        git_commit=provenance.git_commit,
        dvc_data_version=dataset.version,
        dvc_data_sha=dataset.commit,
        data_digest=dataset.digest,
    )

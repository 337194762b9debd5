"""The main job: from a data version to a registered model, with a run that tells how it came about."""

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from fmnist.domain.model.dataset import DatasetVersion
from fmnist.domain.model.errors import BadInput, CorruptData, FmnistError, InvalidSetting, TrainingFailed
from fmnist.domain.model.metrics import Evaluation
from fmnist.domain.model.registry import GOLDEN_IMAGES, ModelInfo, ModelVersion
from fmnist.domain.model.training import Lineage, TrainingResult, TrainingSpec, best_epoch
from fmnist.domain.services.bounded_calls import BoundedCalls
from fmnist.domain.services.epoch_log import EpochLog
from fmnist.domain.services.outstanding import FINAL_METRICS, MODEL, Outstanding
from fmnist.ports.compute import Compute, FitResult, OnProgress
from fmnist.ports.data_registry import DataRegistry
from fmnist.ports.model_store import ModelStore
from fmnist.ports.tracker import RunStatus, Tracker

logger = logging.getLogger(__name__)

# After these a run would fail again in the same way.
_LASTING = (BadInput, CorruptData, TrainingFailed)

_MARK_SECONDS = 20  # whoever tells a process to end often gives it 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What the process knows of its own origin; together with the data version it makes a run's lineage."""

    argo_workflow_uid: str
    docker_image_tag: str
    git_commit: str


class TrainingRun:
    """Trains, evaluates, saves and registers; whatever happens, the run does not stay at RUNNING.

    Args:
        model_name: the registered model that each run adds a version to.
        uninterrupted: makes a context in which an interrupt waits; a process that turns signals into
            `KeyboardInterrupt` supplies it, so that none strikes where a run has begun and nobody knows its id yet.
    """

    def __init__(
        self,
        registry: DataRegistry,
        tracker: Tracker,
        compute: Compute,
        store: ModelStore,
        model_name: str,
        uninterrupted: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._registry = registry
        self._tracker = tracker
        self._compute = compute
        self._store = store
        self._model_name = model_name
        self._uninterrupted = uninterrupted

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
            BadInput: before a run is opened, when the spec or the data version cannot be.
            FmnistError: the run failed, and is marked FAILED.
            KeyboardInterrupt: the run was interrupted, and is marked KILLED.
        """
        dataset = self._registry.resolve(data_version)
        lineage = _lineage(provenance, dataset)
        tags = {**lineage.tags(), **(notes or {})}
        return self._carry_out(
            lambda: self._tracker.start(run_name, tags), spec, dataset, lineage, on_progress, is_new=True
        )

    def resume(self, run_id: str, on_progress: OnProgress) -> TrainingResult:
        """Go on with a run that failed or was interrupted, from its last checkpoint, to the result it would have had.

        Spec, data version and lineage are those of the run, whichever workflow or image goes on with it.

        Raises:
            RunNotFound: the tracker knows no such run.
            InvalidSetting: the run finished, was not begun here, or its data version now holds other data.
        """
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
            logger.warning("run %s is marked RUNNING: see that no other process is at work on it", run_id)

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
        run_id, outstanding, resumable = None, Outstanding(), not is_new
        try:
            with self._uninterrupted():
                run_id = open_run()
            logger.info("run %s: %s on %s", run_id, spec.recipe.architecture, dataset.version)
            if is_new:
                self._describe(run_id, spec, dataset)
                resumable = True
            fit = self._compute.fit(spec, dataset, run_id, outstanding.watch(on_progress))
            outstanding.trained()
            result = self._conclude(run_id, fit, dataset, lineage, outstanding)
            self._tracker.set_status(run_id, RunStatus.FINISHED)
        except BaseException as error:
            if run_id is not None:
                with self._uninterrupted():
                    self._abandon(run_id, error, outstanding, resumable=resumable)
            raise
        return result

    def _abandon(self, run_id: str, reason: BaseException, outstanding: Outstanding, *, resumable: bool) -> None:
        status = RunStatus.KILLED if isinstance(reason, KeyboardInterrupt) else RunStatus.FAILED
        try:
            BoundedCalls().run("its status", lambda: self._tracker.set_status(run_id, status), _MARK_SECONDS)
        except FmnistError as error:
            # What ended the run is on its way up already, and says more than this does.
            logger.warning("run %s could not be marked %s: %s", run_id, status, error)
        if str(outstanding):
            logger.warning("not recorded of run %s: %s", run_id, outstanding)
        if resumable and not isinstance(reason, _LASTING):
            logger.warning("fmnist train --resume %s goes on from its last checkpoint", run_id)

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
        self._tracker.log_dataset(run_id, dataset)
        # Last: a run that has its parameters has all of its description, and can be resumed.
        self._tracker.log(run_id, params=params)

    def _conclude(
        self, run_id: str, fit: FitResult, dataset: DatasetVersion, lineage: Lineage, outstanding: Outstanding
    ) -> TrainingResult:
        """Measure the chosen weights once more on `val` and once on `test`, then save and register them."""
        best = best_epoch(fit.history)
        classifier = self._compute.weights_classifier(fit.weights, dataset)
        evaluations: dict[str, Evaluation] = {}
        for split in ("val", "test"):
            if split in dataset.splits:
                predictions = self._compute.predict(classifier, dataset, split)
                evaluations[split] = Evaluation.of(predictions.labels, predictions.probabilities)
        metrics = evaluations["val"].metrics("val")
        if "test" in evaluations:
            metrics |= evaluations["test"].metrics("test", calibration=True)
        # The last value of a metric is what readers of a run see, so it has to be that of the registered model.
        # It is logged as one more epoch, so that a run resumed after this point does not log it again.
        EpochLog(self._tracker, run_id).write([*fit.history, metrics])
        self._tracker.log(run_id, tags={"best_epoch": str(best)})
        outstanding.done(FINAL_METRICS)
        info = ModelInfo(
            architecture=fit.weights.architecture,
            normalization=dataset.normalization,
            class_names=dataset.class_names,
            lineage={"run_id": run_id, **lineage.tags()},
            metrics=metrics,
        )
        golden = self._registry.read(dataset, "val").head(GOLDEN_IMAGES).images
        model = self._saved(run_id) or self._store.save(run_id, self._model_name, fit.weights, info, golden)
        outstanding.done(MODEL)
        return TrainingResult(
            run_id=run_id,
            model=model,
            history=fit.history,
            best_epoch=best,
            val=evaluations["val"],
            test=evaluations.get("test"),
            seconds=fit.seconds,
        )

    def _saved(self, run_id: str) -> ModelVersion | None:
        """Return the run's model when an earlier attempt has registered it, and broke off after that."""
        return next((version for version in self._store.versions(self._model_name) if version.run_id == run_id), None)


def _lineage(provenance: Provenance, dataset: DatasetVersion) -> Lineage:
    return Lineage(
        argo_workflow_uid=provenance.argo_workflow_uid,
        docker_image_tag=provenance.docker_image_tag,
        git_commit=provenance.git_commit,
        dvc_data_version=dataset.version,
        dvc_data_sha=dataset.commit,
        data_digest=dataset.digest,
    )

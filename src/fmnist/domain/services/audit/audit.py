"""Audits a data version, which it never changes, and records what it found as a run that is not a training."""

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np

from fmnist.domain.model.audit.differences import differences
from fmnist.domain.model.audit.folds import first_equal, folds_of
from fmnist.domain.model.audit.lookalikes import Lookalikes
from fmnist.domain.model.audit.result import DataAudit, RenderAudit
from fmnist.domain.model.data.dataset import DatasetVersion, LabeledImages
from fmnist.domain.model.errors import FmnistError
from fmnist.domain.services.audit.out_of_fold import FOLDS, OnStep, OutOfFold
from fmnist.domain.services.training.ending import mark_ended
from fmnist.domain.services.training.run import REPORT_FOLDER
from fmnist.ports.data_registry import DataRegistry
from fmnist.ports.label_review import LabelReview
from fmnist.ports.tracker import RunStatus, Tracker

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataAuditing:
    """Audits data versions.

    Attributes:
        models: the out-of-fold models of a data version.
        code: tags of the code that audits, such as its Git commit. A workflow's tag would look like a training.
        lock: makes a context for a version that one process at a time can enter.
    """

    registry: DataRegistry
    tracker: Tracker
    review: LabelReview
    models: Callable[[DatasetVersion], OutOfFold]
    render: RenderAudit
    code: Mapping[str, str]
    lock: Callable[[str], AbstractContextManager[object]] = nullcontext

    def audit(self, version: str, on_step: OnStep) -> tuple[DataAudit, dict[str, bytes]]:
        """Audit a version, and return what was found with the files of its report, which a new run gets too.

        If the report cannot be recorded in a run, a warning says why.

        Raises:
            DataVersionNotFound, CorruptData: as `DataRegistry`.
            InvalidSetting: the version has too few different images, or another process audits it.
            FmnistError: an out-of-fold model cannot be trained, or the report cannot be drawn.
        """
        dataset = self.registry.resolve(version)
        with self.lock(f"audit-{dataset.digest}"):
            audit = self._examine(dataset, on_step)
            on_step("report", 0.0)
            files = {
                **self.render(audit),
                "audit.json": (json.dumps(audit.document(), indent=1) + "\n").encode(),
                "rows.csv": audit.rows_csv().encode(),
            }
            self._record(audit, files)
        return audit, files

    def _examine(self, dataset: DatasetVersion, on_step: OnStep) -> DataAudit:
        on_step("exact duplicates", 0.0)
        parts = [self.registry.read(dataset, split) for split in dataset.splits]
        data = LabeledImages.joined(parts)
        split_of = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        first = first_equal(data.images)
        folds = folds_of(first, split_of * 10 + data.labels, FOLDS)
        probabilities = self.models(dataset).predict(data, folds, dataset.digest, on_step)
        different = np.unique(first)
        images, labels = data.images[different], data.labels[different].astype(np.int64)
        alike = Lookalikes.of(images, lambda share: on_step("near duplicates", share))
        on_step("doubtful labels", 0.0)
        return DataAudit(
            dataset=dataset,
            data=data,
            split_of=split_of,
            first=first,
            different=different,
            alike=alike,
            differences=differences(images, labels, split_of[different], alike.nearest),
            probabilities=probabilities,
            doubted=self.review.doubtful(data.labels, probabilities),
        )

    def _record(self, audit: DataAudit, files: Mapping[str, bytes]) -> None:
        dataset, run_id = audit.dataset, None
        tags = {"audit_of": dataset.version, "data_digest": dataset.digest, "dvc_data_sha": dataset.commit, **self.code}
        figures = {f"audit_{name}": float(count) for name, count in audit.document()["counts"].items()}
        try:
            run_id = self.tracker.start(f"audit-{dataset.version}", tags, dataset)
            self.tracker.log(run_id, metrics=figures)
            for path, content in files.items():
                self.tracker.log_artifact(run_id, f"{REPORT_FOLDER}/{path}", content)
            self.tracker.set_status(run_id, RunStatus.FINISHED)
        except BaseException as error:
            if run_id is not None:
                mark_ended(self.tracker, run_id, error)
            if not isinstance(error, FmnistError):
                raise
            logger.warning("the audit could not be recorded as a run: %s", error)

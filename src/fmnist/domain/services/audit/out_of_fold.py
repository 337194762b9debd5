"""Predicts every image of a data version by a model that was trained on neither this image nor an equal one."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.audit.folds import Rows
from fmnist.domain.model.data.dataset import DatasetVersion, LabeledImages
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.model.training.recipe import Recipe
from fmnist.domain.model.training.run import Progress, TrainingSpec
from fmnist.ports.compute import Compute

FOLDS = 4
_VAL_EACH = 10  # every tenth image of the other folds chooses the epoch

OnStep = Callable[[str, float], object]
"""Gets the name of a step, and the share in [0, 1] of it that is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfFold:
    """Trains a model for each fold on the other folds. Finished folds are kept, and an interrupted one is resumed.

    Attributes:
        open_fold: makes a data version of splits in memory, and a compute that reads it.
        recall, keep: load and store the predictions of a fold.
        discard: removes what the compute keeps of a run.
    """

    recipe: Recipe
    open_fold: Callable[[Mapping[str, LabeledImages]], tuple[Compute, DatasetVersion]]
    recall: Callable[[str], Probabilities | None]
    keep: Callable[[str, Probabilities], object]
    discard: Callable[[str], object]

    def predict(self, data: LabeledImages, folds: Rows, digest: str, on_step: OnStep) -> Probabilities:
        """Return probabilities float32 (n, 10). `folds` has the fold of each image, `digest` names the data.

        Raises:
            FmnistError: as `Compute.fit`.
        """
        probabilities = np.empty((len(data), 10), np.float32)
        for fold in range(FOLDS):
            held, step = folds == fold, f"fold {fold + 1} of {FOLDS}"
            on_step(step, 0.0)
            recipe = sorted(self.recipe.identity().items())
            key = f"audit-{fold}-{hashlib.sha256(repr((digest, FOLDS, recipe)).encode()).hexdigest()[:16]}"
            found = self.recall(key)
            if found is None or found.shape != (held.sum(), 10):
                found = self._predict_fold(data, held, key, partial(on_step, step))
                self.keep(key, found)
                self.discard(key)
            probabilities[held] = found
        return probabilities

    def _predict_fold(
        self, data: LabeledImages, held: npt.NDArray[np.bool_], run_id: str, on_share: Callable[[float], object]
    ) -> Probabilities:
        others = np.flatnonzero(~held)
        val = np.arange(len(others)) % _VAL_EACH == 0
        parts = {"train": others[~val], "val": others[val], "test": np.flatnonzero(held)}
        compute, dataset = self.open_fold(
            {split: LabeledImages(data.images[rows], data.labels[rows]) for split, rows in parts.items()}
        )

        def hear(report: Progress) -> None:
            on_share((report.epoch * report.steps + report.step) / (report.epochs * report.steps))

        fit = compute.fit(TrainingSpec(recipe=self.recipe), dataset, run_id, hear)
        return compute.predict(fit.weights, dataset, "test").probabilities

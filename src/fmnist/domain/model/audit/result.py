"""The result of an audit: what was found, and what it means for the accuracy on `test`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.audit.folds import Rows
from fmnist.domain.model.audit.lookalikes import NEAR, Lookalikes
from fmnist.domain.model.data.dataset import DatasetVersion, LabeledImages
from fmnist.domain.model.evaluation.metrics import Probabilities, wilson_interval

_OUTLIERS_EACH = 1000  # one of so many different images is listed as an outlier


@dataclass(frozen=True, kw_only=True)
class DataAudit:
    """What was found in all splits of a data version, whose images are numbered 0..n-1 through all splits.

    Attributes:
        split_of: position of each image's split in `dataset.splits`, int64 (n,).
        first: row of the first image with the same pixels, int64 (n,).
        different: the rows of the different images, which are the rows of `alike`.
        differences: result of `differences` for the different images.
        probabilities: float32 (n, 10), each row by a model that was not trained on this image.
        doubted: rows with doubtful labels, the most doubtful first.
    """

    dataset: DatasetVersion
    data: LabeledImages
    split_of: Rows
    first: Rows
    different: Rows
    alike: Lookalikes
    differences: Mapping[str, tuple[float, float, float]]
    probabilities: Probabilities
    doubted: Rows

    @cached_property
    def right(self) -> npt.NDArray[np.bool_]:
        """Whether the out-of-fold answer is the label, bool (n,)."""
        return np.asarray(self.probabilities.argmax(axis=1) == self.data.labels)

    def place(self, row: int) -> tuple[str, int]:
        """Return the split of an image, and its row there."""
        split = int(self.split_of[row])
        return tuple(self.dataset.splits)[split], int(row - np.argmax(self.split_of == split))

    @cached_property
    def equal(self) -> list[list[int]]:
        """The groups of images with equal pixels."""
        groups: dict[int, list[int]] = {}
        for row, first in enumerate(self.first.tolist()):
            groups.setdefault(first, []).append(row)
        return [group for group in groups.values() if len(group) > 1]

    @cached_property
    def pairs(self) -> list[tuple[int, int, float]]:
        """The compared pairs of different images and their similarity, the most similar first."""
        rows = self.different[self.alike.pairs].tolist()
        return [(left, right, one) for (left, right), one in zip(rows, self.alike.similarity.tolist(), strict=True)]

    @cached_property
    def near(self) -> list[tuple[int, int, float]]:
        """The pairs that count as near duplicates."""
        return [pair for pair in self.pairs if pair[2] >= NEAR]

    @cached_property
    def doubtful(self) -> list[tuple[int, int, int]]:
        """Row, label and suggested class of the doubtful labels, the most doubtful first."""
        labels, others = self.data.labels[self.doubted], self.probabilities[self.doubted]
        others[np.arange(len(labels)), labels] = -1
        return list(zip(self.doubted.tolist(), labels.tolist(), others.argmax(axis=1).tolist(), strict=True))

    @cached_property
    def outliers(self) -> list[int]:
        """The most isolated images. They are a ranking: any data has a most isolated thousandth."""
        most = -(-len(self.different) // _OUTLIERS_EACH)
        rows: list[int] = self.different[np.argsort(-self.alike.isolation, kind="stable")[:most]].tolist()
        return rows

    def accuracies(self) -> dict[str, tuple[int, float, tuple[float, float]]]:
        """Return images, accuracy and its 95 % Wilson interval for parts of `test`; empty if the version has none."""
        names = list(self.dataset.splits)
        if "test" not in names:
            return {}
        test = self.split_of == names.index("test")
        train = set(self.first[self.split_of == names.index("train")].tolist())
        near = {a for left, right, _ in self.near for a, b in ((left, right), (right, left)) if b in train}
        alike = np.isin(self.first, list(train | near))
        doubted = np.isin(np.arange(len(self.first)), self.doubted)
        parts = {
            "all images": test,
            "without duplicates of train": test & ~alike,
            "without doubtful labels": test & ~doubted,
            "without both": test & ~alike & ~doubted,
        }
        counts = {name: (int(part.sum()), int(self.right[part].sum())) for name, part in parts.items()}
        return {name: (n, hits / max(n, 1), wilson_interval(hits, n)) for name, (n, hits) in counts.items()}

    def document(self) -> dict[str, Any]:
        """Return everything as JSON, with the place of each image as [split, row]."""
        names, chances = self.dataset.class_names, self.probabilities
        return {
            "data_version": self.dataset.version,
            "digest": self.dataset.digest,
            "counts": {
                "images": len(self.first),
                "equal_images": sum(map(len, self.equal)),
                "near_duplicate_pairs": len(self.near),
                "doubtful_labels": len(self.doubted),
            },
            "out_of_fold_accuracy": float(self.right.mean()),
            "test_accuracy": self.accuracies(),
            "class_counts": {
                name: np.bincount(self.data.labels[self.split_of == split], minlength=len(names)).tolist()
                for split, name in enumerate(self.dataset.splits)
            },
            "differences": self.differences,
            "equal": [[self.place(row) for row in group] for group in self.equal],
            "near_threshold": NEAR,
            "near": [[self.place(left), self.place(right), round(alike, 4)] for left, right, alike in self.near],
            "doubtful": [
                [
                    self.place(row),
                    names[a],
                    round(float(chances[row, a]), 4),
                    names[b],
                    round(float(chances[row, b]), 4),
                ]
                for row, a, b in self.doubtful
            ],
            "outliers": [self.place(row) for row in self.outliers],
        }

    def rows_csv(self) -> str:
        """Return a table of `split,row,reason`, with a line for each reason of an image."""
        found = {
            "exact duplicate": [row for group in self.equal for row in group],
            "near duplicate": sorted({row for left, right, _ in self.near for row in (left, right)}),
            "doubtful label": self.doubted.tolist(),
            "outlier": self.outliers,
        }
        lines = ["{},{},{}".format(*self.place(row), reason) for reason, rows in found.items() for row in rows]
        return "\n".join(["split,row,reason", *lines, ""])


RenderAudit = Callable[[DataAudit], Mapping[str, bytes]]
"""Draws the report of an audit. Returns the files by relative path, with `report.html`."""

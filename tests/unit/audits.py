"""A made-up audit, for tests of what shows one."""

import numpy as np

from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.domain.model.audit.folds import first_equal
from fmnist.domain.model.audit.lookalikes import Lookalikes
from fmnist.domain.model.audit.result import DataAudit
from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.testing.data import toy_splits

TRAIN, VAL, TEST = 40, 20, 20


def an_audit(test: int = TEST) -> DataAudit:
    """Rows 0 and 60 are equal: `train` 0 and `test` 0. Rows 1 and 61 are near duplicates: `train` 1 and `test` 1.

    The answers are right, but for rows 2, 62 and 63. The labels of 62 and 2 are doubtful.
    """
    splits = toy_splits(TRAIN, VAL, test)
    if test:
        images = splits["test"].images.copy()
        images[0] = splits["train"].images[0]
        splits["test"] = LabeledImages(images, splits["test"].labels)
    dataset = MemoryDataRegistry().add("1.0.0", splits)
    data = LabeledImages.joined(splits.values())
    first = first_equal(data.images)
    different = np.unique(first)
    place = {row: number for number, row in enumerate(different.tolist())}
    pairs = [(1, 61), (5, 15)] if test else [(5, 15)]
    probabilities = np.full((len(data), 10), 0.01, np.float32)
    probabilities[np.arange(len(data)), data.labels] = 0.91
    for row in (2, 62, 63) if test else (2,):
        probabilities[row, data.labels[row]], probabilities[row, 9] = 0.01, 0.91
    alike = Lookalikes(
        nearest=np.zeros(len(different), np.int64),
        isolation=np.linspace(0, 1, len(different), dtype=np.float32),
        pairs=np.array([[place[left], place[right]] for left, right in pairs], np.int64),
        similarity=np.array([0.98, 0.95][-len(pairs) :], np.float32),
    )
    return DataAudit(
        dataset=dataset,
        data=data,
        split_of=np.repeat(np.arange(len(splits)), [len(each) for each in splits.values()]),
        first=first,
        different=different,
        alike=alike,
        differences={"class counts, chi-square": (1.5, 0.5, 9.0)},
        probabilities=probabilities,
        doubted=np.array([62, 2] if test else [2]),
    )

"""What a training run is told, what it may report on the way, and what it comes back with."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.evaluation.metrics import Evaluation
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.training.recipe import Recipe
from fmnist.domain.model.validation import check, check_count, check_types, parse_fields

_MOST_WORKERS = 1000  # what asks for more is a slip, and no cluster survives it
_LEAST_GPU = 0.0001  # schedulers count no finer
_LONGEST_TAG = 8000  # of a run in MLflow, which cuts off the rest
EPOCH_METRICS = tuple(
    f"{phase}_{name}" for phase in ("train", "val") for name in ("loss", "acc", "precision", "recall", "f1")
)


def check_share(images: int, split: str, workers: int) -> None:
    """See that each worker gets an image of a split.

    Raises:
        InvalidSetting: there are fewer images than workers.
    """
    if images < workers:
        raise InvalidSetting(f"{images} images of {split!r} cannot be shared among {workers} workers")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSpec:
    """One training run in full: a recipe, and what it runs on. Equal specs on equal data give equal weights on a CPU.

    Attributes:
        seed: of the initial weights, the shuffling and the augmentation.
        num_workers: data-parallel workers; the global batch is `num_workers * recipe.batch_size`.
        gpu_per_worker: GPUs of each worker; a fraction shares one GPU between workers.
        limit_train, limit_val: use only the first so many rows of the split.
    """

    recipe: Recipe
    seed: int = 0
    num_workers: int = 1
    gpu_per_worker: float = 0.0
    limit_train: int | None = None
    limit_val: int | None = None

    def __post_init__(self) -> None:
        check_types(self)
        check(0 <= self.seed < 2**32, "seed", "in [0, 2**32)", self.seed)
        check_count("num_workers", self.num_workers, most=_MOST_WORKERS)
        check(
            math.isfinite(self.gpu_per_worker) and self.gpu_per_worker >= 0,
            "gpu_per_worker",
            "0 or more",
            self.gpu_per_worker,
        )
        check(
            self.gpu_per_worker % 1 == 0 or _LEAST_GPU <= self.gpu_per_worker < 1,
            "gpu_per_worker",
            f"a whole number, or a fraction from {_LEAST_GPU}",
            self.gpu_per_worker,
        )
        for name, limit in (("limit_train", self.limit_train), ("limit_val", self.limit_val)):
            if limit is not None:
                check_count(name, limit)

    @property
    def global_batch_size(self) -> int:
        """Images per optimizer step over all workers."""
        return self.num_workers * self.recipe.batch_size

    def check_splits(self, sizes: Mapping[str, int]) -> None:
        """See that every worker gets enough of `train` and `val`, which have so many images; an absent size is unknown.

        Raises:
            InvalidSetting: a worker would have no image, or fewer than a training step takes.
        """
        for split, limit in (("train", self.limit_train), ("val", self.limit_val)):
            known = [size for size in (sizes.get(split), limit) if size is not None]
            if known:
                check_share(min(known), split, self.num_workers)
            if known and split == "train":
                self.check_part(min(known) // self.num_workers)

    def check_part(self, images: int) -> None:
        """See that a worker's part of `train`, of so many images, makes batches that the architecture learns from.

        Raises:
            InvalidSetting: it does not.
        """
        batch, least = min(self.recipe.batch_size, images), self.recipe.least_batch
        if batch < least:
            raise InvalidSetting(
                f"{self.recipe.architecture} needs at least {least} images per worker and step, found {batch}: raise "
                "batch_size, or give each worker more images"
            )

    def params(self) -> dict[str, str]:
        """Name every value as a run's parameter; `from_params` is its inverse."""
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "recipe"}
        values = {**dataclasses.asdict(self.recipe), **own}
        return {name: str(value) for name, value in values.items() if value is not None}

    @classmethod
    def from_params(cls, params: Mapping[str, str]) -> Self:
        """Read a spec back from a run's parameters; parameters that are not of a spec are passed over.

        Raises:
            InvalidSetting: a value that is absent or does not parse.
        """
        return cls(recipe=Recipe(**parse_fields(Recipe, params)), **parse_fields(cls, params))


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training stands: `step` of `steps` done in 0-based `epoch` of `epochs`.

    Attributes:
        loss: the training loss of the last step, when one is known.
        metrics: of the epoch, on its last report only; named as in `EPOCH_METRICS`.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float | None = None
    metrics: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Where a model comes from; every field is a run tag of the same name.

    Raises:
        InvalidSetting: one is longer than a run's tag may be; a registry would refuse it once all is trained.
    """

    argo_workflow_uid: str
    docker_image_tag: str
    dvc_data_version: str
    git_commit: str
    dvc_data_sha: str
    data_digest: str

    def __post_init__(self) -> None:
        for name, text in self.tags().items():
            check(len(text) <= _LONGEST_TAG, name, f"at most {_LONGEST_TAG} letters long", len(text))

    def tags(self) -> dict[str, str]:
        """The lineage as tags of a run or a model version; `from_tags` is its inverse."""
        return dataclasses.asdict(self)

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> Self:
        """Read the lineage back; tags that are not of it are passed over.

        Raises:
            InvalidSetting: one is missing, so that fmnist did not write them.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if missing := [name for name in names if name not in tags]:
            raise InvalidSetting(f"no tag {', '.join(missing)}: this was not begun by fmnist")
        return cls(**{name: tags[name] for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """A finished run: its registered model, and what the chosen checkpoint was measured at.

    Attributes:
        history: metrics of each epoch, the index being the epoch.
        test: None when the data version has no test split.
        seconds: of training alone, from the first step's epoch to the last epoch's end.
    """

    run_id: str
    model: ModelVersion
    history: Sequence[Mapping[str, float]]
    best_epoch: int
    val: Evaluation
    test: Evaluation | None
    seconds: float


def best_epoch(history: Sequence[Mapping[str, float]]) -> int:
    """Return the epoch of the highest `val_acc`, the earliest on a tie."""
    return max(range(len(history)), key=lambda epoch: (history[epoch]["val_acc"], -epoch))

"""Values of a training run: its specification, progress, lineage and result."""

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

_MOST_WORKERS = 1000  # more is a mistake, and would overload any cluster
_LEAST_GPU = 0.0001  # the finest step of schedulers
_LONGEST_TAG = 8000  # MLflow cuts off longer tags of a run
EPOCH_METRICS = tuple(
    f"{phase}_{name}" for phase in ("train", "val") for name in ("loss", "acc", "precision", "recall", "f1")
)


def check_share(images: int, split: str, workers: int) -> None:
    """Check that each worker gets an image of a split.

    Raises:
        InvalidSetting: there are fewer images than workers.
    """
    if images < workers:
        raise InvalidSetting(f"{images} images of {split!r} are too few for {workers} workers: use fewer workers")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSpec:
    """The full specification of a run. Equal specifications on equal data give equal weights on a CPU.

    Attributes:
        seed: random seed of the initial weights, the shuffling and the augmentation.
        num_workers: number of data-parallel workers; the global batch is `num_workers * recipe.batch_size`.
        gpu_per_worker: GPUs of each worker; with a fraction, workers share a GPU.
        limit_train, limit_val: number of rows to use, from the start of the split; None means all.
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
        """Check that every worker gets enough of `train` and `val`. `sizes` has their numbers of images, where known.

        Raises:
            InvalidSetting: a worker would get no image, or fewer than a training step needs.
        """
        for split, limit in (("train", self.limit_train), ("val", self.limit_val)):
            known = [size for size in (sizes.get(split), limit) if size is not None]
            if known:
                check_share(min(known), split, self.num_workers)
            if split == "train":
                self.check_part(min(known) // self.num_workers if known else self.recipe.batch_size)

    def check_part(self, images: int) -> None:
        """Check that a worker's `images` images of `train` make batches that the architecture can learn from.

        Raises:
            InvalidSetting: the batches are too small.
        """
        batch, least = min(self.recipe.batch_size, images), self.recipe.least_batch
        if batch < least:
            raise InvalidSetting(
                f"{self.recipe.architecture} needs at least {least} images per worker and step, found {batch}: raise "
                "batch_size, or give each worker more images"
            )

    def params(self) -> dict[str, str]:
        """Return every value as a parameter of a run. `from_params` is the inverse."""
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "recipe"}
        values = {**dataclasses.asdict(self.recipe), **own}
        return {name: str(value) for name, value in values.items() if value is not None}

    @classmethod
    def from_params(cls, params: Mapping[str, str]) -> Self:
        """Read a spec from a run's parameters. Other parameters are ignored.

        Raises:
            InvalidSetting: a value is absent or does not parse.
        """
        return cls(recipe=Recipe(**parse_fields(Recipe, params)), **parse_fields(cls, params))


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of training: `step` of `steps` are done in 0-based `epoch` of `epochs`.

    Attributes:
        loss: training loss of the last step; None if unknown.
        metrics: metrics of the epoch, named as in `EPOCH_METRICS`; only in the epoch's last report.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float | None = None
    metrics: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Where a model comes from. Every field is a run tag of the same name.

    Raises:
        InvalidSetting: a value is too long for a run's tag. A registry would refuse it only after training.
    """

    argo_workflow_uid: str
    docker_image_tag: str
    dvc_data_version: str
    git_commit: str
    dvc_data_sha: str
    data_digest: str

    def __post_init__(self) -> None:
        for name, text in self.tags().items():
            check(len(text) <= _LONGEST_TAG, name, f"at most {_LONGEST_TAG} characters long", len(text))

    def tags(self) -> dict[str, str]:
        """Return the lineage as tags of a run or a model version. `from_tags` is the inverse."""
        return dataclasses.asdict(self)

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> Self:
        """Read the lineage from tags. Other tags are ignored.

        Raises:
            InvalidSetting: a tag is missing, so fmnist did not write them.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if missing := [name for name in names if name not in tags]:
            raise InvalidSetting(f"the tags lack {', '.join(missing)}: fmnist did not start this run")
        return cls(**{name: tags[name] for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """A finished run: its registered model, and the metrics of the chosen checkpoint.

    Attributes:
        history: metrics of each epoch; the index is the epoch.
        test: metrics on `test`; None if the data version has no test split.
        seconds: duration of the training epochs, in seconds.
    """

    run_id: str
    model: ModelVersion
    history: Sequence[Mapping[str, float]]
    best_epoch: int
    val: Evaluation
    test: Evaluation | None
    seconds: float


def best_epoch(history: Sequence[Mapping[str, float]]) -> int:
    """Return the epoch with the highest `val_acc`, the earliest on a tie."""
    return max(range(len(history)), key=lambda epoch: (history[epoch]["val_acc"], -epoch))

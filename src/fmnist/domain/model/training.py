"""What a training run is told, what it may report on the way, and what it comes back with."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.fields import known_fields
from fmnist.domain.model.metrics import Evaluation
from fmnist.domain.model.registry import ModelVersion

Architecture = Literal["cnn", "resnet18", "resnet18-3x3"]
Optimizer = Literal["adamw", "sgd"]
Schedule = Literal["constant", "one_cycle"]

ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)
_LARGEST = 1e38  # networks compute in float32, which ends there
_MOST_WORKERS = 1000  # what asks for more is a slip, and no cluster survives it
EPOCH_METRICS = tuple(
    f"{phase}_{name}" for phase in ("train", "val") for name in ("loss", "acc", "precision", "recall", "f1")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is trained, whatever it runs on. The defaults are those of the platform contract's flags.

    Attributes:
        batch_size: images per worker and step.
        lr: the constant learning rate, or the peak of a one-cycle schedule.
        weight_decay: decoupled for adamw, L2 for sgd.
        label_smoothing: share of the target spread over all classes, in [0, 1).
        flip: whether training images are mirrored left to right at random.
    """

    architecture: Architecture = "resnet18"
    optimizer: Optimizer = "adamw"
    schedule: Schedule = "constant"
    batch_size: int = 128
    lr: float = 0.001
    max_epochs: int = 2
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    flip: bool = False

    def __post_init__(self) -> None:
        _check_types(self)
        _check_choice("architecture", self.architecture, ARCHITECTURES)
        _check_choice("optimizer", self.optimizer, get_args(Optimizer))
        _check_choice("schedule", self.schedule, get_args(Schedule))
        _check_count("batch_size", self.batch_size)
        _check_count("max_epochs", self.max_epochs)
        _check(math.isfinite(self.lr) and self.lr > 0, "lr", "above 0", self.lr)
        _check(self.lr <= _LARGEST, "lr", f"at most {_LARGEST:g}", self.lr)
        _check(0 <= self.weight_decay <= _LARGEST, "weight_decay", f"in [0, {_LARGEST:g}]", self.weight_decay)
        _check(0 <= self.label_smoothing < 1, "label_smoothing", "in [0, 1)", self.label_smoothing)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Read a recipe, as a preset file holds it; what is absent keeps its default.

        Raises:
            InvalidSetting: a name that is none of the attributes, or a value that one of them cannot take.
        """
        return cls(**known_fields(cls, "a recipe", values))

    def override(self, **values: Any) -> Self:
        """Return this recipe with every value that is not None in place of its own."""
        return dataclasses.replace(self, **{name: value for name, value in values.items() if value is not None})


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
        _check_types(self)
        _check(0 <= self.seed < 2**32, "seed", "in [0, 2**32)", self.seed)
        _check_count("num_workers", self.num_workers, most=_MOST_WORKERS)
        _check(
            math.isfinite(self.gpu_per_worker) and self.gpu_per_worker >= 0,
            "gpu_per_worker",
            "0 or more",
            self.gpu_per_worker,
        )
        for name, limit in (("limit_train", self.limit_train), ("limit_val", self.limit_val)):
            if limit is not None:
                _check_count(name, limit)

    @property
    def global_batch_size(self) -> int:
        """Images per optimizer step over all workers."""
        return self.num_workers * self.recipe.batch_size

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
        return cls(recipe=Recipe(**_parse(Recipe, params)), **_parse(cls, params))


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training stands: `step` of `steps` done in 0-based `epoch` of `epochs`.

    Attributes:
        loss: the training loss of the last step, when one is known.
        metrics: of the epoch, on its last report only; named as in `EPOCH_METRICS`.
        unrecorded: epochs that the tracker could not take so far, on an epoch's last report only.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float | None = None
    metrics: Mapping[str, float] | None = None
    unrecorded: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Where a model comes from; every field is a run tag of the same name."""

    argo_workflow_uid: str
    docker_image_tag: str
    dvc_data_version: str
    git_commit: str
    dvc_data_sha: str
    data_digest: str

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


def _check(holds: object, name: str, expected: str, found: object) -> None:
    if not holds:
        raise InvalidSetting(f"{name} must be {expected}, found {found}")


def _check_count(name: str, found: int, most: int = 2**31 - 1) -> None:
    _check(found >= 1, name, "at least 1", found)
    _check(found <= most, name, f"at most {most}", "more")  # it may have thousands of digits


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    _check(value in choices, name, "one of " + ", ".join(choices), value)


def _check_types(values: Any) -> None:
    """Refuse what a preset file or a library caller may give where a number belongs; an int is a fine float."""
    for field in dataclasses.fields(values):
        value, kind = getattr(values, field.name), _scalar(field.type)
        if kind is None or (value is None and type(None) in get_args(field.type)):
            continue
        right = type(value) is kind or (kind is float and type(value) is int and abs(value) < 2**63)
        _check(right, field.name, f"of type {kind.__name__}", f"a {type(value).__name__}")


def _parse(cls: type, params: Mapping[str, str]) -> dict[str, Any]:
    """Read the scalar fields of `cls`; only an optional one may be absent, as a default would train another network."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        if field.type is Recipe or (field.name not in params and type(None) in get_args(field.type)):
            continue
        _check(field.name in params, field.name, "among the run's parameters", "none of that name")
        text, kind = params[field.name], _scalar(field.type) or str
        try:
            values[field.name] = {"True": True, "False": False}[text] if kind is bool else kind(text)
        except (KeyError, ValueError) as error:
            raise InvalidSetting(f"{field.name} must be of type {kind.__name__}, found {text!r}") from error
    return values


def _scalar(annotation: Any) -> type | None:
    """Return int, float or bool when the annotation is one of them or an optional one, else None."""
    return next((kind for kind in (int, float, bool) if kind in (get_args(annotation) or (annotation,))), None)

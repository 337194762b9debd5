"""A registered model: its name, its versions, and the information in its artifact."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from fmnist.domain.model.data.normalization import Normalization
from fmnist.domain.model.errors import CorruptModel, InvalidSetting
from fmnist.domain.model.promotion.stages import Stage
from fmnist.domain.model.text import words_of

MODEL_LAYOUT_VERSION = 1
GOLDEN_IMAGES = 64
CARD_FILE = "model_card.md"

_NAME_LENGTH = 255  # MLflow's tables take 256 characters, a file system 255
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ALIAS = re.compile(r"[A-Za-z0-9_-]+")
_RESERVED_ALIAS = re.compile(r"latest|v\d+", re.IGNORECASE)
_VERSION = re.compile(r"[1-9][0-9]{0,8}")


def no_answer(images: int, error: Exception) -> CorruptModel:
    """Return the error that a classifier raises when its runtime fails on `images` images."""
    plural = "" if images == 1 else "s"
    return CorruptModel(f"the model fails on {images} image{plural}: {words_of(error)}")


def check_model_name(name: str) -> str:
    """Return the registered model's name.

    Raises:
        InvalidSetting: a character is not allowed, or the name is too long, now or as `staging.NAME`.
    """
    if not _NAME.fullmatch(name):
        raise InvalidSetting(
            f"registered model {name!r} may have only letters, digits, '.', '_' and '-' in its name, and must begin "
            "with a letter or digit"
        )
    prefix, _, rest = name.partition(".")
    staged = prefix in set(Stage)
    length = len(f"{Stage.STAGING}.{rest}") if staged else len(name)
    if length > _NAME_LENGTH:
        as_staged = f" as {Stage.STAGING}.NAME" if staged else ""
        raise InvalidSetting(
            f"registered model {name[:40]}... has {length} characters{as_staged}, and {_NAME_LENGTH} are allowed: "
            "choose a shorter name"
        )
    return name


def check_alias(alias: str) -> str:
    """Return the alias.

    Raises:
        InvalidSetting: a character is not a letter, digit, `_` or `-`, or registries reserve the alias: `latest`, or
            `v` and a number.
    """
    if not _ALIAS.fullmatch(alias):
        raise InvalidSetting(f"alias {alias!r} may have only letters, digits, '_' and '-'")
    if _RESERVED_ALIAS.fullmatch(alias):
        raise InvalidSetting(f"alias {alias!r} is reserved by the registry: choose another, such as 'champion'")
    return alias


@dataclass(frozen=True, slots=True)
class ModelUri:
    """`models:/NAME/VERSION` or `models:/NAME@ALIAS`, parsed: one of `version` and `alias` is None."""

    name: str
    version: int | None
    alias: str | None

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Parse one of the two forms.

        Raises:
            InvalidSetting: the text has another form, such as a stage, `latest` or another scheme.
        """
        scheme, _, rest = uri.partition(":/")
        if scheme == "models":
            name, at, alias = rest.partition("@")
            if at:
                return cls(check_model_name(name), None, check_alias(alias))
            name, _, version = rest.partition("/")
            if _VERSION.fullmatch(version):
                return cls(check_model_name(name), int(version), None)
        raise InvalidSetting(f"model URI {uri!r} must be models:/NAME/VERSION or models:/NAME@ALIAS")

    def __str__(self) -> str:
        return f"models:/{self.name}" + (f"@{self.alias}" if self.version is None else f"/{self.version}")


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a registered model, as the store describes it.

    Attributes:
        name: such as `ci.fashion-mnist-classifier`.
        version: at least 1.
        run_id: id of the training run; a copy keeps the id of its source.
        aliases: aliases that point at this version now.
        created: when this version was registered, in seconds since 1970 (UTC).
    """

    name: str
    version: int
    run_id: str
    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    created: float

    @property
    def uri(self) -> str:
        """The URI of exactly this version, `models:/NAME/VERSION`."""
        return f"models:/{self.name}/{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """Information inside a model artifact (`fmnist.json`), so that serving needs no other source.

    Attributes:
        normalization: that of the train split of its training.
        class_names: names of the classes, in the order of the logits.
        lineage: run tags that say where the model comes from, with `run_id`.
        metrics: metrics of the chosen checkpoint on `val` and `test`.
    """

    architecture: str
    normalization: Normalization
    class_names: tuple[str, ...]
    lineage: Mapping[str, str]
    metrics: Mapping[str, float]

    @property
    def data_version(self) -> str | None:
        """The data version that the model was trained on, if the artifact names it."""
        return self.lineage.get("dvc_data_version")

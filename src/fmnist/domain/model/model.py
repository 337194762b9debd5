"""A registered model: what it is called, which version of it, and what its artifact says of itself."""

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

_NAME_LENGTH = 255  # MLflow's tables take 256 letters, a file system 255
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ALIAS = re.compile(r"[A-Za-z0-9_-]+")
_RESERVED_ALIAS = re.compile(r"latest|v\d+", re.IGNORECASE)
_VERSION = re.compile(r"[1-9][0-9]{0,8}")


def no_answer(images: int, error: Exception) -> CorruptModel:
    """Return what a classifier raises when its runtime fails on so many images."""
    plural = "" if images == 1 else "s"
    return CorruptModel(f"the model does not answer for {images} image{plural}: {words_of(error)}")


def check_model_name(name: str) -> str:
    """Return the registered model's name.

    Raises:
        InvalidSetting: it holds more than letters, digits, `.`, `_` and `-`, or is too long at a stage to come.
    """
    if not _NAME.fullmatch(name):
        raise InvalidSetting(f"registered model {name!r} must be named with letters, digits, '.', '_' and '-' alone")
    prefix, _, rest = name.partition(".")
    staged = prefix in set(Stage)
    length = len(f"{Stage.STAGING}.{rest}") if staged else len(name)
    if length > _NAME_LENGTH:
        as_staged = f" as {Stage.STAGING}.NAME" if staged else ""
        raise InvalidSetting(
            f"registered model {name[:40]}... is {length} letters long{as_staged}: {_NAME_LENGTH} at most, choose "
            "another name"
        )
    return name


def check_alias(alias: str) -> str:
    """Return the alias.

    Raises:
        InvalidSetting: it holds more than letters, digits, `_` and `-`, or is `latest` or `v` and a number, which a
            registry keeps for itself.
    """
    if not _ALIAS.fullmatch(alias):
        raise InvalidSetting(f"alias {alias!r} must be made of letters, digits, '_' and '-' alone")
    if _RESERVED_ALIAS.fullmatch(alias):
        raise InvalidSetting(f"alias {alias!r} is reserved by the registry: choose another, such as 'champion'")
    return alias


@dataclass(frozen=True, slots=True)
class ModelUri:
    """`models:/NAME/VERSION` or `models:/NAME@ALIAS` taken apart: either `version` or `alias` is not None."""

    name: str
    version: int | None
    alias: str | None

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Read one of the two forms.

        Raises:
            InvalidSetting: anything else, such as a stage, `latest` or an address of another scheme.
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
    """One version of a registered model, as the store tells of it when asked.

    Attributes:
        name: of the registered model, such as `ci.fashion-mnist-classifier`.
        version: its number, 1 and up.
        run_id: the training run; a copy keeps that of its source.
        aliases: names that point at this version now.
        tags: key-value pairs on this version.
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
        """The address that names this version and no other, `models:/NAME/VERSION`."""
        return f"models:/{self.name}/{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What travels inside a model artifact (`fmnist.json`), so that it can be served without asking anyone.

    Attributes:
        architecture: the network's name.
        normalization: of the train split it was fitted on.
        class_names: in the order of the logits.
        lineage: run tags that say where it comes from, `run_id` among them.
        metrics: of the chosen checkpoint, on `val` and `test`.
    """

    architecture: str
    normalization: Normalization
    class_names: tuple[str, ...]
    lineage: Mapping[str, str]
    metrics: Mapping[str, float]

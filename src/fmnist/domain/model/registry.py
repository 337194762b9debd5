"""A registered model: what it is called, which version of it, and what its artifact says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass

from fmnist.domain.model.normalization import Normalization

MODEL_LAYOUT_VERSION = 1
GOLDEN_IMAGES = 64


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

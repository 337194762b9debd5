"""A model store that keeps its models in a dictionary. It accepts only weights of a `MeanClassifier`."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from fmnist.adapters.memory.classifier import MeanClassifier, load_means
from fmnist.domain.model.data.images import CLASS_NAMES, SIDE, Images
from fmnist.domain.model.errors import CorruptModel, ModelNotFound
from fmnist.domain.model.model import ModelInfo, ModelUri, ModelVersion, check_alias, check_model_name
from fmnist.domain.model.traffic.sketch import Sketch
from fmnist.ports.model_store import Classifier, ClassifierFactory, ModelPackage, ModelStore, TrainedWeights

_SIGNATURE = {
    "inputs": [{"name": "images", "dtype": "float32", "shape": [-1, 1, SIDE, SIDE]}],
    "outputs": [{"name": "logits", "dtype": "float32", "shape": [-1, len(CLASS_NAMES)]}],
}


@dataclass(frozen=True, slots=True)
class _Artifact:
    """The model that `save` stored. A version and its copies share it."""

    factory: ClassifierFactory
    uuid: str
    created: float
    card: str | None
    reference: Sketch | None
    golden: Images


@dataclass(frozen=True, slots=True)
class _Entry:
    """A registered version and its model. Aliases are kept outside of the entries, because they move."""

    version: ModelVersion
    artifact: _Artifact


class MemoryModelStore(ModelStore):
    """A `ModelStore` without a disk. Its packages are picklable, like those of real stores.

    `card` shows tests the model card of a version without a download.
    """

    def __init__(self) -> None:
        self._models: dict[str, list[_Entry]] = {}
        self._aliases: dict[str, dict[str, int]] = {}

    def save(
        self,
        run_id: str,
        name: str,
        weights: TrainedWeights,
        info: ModelInfo,
        golden: Images,
        *,
        reference: Sketch | None = None,
        card: str | None = None,
    ) -> ModelVersion:
        # The golden batch is not replayed: no disk and no other runtime can damage this model.
        factory = partial(MeanClassifier, load_means(weights.path), info, weights.temperature)
        artifact = _Artifact(factory, f"m-{uuid.uuid4().hex}", time.time(), card, reference, golden)
        return self._register(name, run_id, info.lineage, artifact)

    def download(self, version: ModelVersion) -> ModelPackage:
        artifact = self._entry(version.name, version.version).artifact
        return ModelPackage(
            version=version,
            uuid=artifact.uuid,
            signature=_SIGNATURE,
            created=artifact.created,
            factory=artifact.factory,
            reference=artifact.reference,
            card=artifact.card,
            golden=artifact.golden,
        )

    def resolve(self, uri: str) -> ModelVersion:
        wanted = ModelUri.parse(uri)
        number = wanted.version
        if wanted.alias is not None:
            aliases = self._aliases.get(wanted.name, {})
            if wanted.alias not in aliases:
                there = ", ".join(sorted(aliases)) or "none"
                raise ModelNotFound(f"{uri}: {wanted.name} has no alias {wanted.alias!r}; its aliases: {there}")
            number = aliases[wanted.alias]
        return self._read(self._entry(wanted.name, number or 0))

    def versions(self, name: str) -> list[ModelVersion]:
        return [self._read(entry) for entry in reversed(self._models.get(check_model_name(name), []))]

    def copy(self, source: ModelVersion, name: str, tags: Mapping[str, str] | None = None) -> ModelVersion:
        entry = self._entry(source.name, source.version)
        return self._register(name, entry.version.run_id, {**entry.version.tags, **(tags or {})}, entry.artifact)

    def label(self, version: ModelVersion, *, alias: str | None = None, tags: Mapping[str, str] | None = None) -> None:
        entry = self._entry(version.name, version.version)
        if alias is not None:
            self._aliases.setdefault(version.name, {})[check_alias(alias)] = version.version
        labelled = replace(entry.version, tags={**entry.version.tags, **(tags or {})})
        self._models[version.name][version.version - 1] = replace(entry, version=labelled)

    def card(self, version: ModelVersion) -> str | None:
        """Return the card that was saved with the model of this version."""
        return self._entry(version.name, version.version).artifact.card

    def spoil(self, version: ModelVersion) -> None:
        """Damage the model of this version, so that it no longer loads. Its copies are not damaged."""
        entry = self._entry(version.name, version.version)
        spoilt = replace(entry.artifact, factory=_damaged)
        self._models[version.name][version.version - 1] = replace(entry, artifact=spoilt)

    def _register(self, name: str, run_id: str, tags: Mapping[str, str], artifact: _Artifact) -> ModelVersion:
        entries = self._models.setdefault(check_model_name(name), [])
        version = ModelVersion(
            name=name, version=len(entries) + 1, run_id=run_id, aliases=(), tags=dict(tags), created=time.time()
        )
        entries.append(_Entry(version, artifact))
        return version

    def _entry(self, name: str, number: int) -> _Entry:
        entries = self._models.get(name)
        if entries is None:
            raise ModelNotFound(f"no registered model {name!r}: there are {', '.join(sorted(self._models)) or 'none'}")
        if not 1 <= number <= len(entries):
            raise ModelNotFound(f"{name} has no version {number}: it has 1 to {len(entries)}")
        return entries[number - 1]

    def _read(self, entry: _Entry) -> ModelVersion:
        pointing = self._aliases.get(entry.version.name, {}).items()
        aliases = sorted(alias for alias, number in pointing if number == entry.version.version)
        return replace(entry.version, aliases=tuple(aliases), tags=dict(entry.version.tags))


def _damaged() -> Classifier:
    raise CorruptModel("the model is damaged")

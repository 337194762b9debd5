"""From a package to a model that may serve: loaded, held against the data it was trained on, and warm.

Nothing here decides what is served; a package that fails any check comes out as an error.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fmnist.domain.model.errors import CorruptModel, FmnistError, StoreUnavailable
from fmnist.domain.model.images import SIDE
from fmnist.domain.model.normalization import Normalization
from fmnist.domain.model.registry import ModelInfo
from fmnist.domain.model.versions import full_tag
from fmnist.domain.services.bounded_calls import BoundedCalls
from fmnist.domain.services.prediction import Prediction
from fmnist.ports.data_registry import DataRegistry
from fmnist.ports.model_store import Classifier, ModelPackage

NormalizationCheck = Literal["strict", "recorded"]
"""Whether a model whose normalization cannot be compared with the data registry's is refused, or serves with the one
that its run recorded. A model that normalizes otherwise than the registry says never serves."""

_WARM_UP_BATCHES = (1, 32)
# A registry that hangs must leave time to serve without it.
_REGISTRY_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class CheckedModel:
    """A model that may serve, the package it is of, and why its normalization was not compared, or None if it was."""

    package: ModelPackage
    prediction: Prediction
    degraded: str | None


class ModelLoading:
    """Loads packages, each step within what is left of the time."""

    def __init__(self, registry: DataRegistry, calls: BoundedCalls) -> None:
        self._registry = registry
        self._calls = calls

    def load(
        self, what: str, fetch: Callable[[], ModelPackage], check: NormalizationCheck, deadline: float
    ) -> CheckedModel:
        """Fetch, load and check a package until `deadline`, of `time.monotonic`; `what` names it in messages.

        Raises:
            CorruptModel: it does not load, answers otherwise than when it was saved, or normalizes otherwise than its
                data version says.
            StoreUnavailable: a step took too long, or the normalization cannot be compared and `check` is strict.
            FmnistError: whatever else `fetch` raises.
        """

        def fetch_and_load() -> tuple[ModelPackage, Classifier]:
            package = fetch()
            return package, package.load()

        # One call, so that a version whose loading hangs is not downloaded again meanwhile.
        package, classifier = self._calls.run(what, fetch_and_load, deadline - time.monotonic())
        uri = package.version.uri
        degraded = self.compare(uri, classifier.info, check, deadline)
        prediction = Prediction(classifier)
        self._calls.run(f"first answers of {uri}", lambda: _warm_up(uri, prediction), deadline - time.monotonic())
        return CheckedModel(package, prediction, degraded)

    def compare(self, uri: str, info: ModelInfo, check: NormalizationCheck, deadline: float) -> str | None:
        """Hold the recorded normalization against the registry's; return why that was impossible, or None.

        Raises:
            CorruptModel: they differ.
            StoreUnavailable: they cannot be compared and `check` is strict.
        """
        try:
            version, expected = self._promised(info, deadline)
        except FmnistError as error:
            reason = f"the normalization of {uri} could not be compared with the data registry's: {error}"
            if check == "strict":
                raise StoreUnavailable(reason) from error
            return reason
        if not expected.agrees_with(info.normalization):
            raise CorruptModel(f"{uri} normalizes by {info.normalization}, but data version {version} has {expected}")
        return None

    def _promised(self, info: ModelInfo, deadline: float) -> tuple[str, Normalization]:
        # Only a full version will do: the registry takes several other words for the newest one.
        version = full_tag(info.lineage.get("dvc_data_version", ""))
        seconds = _REGISTRY_SHARE * (deadline - time.monotonic())
        what = f"{version} of the data registry"
        return version, self._calls.run(what, lambda: self._registry.resolve(version).normalization, seconds)


def _warm_up(uri: str, prediction: Prediction) -> None:
    """Have the runtime allocate what it needs, so that no request waits for that, and look at the answers' form."""
    for count in _WARM_UP_BATCHES:
        found = prediction.probabilities(np.zeros((count, SIDE, SIDE), np.uint8))
        expected = (count, len(prediction.info.class_names))
        if found.shape != expected or not np.isfinite(found).all():
            raise CorruptModel(
                f"{uri} answers {count} blank pictures with probabilities of shape {found.shape}, the largest "
                f"{found.max(initial=0)}; expected finite ones of shape {expected}"
            )

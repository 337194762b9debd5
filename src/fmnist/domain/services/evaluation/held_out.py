"""Which data a registered model is measured on: never what models learn from, and never other data than it says."""

from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.errors import CorruptData, InvalidSetting, Remedy, SplitNotFound
from fmnist.domain.model.model import ModelVersion
from fmnist.ports.data_registry import DataRegistry


def measured_dataset(
    registry: DataRegistry, model: ModelVersion, split: str, data_version: str | None = None
) -> DatasetVersion:
    """Resolve `data_version`, or the version that the model was trained on, for a measurement on `split`.

    Raises:
        InvalidSetting: a split that models learn from, or a model that does not say what it was trained on.
        SplitNotFound: the data version has no such split.
        DataVersionNotFound: no such version.
        CorruptData: the version holds other data now than when the model was trained on it.
    """
    if split not in {"test", "val"}:
        raise InvalidSetting(f"split must be test or val, found {split!r}: what models learn from tells nothing")
    trained_on = model.tags.get("dvc_data_version")
    if data_version is None and trained_on is None:
        raise InvalidSetting(f"{model.uri} does not say its data version", Remedy.NAME_DATA_VERSION)
    dataset = registry.resolve(data_version or trained_on)
    digest = model.tags.get("data_digest")
    if dataset.version == trained_on and digest not in {None, dataset.digest}:
        raise CorruptData(
            f"{dataset.version} holds other data now (digest {dataset.digest}) than when {model.uri} was trained "
            f"(digest {digest}): a measurement on it would not be what it says"
        )
    if split not in dataset.splits:
        there = ", ".join(dataset.splits)
        remedies = (Remedy.MEASURE_ON_VAL,) if split == "test" else ()
        raise SplitNotFound(f"{dataset.version} has no split {split!r}: it has {there}", *remedies)
    return dataset

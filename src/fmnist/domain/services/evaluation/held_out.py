"""Resolves the data to measure a registered model on. It refuses training data, and data that has changed."""

from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.errors import CorruptData, InvalidSetting, Remedy, SplitNotFound
from fmnist.domain.model.model import ModelVersion
from fmnist.ports.data_registry import DataRegistry


def measured_dataset(
    registry: DataRegistry, model: ModelVersion, split: str, data_version: str | None = None
) -> DatasetVersion:
    """Resolve `data_version` (None: the version that the model was trained on) for a measurement on `split`.

    Raises:
        InvalidSetting: models learn from this split, or the model does not name its data version.
        SplitNotFound: the data version has no such split.
        DataVersionNotFound: the version does not exist.
        CorruptData: the version's data has changed since the model was trained on it.
    """
    if split not in {"test", "val"}:
        raise InvalidSetting(f"split must be test or val, found {split!r}: models are not measured on training data")
    trained_on = model.tags.get("dvc_data_version")
    if data_version is None and trained_on is None:
        raise InvalidSetting(f"{model.uri} does not name its data version", Remedy.NAME_DATA_VERSION)
    dataset = registry.resolve(data_version or trained_on)
    digest = model.tags.get("data_digest")
    if dataset.version == trained_on and digest not in {None, dataset.digest}:
        raise CorruptData(
            f"the data of {dataset.version} has changed since {model.uri} was trained: expected digest {digest}, "
            f"found {dataset.digest}"
        )
    if split not in dataset.splits:
        there = ", ".join(dataset.splits)
        remedies = (Remedy.MEASURE_ON_VAL,) if split == "test" else ()
        raise SplitNotFound(f"{dataset.version} has no split {split!r}: it has {there}", *remedies)
    return dataset

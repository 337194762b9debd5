"""Finds a registered version by its URI, or the newest version."""

from fmnist.domain.model.errors import ModelNotFound, Remedy
from fmnist.domain.model.model import ModelVersion
from fmnist.ports.model_store import ModelStore


def find_version(store: ModelStore, name: str, uri: str | None) -> ModelVersion:
    """Return the version at `uri`, `models:/NAME/VERSION` or `models:/NAME@ALIAS`; for None, the newest of `name`.

    Raises:
        ModelNotFound: no such version exists.
        InvalidSetting: the URI has another form.
        StoreUnavailable: the store does not answer.
    """
    if uri is not None:
        return store.resolve(uri)
    versions = store.versions(name)
    if not versions:
        raise ModelNotFound(f"no version of {name} is registered yet", Remedy.TRAIN)
    return versions[0]

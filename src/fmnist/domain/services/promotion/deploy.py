"""Deploys a released model by writing the desired state. Only the cluster changes what runs."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from fmnist.domain.model.errors import Conflict, InvalidSetting
from fmnist.domain.model.model import ModelUri, ModelVersion
from fmnist.domain.model.promotion.records import Tag
from fmnist.domain.model.promotion.stages import Alias, Stage, StagedName
from fmnist.domain.model.text import one_line
from fmnist.domain.services.promotion.state import check_said
from fmnist.ports.desired_state import Desired, DesiredState
from fmnist.ports.model_store import ModelStore

# Each failed attempt means that another writer succeeded, so that all writers make progress.
_ATTEMPTS = 10
_T = TypeVar("_T")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Deployment:
    """The version that the service must run now, and the desired state before and after."""

    version: ModelVersion
    before: Desired
    after: Desired

    @property
    def changed(self) -> bool:
        """Whether the desired state was changed."""
        return self.before.revision != self.after.revision

    @property
    def message(self) -> str:
        """One line for a person."""
        if not self.changed:
            return f"revision {self.after.revision} already has {self.version.uri}: nothing changed"
        before = self.before
        instead = f" in place of {before.model_uri}" if before.model_uri not in (None, self.version.uri) else ""
        removed = f"; the canary {before.canary} is removed" if before.canary else ""
        return f"{self.version.uri} is to be served{instead}, by revision {self.after.revision}{removed}"


@dataclass(frozen=True, slots=True)
class ModelDeployment:
    """Makes a version of `prod.NAME` the one that the service must run."""

    store: ModelStore
    state: DesiredState
    source: StagedName

    def run(self, uri: str | None = None, *, by: str, image: str | None = None) -> Deployment:
        """Deploy the version at `uri` (None: the champion) in `image` (None: the image that it was released with).

        A canary is removed. If another deployment writes first, the champion is read again. So the last writer never
        brings back an older champion.

        Raises:
            InvalidSetting: the version is not of `prod.NAME`, `by` is empty, or the service has no such image.
            ModelNotFound: there is no such version, or no champion.
            Conflict: another deployment wrote first at every attempt.
            StoreUnavailable: the model store or the desired state does not answer.
        """
        check_said("a deployment", by=by)
        prod = str(self.source.at(Stage.PROD))
        wanted = ModelUri.parse(uri or f"models:/{prod}@{Alias.CHAMPION}")
        if wanted.name != prod:
            raise InvalidSetting(f"{uri} was not released: expected a version of {prod}, or its alias champion")

        def write() -> Deployment:
            version, before = self.store.resolve(str(wanted)), self.state.read()
            removed = f"The canary {before.canary} is removed.\n\n" if before.canary else ""
            message = f"Serve {version.uri}\n\n{removed}Deployed-by: {one_line(by.strip())}"
            released_with = version.tags.get(Tag.SERVING_IMAGE)
            after = self.state.write(version.uri, image or released_with, after=before.revision, message=message)
            return Deployment(version, before, after)

        deployment = until_written(write)
        logger.info("%s", deployment.message)
        return deployment


def until_written(write: Callable[[], _T]) -> _T:
    """Read the desired state and write the next one, again if another writer was faster.

    Raises:
        Conflict: another writer was faster at every attempt.
    """
    for attempt in range(2, _ATTEMPTS + 1):
        try:
            return write()
        except Conflict as error:
            logger.info("%s; attempt %d of %d", error, attempt, _ATTEMPTS)
    return write()

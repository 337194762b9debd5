"""Deploys a released model: writes it down where a cluster looks. The cluster, and never this, changes what runs."""

import logging
from dataclasses import dataclass

from fmnist.domain.model.errors import Conflict, InvalidSetting
from fmnist.domain.model.model import ModelUri, ModelVersion
from fmnist.domain.model.promotion.desired_state import Desired
from fmnist.domain.model.promotion.records import SERVING_IMAGE
from fmnist.domain.model.promotion.stages import Alias, Stage, StagedName
from fmnist.domain.model.text import one_line
from fmnist.domain.services.promotion.state import check_said
from fmnist.ports.desired_state import DesiredState
from fmnist.ports.model_store import ModelStore

logger = logging.getLogger(__name__)

# Each of them means that somebody else has written something in the meantime, so that all together get on.
_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Deployment:
    """The version that the service is to run now, and the desired state before and after."""

    version: ModelVersion
    before: Desired
    after: Desired

    @property
    def changed(self) -> bool:
        """Whether there was something to write."""
        return self.before.revision != self.after.revision

    @property
    def message(self) -> str:
        """One line for a person."""
        if not self.changed:
            return f"{self.version.uri} is what revision {self.after.revision} has already: nothing changed"
        instead = f" in place of {self.before.model_uri}" if self.before.model_uri else ""
        return f"{self.version.uri} is to be served{instead}, by revision {self.after.revision}"


class ModelDeployment:
    """Makes a version of `prod.NAME` the one that the service is to run.

    Args:
        source: the registered model that promotions start from, such as `ci.NAME`.
    """

    def __init__(self, store: ModelStore, state: DesiredState, source: StagedName) -> None:
        self._store = store
        self._state = state
        self._prod = str(source.at(Stage.PROD))

    def run(self, uri: str | None = None, *, by: str, image: str | None = None) -> Deployment:
        """Deploy the champion, or the version at `uri`, in the image that it was released with unless one is given.

        Whoever is overtaken by another deployment looks again what the champion is, so that the last to write never
        brings an older one back.

        Raises:
            InvalidSetting: no version of `prod.NAME`; or it does not say who; or the service runs no such image.
            ModelNotFound: there is no such version, or no champion.
            Conflict: others wrote at every attempt.
            StoreUnavailable: the model store or the desired state does not answer.
        """
        check_said("a deployment", by=by)
        wanted = ModelUri.parse(uri or f"models:/{self._prod}@{Alias.CHAMPION}")
        if wanted.name != self._prod:
            raise InvalidSetting(f"{uri} was not released: expected a version of {self._prod}, or its alias champion")
        for attempt in range(1, _ATTEMPTS + 1):
            version, before = self._store.resolve(str(wanted)), self._state.read()
            message = f"Serve {version.uri}\n\nDeployed-by: {one_line(by.strip())}"
            try:
                after = self._state.write(
                    version.uri, image or version.tags.get(SERVING_IMAGE), after=before.revision, message=message
                )
            except Conflict as error:
                if attempt == _ATTEMPTS:
                    raise
                logger.info("%s; attempt %d of %d", error, attempt + 1, _ATTEMPTS)
            else:
                deployment = Deployment(version, before, after)
                logger.info("%s", deployment.message)
                return deployment
        raise AssertionError("the last attempt returns or raises")

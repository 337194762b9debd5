"""Finds the model to promote: the named one, the one that a workflow trained, or the newest."""

from dataclasses import dataclass

from fmnist.domain.model.errors import InvalidSetting, ModelNotFound, Remedy
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.promotion.stages import Stage, StagedName
from fmnist.ports.model_store import ModelStore
from fmnist.ports.tracker import Tracker


@dataclass(frozen=True, slots=True)
class Challengers:
    """Finds a version of the source model."""

    store: ModelStore
    tracker: Tracker
    source: StagedName

    def find(self, uri: str | None = None, workflow_uid: str | None = None) -> ModelVersion:
        """Return the version at `uri`; without one, that of the workflow's newest run with a version, or the newest.

        Raises:
            ModelNotFound: there is no such version.
            InvalidSetting: the version is not one of the source model.
        """
        if uri is not None:
            version = self.store.resolve(uri)
            if version.name != str(self.source):
                raise InvalidSetting(f"{uri} is not a version of the source model {self.source}", Remedy.NAME_SOURCE)
            return version
        versions = self.store.versions(str(self.source))
        if workflow_uid is not None:
            runs = [run.run_id for run in self.tracker.find({"argo_workflow_uid": workflow_uid})]
            versions = [version for run_id in runs for version in versions if version.run_id == run_id]
        if not versions:
            of = f" by a run tagged argo_workflow_uid = {workflow_uid}" if workflow_uid else ""
            raise ModelNotFound(f"no version of {self.source} is registered{of}", Remedy.TRAIN)
        return versions[0]


def check_source(name: str) -> StagedName:
    """Parse the name of the source model.

    Raises:
        InvalidSetting: its stage is one that promotion itself writes.
    """
    source = StagedName.parse(name)
    if source.stage not in {Stage.DEV, Stage.CI}:
        raise InvalidSetting(f"the source model must be dev.NAME or ci.NAME, found {name}", Remedy.NAME_SOURCE)
    return source

"""The deploy app: the model store, and the repository with the desired state of the service."""

from dependency_injector import providers

from fmnist.adapters.git.desired_state import GitDesiredState
from fmnist.adapters.http.service import HttpService
from fmnist.apps.containers.models import ModelsContainer
from fmnist.apps.settings import Settings
from fmnist.domain.services.promotion.canary import CanaryRelease
from fmnist.domain.services.promotion.deploy import ModelDeployment


def _desired_state(settings: Settings) -> GitDesiredState:
    return GitDesiredState(repo=settings.gitops_repo, branch=settings.gitops_branch, manifest=settings.gitops_manifest)


class DeployContainer(ModelsContainer):
    """`deployment()` deploys a released model, and `canary()` leads the canary that `service(url)` asks about."""

    desired_state = providers.Factory(_desired_state, settings=ModelsContainer.settings)
    deployment = providers.Factory(
        ModelDeployment, store=ModelsContainer.model_store, state=desired_state, source=ModelsContainer.source
    )
    canary = providers.Factory(
        CanaryRelease, store=ModelsContainer.model_store, state=desired_state, source=ModelsContainer.source
    )
    service = providers.Factory(HttpService)

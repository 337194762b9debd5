"""The deploy app: the model store, and the repository that says what the service is to run."""

from dependency_injector import providers

from fmnist.adapters.git.desired_state import GitDesiredState
from fmnist.apps.containers.models import ModelsContainer
from fmnist.domain.services.promotion.challengers import check_source
from fmnist.domain.services.promotion.deploy import ModelDeployment


class DeployContainer(ModelsContainer):
    """`deployment()` deploys."""

    desired_state = providers.Factory(
        GitDesiredState,
        repo=ModelsContainer.settings.provided.gitops_repo,
        branch=ModelsContainer.settings.provided.gitops_branch,
        manifest=ModelsContainer.settings.provided.gitops_manifest,
    )
    source = providers.Factory(check_source, ModelsContainer.settings.provided.mlflow_registered_model_name)
    deployment = providers.Factory(ModelDeployment, ModelsContainer.model_store, desired_state, source)

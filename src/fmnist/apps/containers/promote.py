"""The promote app's steps that move models about: none of them needs a network to run, and so none imports torch."""

from dependency_injector import providers

from fmnist.adapters.filelock.lock import PromotionLock
from fmnist.adapters.yaml.manifest import ServingManifest
from fmnist.apps.containers.models import ModelsContainer
from fmnist.domain.services.acceptance import AcceptanceTest
from fmnist.domain.services.challengers import Challengers, check_source
from fmnist.domain.services.lineage_trace import LineageTrace
from fmnist.domain.services.model_promotion import ModelPromotion
from fmnist.domain.services.model_rollback import ModelRollback
from fmnist.domain.services.promotion_overview import PromotionOverview

# Longer than any promotion takes, so that a second one waits for its turn.
_PATIENCE_SECONDS = 900.0


class PromoteContainer(ModelsContainer):
    """The steps, and what looks at them."""

    source = providers.Factory(check_source, ModelsContainer.settings.provided.mlflow_registered_model_name)
    lock = providers.Singleton(
        PromotionLock,
        store=ModelsContainer.settings.provided.tracking_uri,
        model=ModelsContainer.settings.provided.mlflow_registered_model_name,
        patience=_PATIENCE_SECONDS,
    )
    challengers = providers.Factory(Challengers, ModelsContainer.model_store, ModelsContainer.tracker, source)
    promotion = providers.Factory(ModelPromotion, ModelsContainer.model_store, source, lock)
    rollback = providers.Factory(ModelRollback, ModelsContainer.model_store, source, lock)
    acceptance = providers.Factory(
        AcceptanceTest, ModelsContainer.model_store, ModelsContainer.data_registry, source, lock
    )
    overview = providers.Factory(PromotionOverview, ModelsContainer.model_store, source)
    trace = providers.Factory(LineageTrace, ModelsContainer.model_store, ModelsContainer.tracker)
    manifest = providers.Factory(ServingManifest)

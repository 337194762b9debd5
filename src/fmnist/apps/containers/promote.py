"""The promote app: each of its steps, and all in a row. None of them trains, and so none needs torch on a CPU."""

from dependency_injector import providers

from fmnist.adapters.filelock.lock import PromotionLock
from fmnist.adapters.mlflow.model_store import MlflowModelStore
from fmnist.apps.containers.models import ModelsContainer
from fmnist.domain.services.promotion.acceptance import AcceptanceTest
from fmnist.domain.services.promotion.challengers import Challengers, check_source
from fmnist.domain.services.promotion.compare import ModelComparison
from fmnist.domain.services.promotion.overview import PromotionOverview
from fmnist.domain.services.promotion.promote import ModelPromotion
from fmnist.domain.services.promotion.rollback import ModelRollback
from fmnist.domain.services.promotion.run import PromotionRun
from fmnist.domain.services.promotion.trace import LineageTrace

# Longer than any promotion takes, so that a second one waits for its turn.
_PATIENCE_SECONDS = 900.0


class PromoteContainer(ModelsContainer):
    """The steps, with models answering in this process, and what looks at them."""

    source = providers.Factory(check_source, ModelsContainer.settings.provided.mlflow_registered_model_name)
    lock = providers.Singleton(
        PromotionLock,
        store=ModelsContainer.settings.provided.tracking_uri.identity,
        # Not the source's whole name: dev.NAME and ci.NAME are promoted to the same prod.NAME.
        model=source.provided.name,
        patience=_PATIENCE_SECONDS,
    )
    challengers = providers.Factory(Challengers, ModelsContainer.model_store, ModelsContainer.tracker, source)
    promotion = providers.Factory(ModelPromotion, ModelsContainer.model_store, source, lock)
    rollback = providers.Factory(ModelRollback, ModelsContainer.model_store, source, lock)
    # As a service loads a model, on a GPU machine too.
    serving_store = providers.Singleton(MlflowModelStore, ModelsContainer.connection)
    acceptance = providers.Factory(AcceptanceTest, serving_store, ModelsContainer.data_registry, source, lock)
    comparison = providers.Factory(
        ModelComparison,
        ModelsContainer.model_store,
        ModelsContainer.tracker,
        ModelsContainer.data_registry,
        source,
        lock,
    )
    promotion_run = providers.Factory(
        PromotionRun, comparison, acceptance, promotion, ModelsContainer.model_store, source, lock
    )
    overview = providers.Factory(PromotionOverview, ModelsContainer.model_store, source)
    trace = providers.Factory(LineageTrace, ModelsContainer.model_store, ModelsContainer.tracker)

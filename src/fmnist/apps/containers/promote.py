"""The promote app: each of its steps, and all in a row. None of them trains, and so none needs torch on a CPU."""

from dependency_injector import providers

from fmnist.adapters.filelock.lock import PromotionLock
from fmnist.apps.containers.models import ModelsContainer
from fmnist.domain.services.acceptance import AcceptanceTest
from fmnist.domain.services.challengers import Challengers, check_source
from fmnist.domain.services.lineage_trace import LineageTrace
from fmnist.domain.services.model_comparison import ModelComparison
from fmnist.domain.services.model_promotion import ModelPromotion
from fmnist.domain.services.model_rollback import ModelRollback
from fmnist.domain.services.promotion_overview import PromotionOverview
from fmnist.domain.services.promotion_pipeline import PromotionPipeline

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
    acceptance = providers.Factory(
        AcceptanceTest, ModelsContainer.model_store, ModelsContainer.data_registry, source, lock
    )
    comparison = providers.Factory(
        ModelComparison,
        ModelsContainer.model_store,
        ModelsContainer.tracker,
        ModelsContainer.data_registry,
        source,
        lock,
    )
    pipeline = providers.Factory(
        PromotionPipeline, comparison, acceptance, promotion, ModelsContainer.model_store, source, lock
    )
    overview = providers.Factory(PromotionOverview, ModelsContainer.model_store, source)
    trace = providers.Factory(LineageTrace, ModelsContainer.model_store, ModelsContainer.tracker)

"""The promote app: each step of a promotion, and all steps in a row. On a CPU no step needs torch."""

from dependency_injector import providers

from fmnist.adapters.filelock.lock import PromotionLock
from fmnist.adapters.mlflow.model_store import MlflowModelStore
from fmnist.adapters.pillow.corruptions import corrupt
from fmnist.apps.containers.models import ModelsContainer
from fmnist.apps.settings import Settings
from fmnist.domain.model.promotion.stages import StagedName
from fmnist.domain.services.promotion.acceptance import AcceptanceTest
from fmnist.domain.services.promotion.challengers import Challengers
from fmnist.domain.services.promotion.compare import ModelComparison
from fmnist.domain.services.promotion.overview import PromotionOverview
from fmnist.domain.services.promotion.promote import ModelPromotion
from fmnist.domain.services.promotion.rollback import ModelRollback
from fmnist.domain.services.promotion.run import PromotionRun
from fmnist.domain.services.promotion.trace import LineageTrace

# Longer than any promotion takes, also with two large models on corrupted images. So a second one waits for its turn.
_PATIENCE_SECONDS = 3600.0


def _promotion_lock(settings: Settings, source: StagedName) -> PromotionLock:
    # Not the source's whole name: dev.NAME and ci.NAME are promoted to the same prod.NAME.
    return PromotionLock(store=settings.tracking_uri.identity, model=source.name, patience=_PATIENCE_SECONDS)


class PromoteContainer(ModelsContainer):
    """The steps of a promotion, with models in this process, and the views of promotions."""

    lock = providers.Singleton(_promotion_lock, settings=ModelsContainer.settings, source=ModelsContainer.source)
    # Loads a model as the service does, also on a machine with a GPU.
    serving_store = providers.Singleton(MlflowModelStore, connection=ModelsContainer.connection)
    challengers = providers.Factory(
        Challengers, store=ModelsContainer.model_store, tracker=ModelsContainer.tracker, source=ModelsContainer.source
    )
    comparison = providers.Factory(
        ModelComparison,
        store=ModelsContainer.model_store,
        tracker=ModelsContainer.tracker,
        registry=ModelsContainer.data_registry,
        source=ModelsContainer.source,
        corrupt=providers.Object(corrupt),
        lock=lock,
    )
    promotion = providers.Factory(
        ModelPromotion, store=ModelsContainer.model_store, source=ModelsContainer.source, lock=lock
    )
    acceptance = providers.Factory(
        AcceptanceTest,
        store=serving_store,
        registry=ModelsContainer.data_registry,
        source=ModelsContainer.source,
        lock=lock,
    )
    rollback = providers.Factory(
        ModelRollback, store=ModelsContainer.model_store, source=ModelsContainer.source, lock=lock
    )
    promotion_run = providers.Factory(
        PromotionRun,
        comparison=comparison,
        acceptance=acceptance,
        promotion=promotion,
        store=ModelsContainer.model_store,
        source=ModelsContainer.source,
        lock=lock,
    )
    overview = providers.Factory(PromotionOverview, store=ModelsContainer.model_store, source=ModelsContainer.source)
    trace = providers.Factory(LineageTrace, store=ModelsContainer.model_store, tracker=ModelsContainer.tracker)

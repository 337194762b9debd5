"""The promote app's steps that ask models for answers: what `promote` has, and the compute that they answer on."""

import os

from dependency_injector import providers

from fmnist.adapters.lightning.compute import LocalCompute
from fmnist.apps.containers.promote import PromoteContainer
from fmnist.domain.services.model_comparison import ModelComparison
from fmnist.domain.services.promotion_pipeline import PromotionPipeline


class CompareContainer(PromoteContainer):
    """Comparison, and all steps in a row, with both models answering in this process."""

    compute = providers.Singleton(
        LocalCompute,
        registry=PromoteContainer.data_registry,
        tracker=PromoteContainer.tracker,
        checkpoints=PromoteContainer.settings.provided.checkpoint_directory,
        threads=providers.Callable(lambda: len(os.sched_getaffinity(0))),
    )
    comparison = providers.Factory(
        ModelComparison,
        PromoteContainer.model_store,
        PromoteContainer.tracker,
        PromoteContainer.data_registry,
        compute,
        PromoteContainer.source,
        PromoteContainer.lock,
    )
    pipeline = providers.Factory(
        PromotionPipeline,
        comparison,
        PromoteContainer.acceptance,
        PromoteContainer.promotion,
        PromoteContainer.model_store,
        PromoteContainer.source,
        PromoteContainer.lock,
    )

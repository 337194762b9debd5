"""The evaluate app: measures a registered model in this process. On a CPU it needs no torch."""

from dependency_injector import providers

from fmnist.adapters.jinja2.report_page import render_report
from fmnist.adapters.pillow.corruptions import corrupt
from fmnist.apps.containers.models import ModelsContainer
from fmnist.domain.services.evaluation.evaluate import ModelEvaluation


class EvaluateContainer(ModelsContainer):
    """`evaluation()` measures any model of the store."""

    evaluation = providers.Factory(
        ModelEvaluation,
        store=ModelsContainer.model_store,
        tracker=ModelsContainer.tracker,
        registry=ModelsContainer.data_registry,
        render=providers.Object(render_report),
        corrupt=providers.Object(corrupt),
    )

"""The parts of the predict-batch app that run on a Ray cluster. Only this module imports Ray."""

from functools import partial
from typing import Any

from fmnist.adapters.mlflow.model_store import MlflowModelStore
from fmnist.adapters.ray.batch_prediction import RayBatchPrediction, has_gpus
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.apps.containers.models import mlflow_connection
from fmnist.apps.settings import Settings


def on_ray(settings: Settings) -> dict[str, Any]:
    """Return what replaces the parts of `PredictBatchContainer`: the prediction, and a store of models for its actors.

    Models run on the GPUs of the cluster, if it has any. On CPUs, an actor has one thread.
    """
    cluster = ClusterSettings(address=settings.ray_address, verbose=settings.verbose)
    store = MlflowModelStore(mlflow_connection(settings), threads=1, on_gpu=partial(has_gpus, cluster))
    return {"batch_prediction": RayBatchPrediction(cluster), "model_store": store}

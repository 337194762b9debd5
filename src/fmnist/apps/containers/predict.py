"""The predict app, and `load_classifier` of the library: a stored model as a prediction service."""

from dependency_injector import providers

from fmnist.adapters.pillow.files import read_image_file
from fmnist.apps.containers.models import ModelsContainer
from fmnist.domain.services.prediction import Prediction
from fmnist.ports.model_store import ModelStore


def _load_prediction(uri: str, store: ModelStore) -> Prediction:
    """Load the model at `uri`. Its answers for the golden batch are checked first."""
    return Prediction(store.download(store.resolve(uri)).load())


class PredictContainer(ModelsContainer):
    """`prediction(uri)` loads a model."""

    prediction = providers.Factory(_load_prediction, store=ModelsContainer.model_store)
    read_image_file = providers.Object(read_image_file)

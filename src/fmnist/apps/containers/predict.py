"""The predict app, and `load_classifier` of the library: a stored model as a prediction service."""

from dependency_injector import providers

from fmnist.adapters.inputs.source import FileImageSource
from fmnist.apps.containers.models import ModelsContainer
from fmnist.apps.containers.s3 import s3_settings
from fmnist.apps.settings import Settings
from fmnist.domain.services.prediction import Prediction
from fmnist.ports.model_store import ModelStore


def _load_prediction(uri: str, store: ModelStore) -> Prediction:
    """Load the model at `uri`. Its answers for the golden batch are checked first."""
    return Prediction(store.download(store.resolve(uri)).load())


def _image_source(settings: Settings) -> FileImageSource:
    return FileImageSource(s3_settings(settings))


class PredictContainer(ModelsContainer):
    """`prediction(uri)` loads a model."""

    prediction = providers.Factory(_load_prediction, store=ModelsContainer.model_store)
    image_source = providers.Factory(_image_source, settings=ModelsContainer.settings)

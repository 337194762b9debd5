"""Fashion-MNIST classification as a library. Importing it costs numpy's import and no more.

    import fmnist

    classifier = fmnist.load_classifier("models:/prod.fashion-mnist-classifier@champion")
    classifier(images)  # uint8 (n, 28, 28) or any layout of `decode_images`

`fmnist.testing` has what another service needs to test against it.
"""

from fmnist.domain.model.data.images import CLASS_NAMES, decode_images
from fmnist.domain.model.data.normalization import Normalization
from fmnist.domain.model.errors import (
    BadInput,
    CorruptModel,
    FmnistError,
    InvalidImages,
    InvalidSetting,
    ModelNotFound,
    StoreUnavailable,
)
from fmnist.domain.model.model import ModelInfo
from fmnist.domain.services.prediction import ClassPrediction, Prediction

__all__ = [
    "CLASS_NAMES",
    "BadInput",
    "ClassPrediction",
    "CorruptModel",
    "FmnistError",
    "InvalidImages",
    "InvalidSetting",
    "ModelInfo",
    "ModelNotFound",
    "Normalization",
    "Prediction",
    "StoreUnavailable",
    "decode_images",
    "load_classifier",
]
__version__ = "0.1.0"


def load_classifier(uri: str) -> Prediction:
    """Load a registered model, `models:/NAME/VERSION` or `models:/NAME@ALIAS`, ready to classify.

    The registry is that of `MLFLOW_TRACKING_URI`, or of the local state directory; a `.env` is left to the caller. The
    model answers its golden batch before this returns. Needs `pip install 'fmnist[serve]'`.

    Raises:
        ModelNotFound: no such model, version or alias.
        CorruptModel: the model lacks a part, or does not answer as it did when it was saved.
        StoreUnavailable: the registry does not answer.
        InvalidSetting: no such form of a URI, or an environment variable with an unusable value.
    """
    # Adapters, and the vendors that they need, are imported when a model is asked for and not before.
    from fmnist.apps.containers.predict import PredictContainer
    from fmnist.apps.settings import load_environment

    prediction: Prediction = PredictContainer(settings=load_environment(dotenv=None)).prediction(uri)
    return prediction

"""Fashion-MNIST classification as a library. Importing it imports nothing heavier than numpy.

    import fmnist

    classifier = fmnist.load_classifier("models:/prod.fashion-mnist-classifier@champion")
    classifier(images)  # uint8 (n, 28, 28) or any layout of `decode_images`

`fmnist.testing` has fakes and contract suites for the tests of other services.
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

    The registry is at `MLFLOW_TRACKING_URI`, by default in the local state directory. A `.env` file is not read. The
    model is checked against its golden batch before this returns. Needs `pip install 'fmnist[serve]'`.

    Raises:
        ModelNotFound: no such model, version or alias.
        CorruptModel: the model lacks a part, or its answers differ from those at save time.
        StoreUnavailable: the registry does not answer.
        InvalidSetting: the URI has another form, or an environment variable has an unusable value.
    """
    # Imported here, so that `import fmnist` needs no vendor package.
    from fmnist.apps.containers.predict import PredictContainer
    from fmnist.apps.settings import load_environment

    prediction: Prediction = PredictContainer(settings=load_environment(dotenv=None)).prediction(uri)
    return prediction

"""LitServe with the same ONNX model and prediction code as fmnist: default settings, one worker, one thread."""

import sys
from typing import Any

import litserve
import numpy as np
from serving_subjects import load_classifier

from fmnist.domain.services.prediction import Prediction


class Api(litserve.LitAPI):  # type: ignore[misc]  # litserve is installed for this benchmark only
    """The same requests and answers as the other servers. With type annotations, LitServe would expect other bodies."""

    def __init__(self, model: str) -> None:
        super().__init__()
        self._model = model

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's signature
        """Load the model in the worker."""
        self.prediction = Prediction(load_classifier(self._model))

    def decode_request(self, request, **_: Any) -> Any:  # type: ignore[no-untyped-def]
        """Return the images, uint8 (n, 28, 28)."""
        return np.asarray(request["images"], dtype=np.uint8).reshape(-1, 28, 28)

    def predict(self, x: Any, **_: Any) -> Any:
        """Return probabilities float32 (n, classes)."""
        return self.prediction.probabilities(x)

    def encode_response(self, output, **_: Any):  # type: ignore[no-untyped-def]
        """Return the best class of each image."""
        names = self.prediction.info.class_names
        classes = zip(output.argmax(axis=1).tolist(), output.max(axis=1).tolist(), strict=True)
        return {
            "predictions": [
                {"class_id": label, "class_name": names[label], "confidence": confidence}
                for label, confidence in classes
            ]
        }


if __name__ == "__main__":
    port, uri = sys.argv[1:]
    server = litserve.LitServer(Api(uri), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(port), generate_client_file=False, log_level="warning")

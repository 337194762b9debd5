"""BentoML with the same ONNX model as fmnist: adaptive batching, one worker. It runs in an environment of its own."""

import json
import os
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
import onnxruntime

# Room for the four requests of 1000 images that the benchmark sends at once. A larger request would be split.
MAX_BATCH_SIZE = 4000


@bentoml.service(workers=1)
class Classifier:
    """Classifies images like the other servers. The folder MODEL_FOLDER has the model and its description."""

    def __init__(self) -> None:
        folder = Path(os.environ["MODEL_FOLDER"])
        self.model = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.model["threads"]
        self.session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH_SIZE)  # type: ignore[untyped-decorator]  # bentoml is not installed with fmnist
    def predict(self, images: np.ndarray) -> list[dict[str, Any]]:
        """Return the best class of each image, for pixels (n, 784)."""
        pixels = images.astype(np.float32).reshape(-1, 1, 28, 28)
        inputs = (pixels / np.float32(255) - np.float32(self.model["mean"])) / np.float32(self.model["std"])
        logits = self.session.run(None, {"images": inputs})[0]
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = exponents / exponents.sum(axis=1, keepdims=True)
        names = self.model["class_names"]
        return [
            {"class_id": label, "class_name": names[label], "confidence": confidence}
            for label, confidence in zip(
                probabilities.argmax(axis=1).tolist(), probabilities.max(axis=1).tolist(), strict=True
            )
        ]

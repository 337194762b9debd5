"""Whether the parts that an explanation marks matter more to the answer than as many others: a deletion test.

    python benchmarks/explanation.py [MODEL_URI]

For each image, the marked pixels are covered as the explanation covers patches, by the mean of their surroundings. The
same is done with as many other pixels, chosen at random among those that covering changes.
"""

import argparse

import numpy as np
import numpy.typing as npt

from fmnist.apps.settings import load_environment
from fmnist.domain.model.data.images import Images
from fmnist.domain.services.explanation import explain, surroundings
from fmnist.domain.services.prediction import Prediction

PIXELS = 60
"""So many pixels are covered in each image."""


def falls(prediction: Prediction, images: Images, pixels: int = PIXELS) -> npt.NDArray[np.float64]:
    """Return how far the confidence falls, for images uint8 (n, 28, 28): float64 (n, 2), by marked and other pixels."""
    random = np.random.default_rng(20170825)
    found = []
    for image in images:
        explanation = explain(prediction, image)
        fill = surroundings(image)
        marks = np.argsort(-explanation.map.ravel(), kind="stable")[:pixels]
        others = np.setdiff1d(np.flatnonzero((fill != image).ravel()), marks)
        chosen = random.permutation(others)[:pixels]
        covered = np.stack([image, image, image])
        for copy, places in ((covered[1], marks), (covered[2], chosen)):
            copy.ravel()[places] = fill.ravel()[places]
        rows = prediction.probabilities(covered)[:, explanation.class_id]
        found.append(rows[0] - rows[1:])
    return np.array(found, np.float64)


def main() -> None:
    """Measure, and print both means."""
    from fmnist.apps.containers.predict import PredictContainer  # a test needs only the falls

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", nargs="?", default="models:/dev.fashion-mnist-classifier/1")
    parser.add_argument("--images", type=int, default=200)
    arguments = parser.parse_args()
    container = PredictContainer(settings=load_environment())
    prediction = container.prediction(arguments.model)
    registry = container.data_registry()
    test = registry.read(registry.resolve(prediction.info.data_version), "test").head(arguments.images)
    found = falls(prediction, test.images)
    marked, others = found.mean(axis=0)
    more = float((found[:, 0] > found[:, 1]).mean())
    print(f"{len(found)} images, {PIXELS} pixels of each: the confidence falls by {marked:.1%} where it is marked, and")
    print(f"by {others:.1%} elsewhere, in the mean. The marked pixels matter more in {more:.0%} of the images.")


if __name__ == "__main__":
    main()

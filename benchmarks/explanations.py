"""Tests explanations by covering: how far answers fall when the marked tenth of an image is covered, or another tenth.

Two covers, black and the mean of the dataset, are not those of the explanation. They show that it does not only mark
what its own cover changes. `FMNIST_HOME` names the state directory with the model.
"""

import argparse
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from reporting import print_table

from fmnist.apps.containers.evaluate import EvaluateContainer
from fmnist.apps.settings import load_environment
from fmnist.domain.model.data.images import PIXELS, SIDE, Images
from fmnist.domain.services.explanation import explain, surroundings
from fmnist.domain.services.prediction import Prediction

_COVERED = PIXELS // 10
_COVERS: dict[str, Callable[[Images], npt.NDArray[np.generic] | int]] = {
    "surroundings": surroundings,
    "black": lambda _: 0,
    "mean of the dataset": lambda _: 73,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL_URI")
    parser.add_argument("--images", type=int, default=300)
    arguments = parser.parse_args()
    container = EvaluateContainer(settings=load_environment())
    store, registry = container.model_store(), container.data_registry()
    classifier = store.download(store.resolve(arguments.model)).load()
    data = registry.read(registry.resolve(classifier.info.lineage["dvc_data_version"]), "test")
    images, prediction = data.images[: arguments.images], Prediction(classifier)
    maps = [explain(prediction, image).map for image in images]
    rows = [
        [
            name,
            f"{falls(prediction, images, maps, cover, marked=True):.3f}",
            f"{falls(prediction, images, maps, cover):.3f}",
        ]
        for name, cover in _COVERS.items()
    ]
    print_table([["cover", "fall, marked tenth", "fall, another tenth"], *rows])


def falls(
    prediction: Prediction,
    images: Images,
    maps: list[npt.NDArray[np.float32]],
    cover: Callable[[Images], npt.NDArray[np.generic] | int],
    *,
    marked: bool = False,
) -> float:
    """Return how far the probability of the answer falls, as a mean."""
    random, covered = np.random.default_rng(0), np.empty_like(images)
    for row, (image, marks) in enumerate(zip(images, maps, strict=True)):
        most = np.argsort(-marks, axis=None, kind="stable")
        pixels = most[:_COVERED] if marked else blob(random, most[:_COVERED])
        there = np.isin(np.arange(PIXELS), pixels).reshape(SIDE, SIDE)
        covered[row] = np.where(there, cover(image), image)
    before = prediction.probabilities(images)
    answers = before.argmax(axis=1)[:, np.newaxis]
    after = prediction.probabilities(covered)
    return float((np.take_along_axis(before, answers, 1) - np.take_along_axis(after, answers, 1)).mean())


def blob(random: np.random.Generator, marked: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return as many pixels elsewhere, in connected areas, as those of a map are."""
    areas = surroundings(random.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)).astype(float).ravel()
    areas[marked] = -1
    return np.argsort(-areas, kind="stable")[:_COVERED]


if __name__ == "__main__":
    main()

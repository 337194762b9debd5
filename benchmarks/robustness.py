"""Compares registered models on corrupted images of `test`, and on other pictures, such as digits.

Figures are those of `fmnist evaluate --robustness`. `FMNIST_HOME` names the state directory with the models.
"""

import argparse
import dataclasses
import sys

import numpy as np
from PIL import Image
from reporting import print_table
from sklearn.datasets import load_digits

from fmnist.adapters.pillow.corruptions import corrupt
from fmnist.apps.containers.evaluate import EvaluateContainer
from fmnist.apps.settings import load_environment
from fmnist.domain.model.data.images import SIDE, Images
from fmnist.domain.model.evaluation.robustness import SEVERITIES, Robustness, detect
from fmnist.domain.services.evaluation.evaluate import measured_dataset
from fmnist.domain.services.evaluation.robustness import measure_robustness
from fmnist.domain.services.prediction import Prediction

_MARGIN = 4  # pixels on each side, as articles have


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL_URI", help="models, as models:/NAME/VERSION")
    found = {uri: measured(uri) for uri in parser.parse_args().models}
    columns = [column(each) for each in found.values()]
    print_table([["model", *found], *([row[0][0], *(value for _, value in row)] for row in zip(*columns, strict=True))])
    print_table([["corruption, severity 5", *found], *worst(list(found.values()))])


def measured(uri: str) -> Robustness:
    """Measure a model on `test`, and on digits as well."""
    container = EvaluateContainer(settings=load_environment())
    store, registry = container.model_store(), container.data_registry()
    model = store.resolve(uri)
    dataset = measured_dataset(registry, model, "test")
    classifier = store.download(model).load()
    test, val = registry.read(dataset, "test"), registry.read(dataset, "val")
    robustness = measure_robustness(classifier, test, val.images, corrupt, lambda *_: None)
    predict = Prediction(classifier).logits
    more = detect(predict(test.images), predict(val.images), {"digits": predict(digits())})
    sys.stderr.write(f"measured {uri}\n")
    return dataclasses.replace(robustness, detections=[*robustness.detections, *more])


def digits() -> Images:
    """Return scikit-learn's 1,797 handwritten digits, uint8 (n, 28, 28), light on black like the articles."""
    inner = (SIDE - 2 * _MARGIN, SIDE - 2 * _MARGIN)
    small = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)
    large = [np.asarray(Image.fromarray(each).resize(inner, Image.Resampling.BICUBIC)) for each in small]
    return np.pad(np.stack(large), ((0, 0), (_MARGIN, _MARGIN), (_MARGIN, _MARGIN)))


def column(found: Robustness) -> list[tuple[str, str]]:
    """Return names and figures of one model."""
    low, high = found.interval
    return [
        ("clean accuracy", f"{found.clean.accuracy:.2%}"),
        ("corruption accuracy", f"{found.accuracy:.2%} ({low:.1%}-{high:.1%})"),
        ("relative to clean", f"{found.relative:.2%}"),
        *((f"calibration error, severity {severity}", f"{found.at(severity).ece:.2%}") for severity in (0, 3, 5)),
        *(
            (f"{each.outside}, {each.score}", f"{each.auroc:.3f}, {each.false_alarms:.1%} pass")
            for each in found.detections
        ),
    ]


def worst(found: list[Robustness]) -> list[list[str]]:
    """Return the accuracy of each model in severity 5, by corruption."""
    last = len(SEVERITIES) - 1
    return [
        [str(corruption), *(f"{each.cells[corruption][last].accuracy:.1%}" for each in found)]
        for corruption in found[0].cells
    ]


if __name__ == "__main__":
    main()

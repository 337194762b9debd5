"""`fmnist.load_classifier` in plain Python: the environment is read, a `.env` and the terminal are left alone."""

import subprocess
import sys
from typing import Any

import pytest

from tests.integration.apps.conftest import Trained

CLASSIFY = """
import sys
import fmnist, numpy
classifier = fmnist.load_classifier(sys.argv[1])
answers = classifier(numpy.zeros((2, 28, 28), "uint8"))
assert len(answers) == 2
assert classifier.info.metrics["val_acc"] > 0.9
assert "torch" not in sys.modules
print(type(classifier).__name__, answers[0].class_name in fmnist.CLASS_NAMES)
"""
FAIL = """
import sys
import fmnist
try:
    fmnist.load_classifier(sys.argv[1])
except fmnist.FmnistError as error:
    print(type(error).__name__)
"""


def python(trained: Trained, *arguments: str, **variables: str) -> Any:
    environment = {**trained.command.environment, **variables}
    return subprocess.run(
        [sys.executable, "-c", *arguments],
        cwd=trained.command.home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_classifies_and_prints_nothing(trained: Trained) -> None:
    (trained.command.home / ".env").write_text("MLFLOW_TRACKING_URI=http://127.0.0.1:9\n")
    try:
        done = python(trained, CLASSIFY, trained.result["model_uri"])
    finally:
        (trained.command.home / ".env").unlink()
    assert (done.returncode, done.stdout, done.stderr) == (0, "Prediction True\n", "")


@pytest.mark.parametrize(
    ("uri", "variables", "error"),
    [
        ("models:/dev.fashion-mnist-classifier@champion", {}, "ModelNotFound"),
        ("models:/dev.fashion-mnist-classifier/2", {}, "ModelNotFound"),
        ("models:/dev.fashion-mnist-classifier/1", {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}, "StoreUnavailable"),
        ("models:/dev.fashion-mnist-classifier/1", {"LOG_LEVEL": "loud"}, "InvalidSetting"),
        ("runs:/1/model", {}, "InvalidSetting"),
    ],
)
def test_it_raises_what_its_documentation_says(
    trained: Trained, uri: str, variables: dict[str, str], error: str
) -> None:
    done = python(trained, FAIL, uri, **variables)
    assert (done.stdout, done.stderr) == (f"{error}\n", "")
